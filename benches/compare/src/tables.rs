//! The tables: NUMBERS.md, and the numbers of README. `numbers.md` and `readme.md` are the templates.

use crate::charts;
use crate::contract::WRONG;
use crate::parts::{COUNTED, WORKS, work};
use crate::results::{About, Results};
use crate::servers::{OURS, rank};
use minijinja::{Environment, Value, context};
use report::{Stats, grouped, table};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

/// Characters of a line of prose.
const LINE_CHARACTERS: usize = 104;

/// Where the numbers of README begin and end.
const MARKS: [&str; 2] = ["<!-- numbers -->\n", "<!-- /numbers -->"];

/// The columns of README's table.
const SHOWN: [&str; 6] = [OURS, "nginx", "hyper", "actix-web", "axum", "go"];

/// The rows of README's table: title, part, figure, and decimals.
const ROWS: [(&str, &str, &str, usize); 6] = [
    ("CPU time, 64 keep-alive connections", "single", "ratio", 2),
    (
        "CPU time, 16 requests in one write",
        "pipelined",
        "ratio",
        2,
    ),
    (
        "CPU time, a new connection for each request",
        "close",
        "ratio",
        2,
    ),
    (
        "p99.9 at 10,000 requests per second, µs",
        "latency",
        "p99.9",
        0,
    ),
    (
        "p99 beside a connection that pipelines, to p99 alone",
        "fairness",
        "ratio",
        1,
    ),
    (
        "bytes per idle connection, of 10,000",
        "memory",
        "per connection",
        0,
    ),
];

/// A goal beside those of the works: title, part, figure, the most that it may be in `unit`s, and decimals.
struct Goal<'t>(&'t str, &'t str, &'t str, Option<f64>, f64, usize);

const GOALS: [Goal<'static>; 11] = [
    Goal(
        "user instructions per request, single",
        "instructions",
        "single",
        Some(1_000.0),
        1.0,
        0,
    ),
    Goal(
        "user instructions per request, pipelined",
        "instructions",
        "pipelined",
        Some(700.0),
        1.0,
        0,
    ),
    Goal(
        "system calls per request, single",
        "calls",
        "single",
        Some(2.05),
        1.0,
        2,
    ),
    Goal(
        "system calls per request, pipelined",
        "calls",
        "pipelined",
        Some(0.13),
        1.0,
        2,
    ),
    Goal(
        "resident bytes per idle connection, of 10,000",
        "memory",
        "per connection",
        Some(256.0),
        1.0,
        0,
    ),
    Goal(
        "the same, with a handler whose future holds 4 KiB",
        "memory",
        "per connection, large",
        Some(256.0),
        1.0,
        0,
    ),
    Goal(
        "resident at start, MB",
        "memory",
        "start bytes",
        Some(3.0),
        1e6,
        1,
    ),
    Goal(
        "p99.9 at 10,000 requests per second, µs",
        "latency",
        "p99.9",
        None,
        1.0,
        0,
    ),
    Goal(
        "p99 beside a connection that pipelines, to p99 alone",
        "fairness",
        "ratio",
        Some(2.0),
        1.0,
        1,
    ),
    Goal(
        "crates that its server here depends on",
        "footprint",
        "dependencies",
        Some(8.0),
        1.0,
        0,
    ),
    Goal(
        "stripped binary of that server, KiB",
        "footprint",
        "binary bytes",
        Some(450.0),
        1024.0,
        0,
    ),
];

/// Renders all tables.
pub(crate) fn numbers(results: &Results) -> Result<String, Box<dyn Error>> {
    let tables = |part: &str| {
        results
            .parts
            .get(part)
            .map_or("", |part| part.tables.as_str())
    };
    let others = [
        ("Instructions and system calls", counts(results)),
        ("System calls by name", calls(results)),
        ("Memory", memory(results)),
        ("The contract", contract(results)),
        ("Wrong requests that are answered", accepted(results)),
        ("The build of a server", footprint(results)),
        ("The build of Waterwheel", builds(results)),
        ("Answers per second, by two generators", wrk(results)),
        ("The runtime beside others", tables("runtimes").to_owned()),
        ("The cost of a route", tables("routes").to_owned()),
        ("The cost of asking the gate", tables("gate").to_owned()),
        ("Left out", left_out(results)),
        ("Measured by", runs(results)),
    ];
    let context = context! {
        goals => goals(results),
        cpu => cpu(results),
        floors => floors(results),
        latency => latency(results),
        tail => tail(results),
        others,
    };
    render(include_str!("numbers.md"), context)
}

