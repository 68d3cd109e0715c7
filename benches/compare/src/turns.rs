//! The turns: a function for each part, from a server to its figures.

use crate::options::Options;
use crate::parts::{COUNTED, Work, work};
use crate::process::{Report, Running, bounded, load, scratch, text};
use crate::results::Figures;
use crate::servers::{Server, build, folder, project, target};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The figures of one turn, by name.
pub(crate) type Sample = Vec<(String, f64)>;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn sample<const N: usize>(figures: [(&str, f64); N]) -> Sample {
    figures
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

/// Loads a server in a fresh process, for the time of a turn.
fn turn(server: &Server, work: &Work, more: &str, options: &Options) -> Result<Report> {
    let running = Running::start("", server, work.arguments_of(server), options)?;
    let Options {
        seconds, warm_up, ..
    } = options;
    let words = format!(
        "{} --seconds {seconds} --warm-up {warm_up} {more}",
        work.load
    );
    let report = load(&running, &words, options)?;
    let is_starved = report.requests == 0 && report.latency_us.is_none();
    if is_starved || report.reconnects > report.requests / 100 {
        let Report {
            requests,
            reconnects,
            ..
        } = report;
        return Err(format!("{requests} answers, {reconnects} connections lost").into());
    }
    Ok(report)
}

/// Measures CPU microseconds per request, and requests per second.
pub(crate) fn cpu(server: &Server, work: &Work, options: &Options) -> Result<(f64, f64)> {
    let report = turn(server, work, "", options)?;
    Ok((
        report.server_cpu_us_per_request.ok_or("no CPU time")?,
        report.requests_per_second,
    ))
}

/// A floor that has a turn before and after each other server.
pub(crate) struct Beside<'o> {
    pub(crate) floor: Server,
    pub(crate) floor_us: Vec<f64>,
    before: f64,
    work: &'o Work,
    options: &'o Options,
}

impl<'o> Beside<'o> {
    /// Lets the floor have its first turn.
    pub(crate) fn new(floor: Server, work: &'o Work, options: &'o Options) -> Result<Self> {
        let (before, _) = cpu(&floor, work, options)?;
        let floor_us = vec![before];
        Ok(Self {
            floor,
            floor_us,
            before,
            work,
            options,
        })
    }

    /// Lets a server have a turn, and the floor one after it.
    pub(crate) fn turn(&mut self, server: &Server) -> Result<Sample> {
        let taken = cpu(server, self.work, self.options);
        let (after, _) = cpu(&self.floor, self.work, self.options)?;
        let floor_us = f64::midpoint(self.before, after);
        self.floor_us.push(after);
        self.before = after;
        let (us, per_second) = taken?;
        Ok(sample([
            ("us", us),
            ("ratio", us / floor_us),
            ("per second", per_second),
        ]))
    }
}

/// The share of a turn in which another program may have the server's core. A quiet machine stays below it.
const WAITED_SHARE_MAX: f64 = 0.005;

/// Measures latencies at the fixed rate. A turn in which another program had the server's core is tried once
/// more. The latency does not decide that, so no server's luck is chosen.
pub(crate) fn latency(server: &Server, options: &Options) -> Result<Sample> {
    let rate = format!("--rate {}", options.rate);
    let paced = || turn(server, work("single"), &rate, options);
    let mut report = paced()?;
    if report.server_waited.as_secs_f64() > options.seconds * WAITED_SHARE_MAX {
        report = paced()?;
    }
    let latency = report.latency_us.ok_or("no latencies")?;
    Ok(sample([
        ("p50", latency.p50),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
    ]))
}

/// Measures the p99 of 63 connections at that rate, alone and beside a 64th that pipelines.
pub(crate) fn fairness(server: &Server, options: &Options) -> Result<Sample> {
    let paced = |more: &str| {
        // The last `--connections` counts, not the one of the work.
        let words = format!("--connections 63 --rate {} {more}", options.rate);
        let mut report = turn(server, work("single"), &words, options)?;
        let latency = report.latency_us.take().ok_or("no latencies")?;
        Ok::<_, Box<dyn Error>>((latency.p99, report.flood_per_second.unwrap_or(0.0)))
    };
    let (quiet, _) = paced("")?;
    let (flooded, answers) = paced("--flood")?;
    let ratio = flooded / quiet;
    Ok(sample([
        ("quiet", quiet),
        ("flooded", flooded),
        ("ratio", ratio),
        ("flood per second", answers),
    ]))
}

