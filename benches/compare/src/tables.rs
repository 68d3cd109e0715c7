//! The tables: NUMBERS.md, and the numbers of README.
//!
//! `numbers.md` and `readme.md` are the templates. `tables.toml` lists the tables that show figures as they are
//! stored. The others are functions here.

use crate::charts::Chart;
use crate::contract::WRONG;
use crate::parts::{COUNTED, WORKS, work};
use crate::results::{About, Results};
use crate::servers::{OURS, rank};
use minijinja::{Environment, Value, context};
use report::{Stats, grouped, table};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::sync::LazyLock;

/// Characters of a line of prose.
const LINE_CHARACTERS: usize = 104;

/// Where the numbers of README begin and end.
const MARKS: [&str; 2] = ["<!-- numbers -->\n", "<!-- /numbers -->"];

/// The file `tables.toml`.
#[derive(Deserialize)]
pub(crate) struct Definitions {
    goals: Vec<[String; 5]>,
    readme: Readme,
    tables: BTreeMap<String, Table>,
    pub(crate) charts: BTreeMap<String, Chart>,
}

#[derive(Deserialize)]
struct Readme {
    servers: Vec<String>,
    rows: Vec<[String; 4]>,
}

#[derive(Deserialize)]
struct Table {
    title: String,
    columns: Vec<[String; 4]>,
}

pub(crate) static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    let file = toml::from_str(include_str!("../tables.toml"));
    file.expect("tables.toml is right")
});

/// Renders all tables.
pub(crate) fn numbers(results: &Results) -> Result<String, Box<dyn Error>> {
    let tables = DEFINITIONS.tables.iter();
    let tables = tables.map(|(name, table)| (name.as_str(), table.render(results)));
    let printed = results.parts.iter();
    let printed = printed.map(|(name, part)| (name.as_str(), part.tables.clone()));
    let others = [
        ("goals", goals(results)),
        ("cpu", cpu(results)),
        ("floors", floors(results)),
        ("calls", calls(results)),
        ("contract", contract(results)),
        ("accepted", accepted(results)),
        ("left_out", left_out(results)),
        ("runs", runs(results)),
    ];
    // The last one of a name counts: only programs print tables of their own.
    let context: BTreeMap<&str, String> = printed.chain(tables).chain(others).collect();
    render(include_str!("numbers.md"), Value::from_pairs(context))
}

/// Replaces the numbers of README: one chart, and one table.
pub(crate) fn write_readme(results: &Results, readme: &Path) -> Result<(), Box<dyn Error>> {
    let Readme { servers, rows, .. } = &DEFINITIONS.readme;
    let titles =
        std::iter::once(String::new()).chain(servers.iter().map(|name| bold_ours(name, name)));
    let mut all = vec![titles.collect::<Vec<_>>()];
    for [title, part, figure, form] in rows {
        let cell = |server: &String| {
            let stats = results.figure(part, server, figure);
            stats.map_or(String::new(), |stats| {
                bold_ours(server, &shown(stats, form))
            })
        };
        all.push(
            std::iter::once(title.clone())
                .chain(servers.iter().map(cell))
                .collect(),
        );
    }
    let run = results.run_of("single").or(results.runs.last());
    let context = context! {
        chart => Chart::cpu(work("single")).title,
        table => table(all),
        run => run.map(|run| context! { day => run.day(), commit => &run.commit, machine => &run.machine }),
    };
    let numbers = render(include_str!("readme.md"), context)?;
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
    let lines = textwrap::Options::new(LINE_CHARACTERS);
    let lines = lines.word_splitter(textwrap::WordSplitter::NoHyphenation);
    templates.add_filter("wrap", move |text: &str| {
        textwrap::fill(text.trim(), &lines)
    });
    let text = templates.render_str(template, context)?;
    Ok(text.trim_end().to_owned() + "\n")
}