/// Replaces the numbers of README: one chart, and a table of six rows.
pub(crate) fn write_readme(results: &Results, readme: &Path) -> Result<(), Box<dyn Error>> {
    let mut rows = vec![strings(&[&[""], &SHOWN[..]].concat())];
    rows[0][1] = format!("**{OURS}**");
    for (title, part, figure, decimals) in ROWS {
        let cell = |server| {
            let stats = results.figure(part, server, figure);
            stats.map_or(String::new(), |stats| decimal(stats.median, decimals))
        };
        let mut row: Vec<String> = SHOWN.into_iter().map(cell).collect();
        row[0] = format!("**{}**", row[0]);
        row.insert(0, title.to_owned());
        rows.push(row);
    }
    let numbers = render(
        include_str!("readme.md"),
        context! {
            chart => charts::cpu(work("single")).title,
            table => table(rows),
            run => results.run_of("single").map(|run| context! {
                began => run.day(), commit => &run.commit, machine => &run.machine,
            }),
        },
    )?;
    let text = std::fs::read_to_string(readme)?;
    let text = replaced(&text, &numbers).ok_or("README has no marks for its numbers")?;
    Ok(std::fs::write(readme, text)?)
}

fn replaced(text: &str, numbers: &str) -> Option<String> {
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{numbers}{end}{after}"))
}

fn render(template: &str, context: Value) -> Result<String, Box<dyn Error>> {
    let mut templates = Environment::new();
    templates.add_filter("wrap", |text: String| {
        textwrap::fill(text.trim(), LINE_CHARACTERS)
    });
    Ok(templates
        .render_str(template, context)?
        .trim_end()
        .to_owned()
        + "\n")
}

fn strings(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

/// A number with decimals, or a large one with commas.
fn decimal(value: f64, decimals: usize) -> String {
    if decimals == 0 || value >= 100.0 {
        grouped(value)
    } else {
        format!("{value:.decimals$}")
    }
}

fn short(stats: Stats) -> String {
    format!("{:.2}", stats.median)
}

fn spread(stats: Stats) -> String {
    format!("{:.2} ({:.2}–{:.2})", stats.median, stats.low, stats.high)
}

fn whole(stats: Stats) -> String {
    grouped(stats.median)
}

fn whole_spread(stats: Stats) -> String {
    let [median, low, high] = <[f64; 3]>::from(stats).map(grouped);
    format!("{median} ({low}–{high})")
}

/// A column of a table of servers: its title, and its cell for a server.
type Column<'r> = (String, Box<dyn Fn(&str) -> Option<String> + 'r>);

fn column<'r>(title: &str, cell: impl Fn(&str) -> Option<String> + 'r) -> Column<'r> {
    (title.to_owned(), Box::new(cell))
}

/// A column with a figure of a part.
fn figure<'r>(
    results: &'r Results,
    title: &str,
    part: &'r str,
    figure: &'r str,
    show: fn(Stats) -> String,
) -> Column<'r> {
    column(title, move |server| {
        results.figure(part, server, figure).map(show)
    })
}

/// A column with a part of the contract. A server that was not asked has an empty cell.
fn about<'r>(
    results: &'r Results,
    title: &str,
    show: impl Fn(&About) -> String + 'r,
) -> Column<'r> {
    column(title, move |server| {
        let about = results
            .servers
            .get(server)
            .filter(|about| about.answer_bytes > 0);
        about.map(&show).filter(|cell| !cell.is_empty())
    })
}