/// Requests that are loaded on a server under a tool, few and many. Their difference is counted, so that the
/// start and the end of the server drop out.
const TRACED: [u32; 2] = [6_400, 25_600];
const EMULATED: [u32; 2] = [1_600, 8_000];

/// Requests at full speed. With so many, the time to connect is small.
const AT_SPEED: u32 = 128_000;

/// The works at which a server is counted: those that it can do.
fn counted(lacks: &[String]) -> impl Iterator<Item = &'static Work> {
    COUNTED
        .into_iter()
        .map(work)
        .filter(|work| !lacks.contains(&work.needs))
}

fn load_requests(running: &Running, work: &Work, requests: u32, options: &Options) -> Result<()> {
    let words = format!("{} --requests {requests}", work.load);
    load(running, &words, options).map(drop)
}

/// Counts system calls per request: by name under strace, and at full speed by perf if it is there.
pub(crate) fn calls(server: &Server, lacks: &[String], options: &Options) -> Result<Sample> {
    let mut all = Vec::new();
    for work in counted(lacks) {
        let [few, many] = [
            traced(server, work, TRACED[0], options)?,
            traced(server, work, TRACED[1], options)?,
        ];
        let each = |(call, count): (&String, &f64)| {
            let before = few.get(call).copied().unwrap_or(0.0);
            (
                call.clone(),
                (count - before) / f64::from(TRACED[1] - TRACED[0]),
            )
        };
        let by_name: Sample = many
            .iter()
            .map(each)
            .filter(|(_, each)| *each >= 0.0005)
            .collect();
        all.push((
            work.name.clone(),
            by_name.iter().map(|(_, each)| each).sum(),
        ));
        let at_speed = at_speed(server, work, options).ok();
        all.extend(at_speed.map(|count| (format!("{} at speed", work.name), count)));
        all.extend(
            by_name
                .into_iter()
                .map(|(call, each)| (format!("{} {call}", work.name), each)),
        );
    }
    Ok(all)
}

fn traced(
    server: &Server,
    work: &Work,
    requests: u32,
    options: &Options,
) -> Result<BTreeMap<String, f64>> {
    let file = scratch("strace");
    let strace = format!("strace -c -f -qq -o {}", file.display());
    let mut running = Running::start(&strace, server, work.arguments_of(server), options)?;
    running.step_into_child()?;
    load_requests(&running, work, requests, options)?;
    running.end()?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    Ok(text.lines().filter_map(summary_row).collect())
}

/// Reads a row of `strace -c`: the fourth column counts, the last one names.
fn summary_row(line: &str) -> Option<(String, f64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = words.last().filter(|name| **name != "total")?;
    Some(((*name).to_owned(), words.get(3)?.parse().ok()?))
}

fn at_speed(server: &Server, work: &Work, options: &Options) -> Result<f64> {
    let file = scratch("perf");
    let running = Running::start("", server, work.arguments_of(server), options)?;
    let mut perf = Command::new("perf");
    perf.args("stat -x , -e raw_syscalls:sys_enter".split(' '));
    perf.args(["-p", &running.pid.to_string(), "-o"]).arg(&file);
    let mut perf = perf.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    std::thread::sleep(Duration::from_millis(300)); // perf attaches
    let loaded = load_requests(&running, work, AT_SPEED, options);
    kill(Pid::from_raw(i32::try_from(perf.id())?), Signal::SIGINT)?;
    perf.wait()?;
    loaded?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let line = text
        .lines()
        .find(|line| line.contains("raw_syscalls"))
        .ok_or("perf counted no calls")?;
    let count: f64 = line.split(',').next().unwrap_or_default().parse()?;
    Ok(count / f64::from(AT_SPEED))
}