fn strings(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

fn bold_ours(server: &str, text: &str) -> String {
    if server == OURS {
        format!("**{text}**")
    } else {
        text.to_owned()
    }
}

/// A figure in one of the forms of `tables.toml`.
fn shown(stats: Stats, form: &str) -> String {
    let (form, has_spread) = match form.strip_suffix(" spread") {
        Some(form) => (form, true),
        None => (form, false),
    };
    let one = |value: f64| match form {
        "MB" => format!("{:.1}", value / 1e6),
        "KiB" => grouped(value / 1024.0),
        decimals => match decimals.parse::<usize>() {
            Ok(decimals) if value < 100.0 => format!("{value:.decimals$}"),
            _ => grouped(value),
        },
    };
    let Stats { median, low, high } = stats;
    if has_spread {
        format!("{} ({}–{})", one(median), one(low), one(high))
    } else {
        one(median)
    }
}

/// A column of a table of servers: its title, and its cell for a server.
type Column<'r> = (&'r str, Box<dyn Fn(&str) -> Option<String> + 'r>);

/// The servers that have a cell in one of these columns, the fastest first.
fn servers(title: &str, results: &Results, columns: &[Column<'_>]) -> String {
    let measured = results.parts.values().flat_map(|part| part.figures.keys());
    let names: BTreeSet<&String> = results.servers.keys().chain(measured).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    names.sort_by(|a, b| {
        let ratio = |name| results.figure("single", name, "ratio");
        let time = |name| ratio(name).map_or(f64::MAX, |ratio| ratio.median);
        time(a).total_cmp(&time(b)).then(rank(a).cmp(&rank(b)))
    });
    let titles = columns.iter().map(|(title, _)| *title);
    let mut rows = vec![strings(
        &std::iter::once(title).chain(titles).collect::<Vec<_>>(),
    )];
    for name in names {
        let cells: Vec<_> = columns.iter().map(|(_, cell)| cell(name)).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            rows.push(
                std::iter::once(bold_ours(name, name))
                    .chain(cells)
                    .collect(),
            );
        }
    }
    table(rows)
}

impl Table {
    fn render(&self, results: &Results) -> String {
        let columns = self.columns.iter().map(|[title, part, figure, form]| {
            let cell = move |server: &str| Some(shown(results.figure(part, server, figure)?, form));
            (title.as_str(), Box::new(cell) as Box<_>)
        });
        servers(&self.title, results, &columns.collect::<Vec<Column<'_>>>())
    }
}

/// The goals, Waterwheel's figures, and the best figure of the other servers.
fn goals(results: &Results) -> String {
    let works = WORKS.iter().map(|work| {
        let title = format!("CPU time to the floor: {}", work.short);
        let goal = work
            .goal
            .map_or("the best".to_owned(), |goal| format!("{goal:.2}"));
        [
            title,
            work.name.clone(),
            "ratio".to_owned(),
            "2".to_owned(),
            goal,
        ]
    });
    let head = [
        "",
        "goal",
        OURS,
        "to the plain floor",
        "the best of the others",
    ];
    let mut rows = vec![strings(&head)];
    for [title, part, figure, form, goal] in works.chain(DEFINITIONS.goals.iter().cloned()) {
        let Some(ours) = results.figure(&part, OURS, &figure) else {
            continue;
        };
        let to_plain = results.figure(&part, OURS, "to plain");
        let to_plain = to_plain.map(|ratio| shown(ratio, "2 spread"));
        let best = best(results, &part, &figure);
        let best = best.map(|(name, stats)| {
            let is_noise = part == "latency" && ours.overlaps(&stats);
            let noise = if is_noise { "; within noise" } else { "" };
            format!("{} ({name}){noise}", shown(stats, &form))
        });
        let ours = format!("**{}**", shown(ours, &form));
        rows.push(vec![
            title,
            goal,
            ours,
            to_plain.unwrap_or_default(),
            best.unwrap_or_default(),
        ]);
    }
    table(rows)
}

/// The server with the lowest median, except ours and the floor.
fn best<'r>(results: &'r Results, part: &str, figure: &str) -> Option<(&'r str, Stats)> {
    let others = results.parts.get(part)?.figures.iter();
    let others = others.filter(|(name, _)| *name != OURS && !name.starts_with("floor"));
    let others = others.filter_map(|(name, figures)| Some((name.as_str(), *figures.get(figure)?)));
    others.min_by(|(_, a), (_, b)| a.median.total_cmp(&b.median))
}

fn cpu(results: &Results) -> String {
    let measured = WORKS
        .iter()
        .filter(|work| results.parts.contains_key(&work.name));
    let columns = measured.map(|work| {
        let cell = |server: &str| {
            let figure = |name| results.figure(&work.name, server, name);
            let (ratio, us) = (figure("ratio")?, figure("us")?);
            Some(format!(
                "{} {} µs",
                shown(ratio, "2 spread"),
                shown(us, "2")
            ))
        };
        (work.short.as_str(), Box::new(cell) as Box<_>)
    });
    servers(
        "CPU time to the floor",
        results,
        &columns.collect::<Vec<Column<'_>>>(),
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
        let part = results.parts.get(&work.name);
        if let Some(floor) = part.and_then(|part| part.floor.as_ref()) {
            let plain = floor
                .plain
                .map_or(String::new(), |plain| shown(plain, "2 spread"));
            let us = shown(floor.us, "2 spread");
            rows.push(strings(&[
                &work.short,
                &work.title,
                &floor.way,
                &us,
                &plain,
            ]));
        }
    }
    table(rows)
}

fn calls(results: &Results) -> String {
    let columns = COUNTED.map(work).map(|work| {
        let prefix = format!("{} ", work.name);
        let cell = move |server: &str| {
            let figures = results.parts.get("calls")?.figures.get(server)?;
            figures.get(&work.name)?;
            let by_name = figures.iter().filter_map(|(name, count)| {
                let call = name
                    .strip_prefix(&prefix)
                    .filter(|call| *call != "at speed")?;
                Some(format!("{call} {:.3}", count.median))
            });
            let by_name = by_name.collect::<Vec<_>>().join(", ");
            let at_speed = figures.get(&format!("{prefix}at speed"));
            let at_speed = at_speed.map_or("?".to_owned(), |count| shown(*count, "2"));
            Some(format!("{at_speed} at speed; traced {by_name}"))
        };
        (work.short.as_str(), Box::new(cell) as Box<_>)
    });
    servers("per request", results, &columns)
}

/// A column with a part of the contract. A server that was not asked has an empty cell.
fn about<'r>(
    results: &'r Results,
    title: &'r str,
    show: impl Fn(&About) -> String + 'r,
) -> Column<'r> {
    let cell = move |server: &str| {
        let about = results
            .servers
            .get(server)
            .filter(|about| about.answer_bytes > 0);
        about.map(&show).filter(|cell| !cell.is_empty())
    };
    (title, Box::new(cell))
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
        about(results, "refuses, of 6 wrong requests", refused),
        about(results, "otherwise", |about| about.remark.clone()),
    ];
    servers("the contract", results, &columns)
}

fn accepted(results: &Results) -> String {
    let requests = about(results, "requests", |about| about.accepts.join("; "));
    servers("server", results, &[requests])
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
        format!(
            "- {} to {}, commit {}, {}, {}: `{}` ({})",
            run.began,
            run.ended,
            run.commit,
            run.machine,
            run.compiler,
            run.command,
            parts.join(", ")
        )
    };
    let lines: Vec<String> = results.runs.iter().enumerate().map(line).collect();
    lines.join("\n")
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
        let measured = Measured {
            figures,
            ..Measured::default()
        };
        results.insert("single", measured);
        let text = numbers(&results).expect("the template is right");
        assert!(
            text.contains("| 1.00 | **1.21**   | 1.10 (1.08–1.13)   |"),
            "{text}"
        );
        assert!(!text.contains("## Memory"), "{text}");
    }
}