/// The servers that have a cell in one of these columns, the fastest first.
fn servers(title: &str, results: &Results, columns: &[Column<'_>]) -> String {
    let measured = results.parts.values().flat_map(|part| part.figures.keys());
    let names: BTreeSet<&String> = results.servers.keys().chain(measured).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    let time = |name: &str| {
        results
            .figure("single", name, "ratio")
            .map_or(f64::MAX, |ratio| ratio.median)
    };
    names.sort_by(|a, b| time(a).total_cmp(&time(b)).then(rank(a).cmp(&rank(b))));
    let mut rows = vec![
        std::iter::once(title.to_owned())
            .chain(columns.iter().map(|(title, _)| title.clone()))
            .collect(),
    ];
    for name in names {
        let cells: Vec<_> = columns.iter().map(|(_, cell)| cell(name)).collect();
        if cells.iter().any(Option::is_some) {
            let name = if name == OURS {
                format!("**{name}**")
            } else {
                name.clone()
            };
            rows.push(
                std::iter::once(name)
                    .chain(cells.into_iter().map(Option::unwrap_or_default))
                    .collect(),
            );
        }
    }
    table(rows)
}

/// The goals, Waterwheel's figures, and the best figure of the other servers.
fn goals(results: &Results) -> String {
    let titles: Vec<String> = WORKS
        .iter()
        .map(|work| format!("CPU time to the floor: {}", work.short))
        .collect();
    let works = WORKS.iter().zip(&titles);
    let works = works.map(|(work, title)| Goal(title, &work.name, "ratio", work.goal, 1.0, 2));
    let mut rows = vec![strings(&[
        "",
        "goal",
        OURS,
        "to the plain floor",
        "the best of the others",
    ])];
    for Goal(title, part, figure, most, unit, decimals) in works.chain(GOALS) {
        let Some(ours) = results.figure(part, OURS, figure) else {
            continue;
        };
        let show = |value: f64| decimal(value / unit, decimals);
        let goal = most.map_or("the best".to_owned(), |most| decimal(most, decimals));
        let to_plain = results.figure(part, OURS, "to plain").map(|ratio| {
            let [median, low, high] = <[f64; 3]>::from(ratio).map(show);
            format!("**{median}** ({low}–{high})")
        });
        let best = best(results, part, figure, |name| {
            name != OURS && !name.starts_with("floor")
        });
        let best = best.map(|(name, stats)| {
            let is_noise = part == "latency" && ours.overlaps(&stats);
            format!(
                "{} ({name}){}",
                show(stats.median),
                if is_noise { "; within noise" } else { "" }
            )
        });
        let ours = format!("**{}**", show(ours.median));
        rows.push(vec![
            title.to_owned(),
            goal,
            ours,
            to_plain.unwrap_or_default(),
            best.unwrap_or_default(),
        ]);
    }
    table(rows)
}

/// The server with the lowest median.
fn best<'r>(
    results: &'r Results,
    part: &str,
    figure: &str,
    counts: impl Fn(&str) -> bool,
) -> Option<(&'r str, Stats)> {
    let figures = results.parts.get(part)?.figures.iter();
    let others = figures.filter(|(name, _)| counts(name));
    let others = others.filter_map(|(name, figures)| Some((name.as_str(), *figures.get(figure)?)));
    others.min_by(|(_, a), (_, b)| a.median.total_cmp(&b.median))
}

fn cpu(results: &Results) -> String {
    let measured = WORKS
        .iter()
        .filter(|work| results.parts.contains_key(&work.name));
    let of = |work: &'static crate::parts::Work| {
        column(&work.short, |server| {
            let ratio = spread(results.figure(&work.name, server, "ratio")?);
            Some(format!(
                "{ratio} {:.2} µs",
                results.figure(&work.name, server, "us")?.median
            ))
        })
    };
    servers(
        "CPU time to the floor",
        results,
        &measured.map(of).collect::<Vec<_>>(),
    )
}

fn floors(results: &Results) -> String {
    let head = [
        "the floor",
        "the work",
        "its fastest way",
        "CPU µs per request",
        "the plain floor to it",
    ];
    let mut rows = vec![strings(&head)];
    for work in WORKS.iter() {
        if let Some(floor) = results
            .parts
            .get(&work.name)
            .and_then(|part| part.floor.as_ref())
        {
            let plain = floor.plain.map(spread).unwrap_or_default();
            rows.push(vec![
                work.short.clone(),
                work.title.clone(),
                floor.way.clone(),
                spread(floor.us),
                plain,
            ]);
        }
    }
    table(rows)
}