/// Counts user instructions per request by callgrind.
pub(crate) fn instructions(server: &Server, lacks: &[String], options: &Options) -> Result<Sample> {
    let each = |work: &'static Work| {
        // Once more, because now and then the output of valgrind is cut short.
        let count = |requests| {
            emulated(server, work, requests, options)
                .or_else(|_| emulated(server, work, requests, options))
        };
        let more = count(EMULATED[1])? - count(EMULATED[0])?;
        Ok((
            work.name.clone(),
            more / f64::from(EMULATED[1] - EMULATED[0]),
        ))
    };
    counted(lacks).map(each).collect()
}

fn emulated(server: &Server, work: &Work, requests: u32, options: &Options) -> Result<f64> {
    // A folder, because a script may call other programs before it becomes the server.
    let folder = scratch("callgrind");
    std::fs::create_dir_all(&folder)?;
    let callgrind = format!(
        "valgrind --quiet --tool=callgrind --trace-children=yes --callgrind-out-file={}/%p",
        folder.display()
    );
    let mut running = Running::start(&callgrind, server, work.arguments_of(server), options)?;
    load_requests(&running, work, requests, options)?;
    running.end()?;
    let text = std::fs::read_to_string(folder.join(running.pid.to_string()));
    std::fs::remove_dir_all(&folder)?;
    let text = text?;
    let total = |line: &'_ str| {
        line.strip_prefix("totals:")
            .or(line.strip_prefix("summary:"))
            .map(str::to_owned)
    };
    Ok(text
        .lines()
        .rev()
        .find_map(total)
        .ok_or("callgrind counted no instructions")?
        .trim()
        .parse()?)
}

/// Measures resident memory: after ten requests, and per idle connection that has made one request. Once
/// more with a handler whose future holds 4 KiB.
pub(crate) fn memory(server: &Server, options: &Options) -> Result<Sample> {
    let (start, each) = resident(server, options)?;
    let mut all = sample([("start bytes", start), ("per connection", each)]);
    if let Some(large) = server.large() {
        large.build()?;
        all.extend(sample([(
            "per connection, large",
            resident(&large, options)?.1,
        )]));
    }
    Ok(all)
}

fn resident(server: &Server, options: &Options) -> Result<(f64, f64)> {
    let running = Running::start("", server, "", options)?;
    let bytes = |words: &str| -> Result<f64> {
        let report = load(
            &running,
            &format!("--path {} {words}", server.path()),
            options,
        )?;
        Ok(report.resident_bytes.ok_or("no memory")?)
    };
    let Options { idle, settle, .. } = options;
    let start = bytes("--connections 1 --requests 10")?;
    let held = bytes(&format!("--connections {idle} --hold {settle}"))?;
    Ok((start, (held - start) / f64::from(*idle)))
}

/// Measures answers per second by wrk and by the load generator of this folder.
pub(crate) fn wrk(server: &Server, options: &Options) -> Result<Sample> {
    let (_, own) = cpu(server, work("single"), options)?;
    let running = Running::start("", server, "", options)?;
    let (core, seconds) = (options.load_core, options.seconds.ceil().max(1.0));
    let words = format!(
        "taskset --cpu-list {core} wrk --threads 1 --connections 64 --duration {seconds} http://{}/plaintext",
        running.address
    );
    let text = text(&mut bounded(60, &words))?;
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err("wrk saw errors".into());
    }
    let said = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    let counted = said.ok_or("wrk counted no answers")?.trim().parse()?;
    Ok(sample([("wrk", counted), ("own", own)]))
}

/// Measures a clean build of a server: its binary, its dependencies and the seconds.
pub(crate) fn footprint(server: &Server) -> Result<Sample> {
    let choice = server.choice().ok_or("not built by cargo")?;
    let words = choice.clone() + &server.binary();
    let seconds = clean_build(folder(), &words)?;
    text(&mut build(folder(), &target()?, &words))?;
    let name = server.binary().replace("--bin ", "release/");
    let bytes = stripped_bytes(&target()?.join(name))?;
    // Macros and build scripts do not count, and neither does the package itself.
    let tree = format!("{choice} --edges normal,no-proc-macro");
    let dependencies = crates(folder(), &tree)? - 1.0;
    Ok(sample([
        ("binary bytes", bytes),
        ("dependencies", dependencies),
        ("build seconds", seconds),
    ]))
}