fn latency(results: &Results) -> String {
    let of = |title, part, name, show| figure(results, title, part, name, show);
    let times: fn(Stats) -> String = |ratio| decimal(ratio.median, 1);
    let columns = [
        of("p50", "latency", "p50", whole),
        of("p99", "latency", "p99", whole),
        of("p99.9", "latency", "p99.9", whole_spread),
        of("p99, alone", "fairness", "quiet", whole),
        of("p99, beside it", "fairness", "flooded", whole),
        of("beside to alone", "fairness", "ratio", times),
        of(
            "answers/s to the other one",
            "fairness",
            "flood per second",
            whole,
        ),
    ];
    servers("latency, µs", results, &columns)
}

/// Compares Waterwheel's p99.9 with the best other server and the best floor.
fn tail(results: &Results) -> String {
    let Some((ours, part)) = results
        .figure("latency", OURS, "p99.9")
        .zip(results.parts.get("latency"))
    else {
        return String::new();
    };
    let against = [false, true].map(|is_floor| {
        let (name, other) = best(results, "latency", "p99.9", |name| {
            name != OURS && name.starts_with("floor") == is_floor
        })?;
        let verdict = match ours.overlaps(&other) {
            true => "within noise",
            false if ours.median < other.median => "Waterwheel's is less",
            false => "Waterwheel's is more",
        };
        Some(format!("; {name} {}: {verdict}", whole_spread(other)))
    });
    format!(
        "p99.9 is the median of {} interleaved rounds of {} s, with the middle half in brackets, because one stall of \
         the machine is the p99.9 of its round. Waterwheel's is {} µs{}. If the middle halves overlap, the difference \
         is within noise: these rounds do not show which server is faster.",
        part.rounds,
        part.seconds,
        whole_spread(ours),
        against.into_iter().flatten().collect::<String>(),
    )
}

fn counts(results: &Results) -> String {
    let works = || COUNTED.into_iter().map(work);
    let instructions = works().map(|work| {
        figure(
            results,
            &format!("instructions, {}", work.short),
            "instructions",
            &work.name,
            whole,
        )
    });
    let calls = works().map(|work| {
        figure(
            results,
            &format!("calls, {}", work.short),
            "calls",
            &work.name,
            short,
        )
    });
    servers(
        "per request",
        results,
        &instructions.chain(calls).collect::<Vec<_>>(),
    )
}

fn calls(results: &Results) -> String {
    let of = |work: &'static crate::parts::Work| {
        column(&work.short, |server| {
            let figures = results.parts.get("calls")?.figures.get(server)?;
            figures.get(&work.name)?;
            let prefix = format!("{} ", work.name);
            let by_name = figures
                .iter()
                .filter_map(|(name, stats)| Some((name.strip_prefix(&prefix)?, stats.median)));
            let by_name = by_name
                .filter(|(name, _)| *name != "at speed")
                .map(|(name, count)| format!("{name} {count:.3}"));
            let at_speed = figures
                .get(&format!("{prefix}at speed"))
                .map_or("?".to_owned(), |stats| short(*stats));
            Some(format!(
                "{at_speed} at speed; traced {}",
                by_name.collect::<Vec<_>>().join(", ")
            ))
        })
    };
    servers("per request", results, &COUNTED.map(work).map(of))
}

fn memory(results: &Results) -> String {
    let megabytes: fn(Stats) -> String = |bytes| format!("{:.1}", bytes.median / 1e6);
    let columns = [
        figure(results, "MB at start", "memory", "start bytes", megabytes),
        figure(
            results,
            "bytes per idle connection, of 10,000",
            "memory",
            "per connection",
            whole,
        ),
        figure(
            results,
            "the same, with a handler of 4 KiB",
            "memory",
            "per connection, large",
            whole,
        ),
    ];
    servers("resident memory", results, &columns)
}

fn contract(results: &Results) -> String {
    let refused = |about: &About| (WRONG.len() - about.accepts.len()).to_string();
    let columns = [
        about(results, "version", |about| {
            about.version.clone().unwrap_or_default()
        }),
        about(results, "bytes of an answer", |about| {
            about.answer_bytes.to_string()
        }),
        about(results, "lacks", |about| about.lacks.join(", ")),
        about(
            results,
            &format!("refuses, of {} wrong requests", WRONG.len()),
            refused,
        ),
        about(results, "otherwise", |about| about.remark.clone()),
    ];
    servers("the contract", results, &columns)
}

fn accepted(results: &Results) -> String {
    servers(
        "server",
        results,
        &[about(results, "requests", |about| about.accepts.join("; "))],
    )
}

fn footprint(results: &Results) -> String {
    let kibibytes: fn(Stats) -> String = |bytes| format!("{:.0}", bytes.median / 1024.0);
    let seconds: fn(Stats) -> String = |seconds| format!("{:.1}", seconds.median);
    let columns = [
        figure(
            results,
            "stripped KiB",
            "footprint",
            "binary bytes",
            kibibytes,
        ),
        figure(results, "dependencies", "footprint", "dependencies", whole),
        figure(
            results,
            "clean build, s",
            "footprint",
            "build seconds",
            seconds,
        ),
    ];
    servers("footprint", results, &columns)
}

fn builds(results: &Results) -> String {
    let mut rows = vec![strings(&[
        "a clean build",
        "crates, ours among them",
        "seconds",
        "MB of a stripped binary",
    ])];
    for (kind, example) in [("default", "hello"), ("all features", "site")] {
        let of = |figure| {
            results
                .figure("builds", kind, figure)
                .map(|stats| stats.median)
        };
        if let (Some(crates), Some(seconds), Some(bytes)) =
            (of("crates"), of("seconds"), of("binary bytes"))
        {
            let binary = format!("{:.1} (`{example}`)", bytes / 1e6);
            rows.push(vec![
                kind.to_owned(),
                grouped(crates),
                grouped(seconds),
                binary,
            ]);
        }
    }
    table(rows)
}

fn wrk(results: &Results) -> String {
    let columns = [
        figure(results, "wrk", "wrk", "wrk", whole),
        figure(results, "this folder's", "wrk", "own", whole),
    ];
    servers("64 connections", results, &columns)
}

fn left_out(results: &Results) -> String {
    let mut lines = Vec::new();
    for (part, measured) in &results.parts {
        for (server, reason) in &measured.left_out {
            lines.push(format!(
                "- {server} at {part} ({})",
                reason.replace('\n', " ")
            ));
        }
    }
    lines.join("\n")
}

/// The runs, each with its parts.
fn runs(results: &Results) -> String {
    let line = |(index, run): (usize, &crate::results::Run)| {
        let parts = results.parts.iter().filter(|(_, part)| part.run == index);
        let parts: Vec<&str> = parts.map(|(name, _)| name.as_str()).collect();
        let crate::results::Run {
            began,
            ended,
            machine,
            commit,
            compiler,
            command,
        } = run;
        let parts = parts.join(", ");
        format!(
            "- {began} to {ended}, commit {commit}, {machine}, {compiler}: `{command}` ({parts})"
        )
    };
    results
        .runs
        .iter()
        .enumerate()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::{numbers, replaced};
    use crate::results::{Measured, Results, Run};
    use crate::servers::OURS;
    use std::collections::BTreeMap;

    #[test]
    fn only_the_text_between_the_marks_is_replaced() {
        let text = "a\n<!-- numbers -->\nold\n<!-- /numbers -->\nb\n";
        let expected = "a\n<!-- numbers -->\nnew\n<!-- /numbers -->\nb\n";
        assert_eq!(replaced(text, "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(expected, "new\n").as_deref(), Some(expected));
        assert_eq!(replaced("no marks", "new"), None);
    }

    #[test]
    fn the_ratio_to_the_plain_floor_stands_beside_that_to_the_fastest() {
        let mut results = Results::default();
        results.runs.push(Run::begin(String::new()));
        let ratios = [("ratio", [1.21; 3]), ("to plain", [1.1, 1.08, 1.13])];
        let ratios = ratios.map(|(name, stats)| (name.to_owned(), stats.into()));
        let figures = BTreeMap::from([(OURS.to_owned(), ratios.into())]);
        results.insert(
            "single",
            Measured {
                figures,
                ..Measured::default()
            },
        );
        let text = numbers(&results).expect("the template is right");
        assert!(
            text.contains("| 1.00 | **1.21**   | **1.10** (1.08–1.13) |"),
            "{text}"
        );
        assert!(!text.contains("## Memory"), "{text}");
    }
}