/// Measures clean builds of Waterwheel itself, without features and with all of them.
pub(crate) fn builds() -> Result<BTreeMap<String, Figures>> {
    let measure = |(features, example, kind): (&str, &str, &str)| {
        let seconds = clean_build(project(), features)?;
        let target = target()?.join("project");
        let words = format!("{features} --example {example}");
        text(&mut build(project(), &target, &words))?;
        let bytes = stripped_bytes(&target.join("release/examples").join(example))?;
        let crates = crates(project(), &format!("{features} --edges no-dev"))?;
        let figures = [
            ("crates", crates),
            ("seconds", seconds),
            ("binary bytes", bytes),
        ];
        let exactly = figures.map(|(name, value)| (name.to_owned(), [value; 3].into()));
        Ok((kind.to_owned(), exactly.into()))
    };
    let kinds = [
        ("", "hello", "default, example `hello`"),
        ("--all-features", "site", "all features, example `site`"),
    ];
    kinds.into_iter().map(measure).collect()
}

/// Builds from an empty target folder. Returns the seconds.
fn clean_build(workspace: &Path, words: &str) -> Result<f64> {
    let folder = scratch("build");
    let begun = Instant::now();
    text(&mut build(workspace, &folder, words))?;
    let seconds = begun.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&folder)?;
    Ok(seconds)
}

/// Counts the crates of a build, without the `listener` of this folder and its own dependencies.
fn crates(workspace: &Path, words: &str) -> Result<f64> {
    let tree = |more: &str| {
        let words = format!("cargo tree --prefix none --no-dedupe --format {{p}} {words} {more}");
        text(bounded(120, &words).current_dir(workspace))
    };
    let mut text = tree("")?;
    if text.lines().any(|line| line.starts_with("listener ")) {
        text = tree("--prune listener")?;
    }
    let names: BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    Ok(f64::from(u32::try_from(names.len())?))
}

/// Returns the bytes of a binary without its symbols.
#[expect(clippy::cast_precision_loss, reason = "bytes stay far below 2^52")]
fn stripped_bytes(binary: &Path) -> Result<f64> {
    let stripped = scratch("stripped");
    text(bounded(60, "strip -o").arg(&stripped).arg(binary))?;
    let bytes = stripped.metadata()?.len();
    std::fs::remove_file(&stripped)?;
    Ok(bytes as f64)
}

/// Runs a program that prints its own tables: a package of this workspace, or a bench of the project.
pub(crate) fn tables(name: &str) -> Result<String> {
    let (workspace, words, target) = match name {
        "gate" => (
            project(),
            "bench --quiet --bench",
            target()?.join("project"),
        ),
        _ => (folder(), "run --release --quiet --package", target()?),
    };
    let name = match name {
        "tls" | "websocket" | "gzip" => format!("features -- {name}"),
        name => name.to_owned(),
    };
    let mut cargo = bounded(1_800, &format!("cargo {words} {name}"));
    text(cargo.env("CARGO_TARGET_DIR", target).current_dir(workspace))
}

#[cfg(test)]
mod tests {
    use super::summary_row;

    #[test]
    fn a_row_of_strace_is_read_with_and_without_errors() {
        let rows = [
            (
                "57.42    0.000542           0      1000           sendto",
                Some(("sendto", 1000.0)),
            ),
            (
                "42.58    0.000402           0      1010        10 recvfrom",
                Some(("recvfrom", 1010.0)),
            ),
            (
                "% time     seconds  usecs/call     calls    errors syscall",
                None,
            ),
            (
                "------ ----------- ----------- --------- --------- ----------------",
                None,
            ),
            (
                "100.00    0.000944           0      2010        10 total",
                None,
            ),
        ];
        for (line, expected) in rows {
            let expected = expected.map(|(name, count)| (name.to_owned(), count));
            assert_eq!(summary_row(line), expected, "{line}");
        }
    }
}
