//! System calls per request: by name under strace, and at full speed from the kernel's trace point.

use crate::bounded;
use crate::figures::Calls;
use crate::generator;
use crate::options::Options;
use crate::running::Running;
use crate::servers::Server;
use crate::works::Work;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Two counts of requests; their difference is what is counted, so that start and end drop out.
const TRACED: [u32; 2] = [6_400, 25_600];

/// Requests at full speed, so many that connecting does not show.
const AT_SPEED: u32 = 128_000;

/// How long perf may take to write what it counted.
const PERF_TIME_MAX: Duration = Duration::from_secs(10);

/// How long perf takes to attach.
const ATTACH_TIME: Duration = Duration::from_millis(300);

/// Counts the calls of one server at one work.
///
/// # Errors
/// If strace is not there, or the server fails under it.
pub(crate) fn count(
    server: &Server,
    work: &Work,
    options: &Options,
) -> Result<Calls, Box<dyn Error>> {
    let few = traced(server, work, TRACED[0], options)?;
    let many = traced(server, work, TRACED[1], options)?;
    let requests = f64::from(TRACED[1] - TRACED[0]);
    let mut by_name = BTreeMap::new();
    for (name, count) in &many {
        let more = count - few.get(name).copied().unwrap_or(0.0);
        if more / requests >= 0.0005 {
            by_name.insert(name.clone(), more / requests);
        }
    }
    let traced = by_name.values().sum();
    Ok(Calls {
        at_speed: at_speed(server, work, options).ok(),
        traced,
        by_name,
    })
}

fn traced(
    server: &Server,
    work: &Work,
    requests: u32,
    options: &Options,
) -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
    let file = scratch("strace");
    let path = file.display().to_string();
    let wrapper = ["strace", "-c", "-f", "-qq", "-o", &path].map(str::to_owned);
    let own = if server.is_floor() { work.floor } else { &[] };
    let mut running = Running::start_under(&wrapper, server, own, options.server_core)?;
    running.pid = *running.children()?.first().ok_or("strace has no child")?;
    generator::run(
        &running,
        &[work.load, &["--requests", &requests.to_string()]].concat(),
        options,
    )?;
    running.end()?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    Ok(summary(&text))
}

/// Reads the table of `strace -c`: the fourth column counts, the last names.
fn summary(text: &str) -> BTreeMap<String, f64> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let count = words.get(3)?.parse().ok()?;
        let name = words.last().filter(|name| **name != "total")?;
        Some(((*name).to_owned(), count))
    };
    text.lines().filter_map(row).collect()
}

/// Counts at full speed through perf.
fn at_speed(server: &Server, work: &Work, options: &Options) -> Result<f64, Box<dyn Error>> {
    let file = scratch("perf");
    let own = if server.is_floor() { work.floor } else { &[] };
    let running = Running::start(server, own, options.server_core)?;
    let perf = Command::new("perf")
        .args([
            "stat",
            "-x",
            ",",
            "-e",
            "raw_syscalls:sys_enter",
            "-p",
            &running.pid.to_string(),
            "-o",
        ])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    thread::sleep(ATTACH_TIME);
    let loaded = generator::run(
        &running,
        &[work.load, &["--requests", &AT_SPEED.to_string()]].concat(),
        options,
    );
    kill(Pid::from_raw(i32::try_from(perf.id())?), Signal::SIGINT)?;
    bounded::wait(perf, PERF_TIME_MAX)?;
    loaded?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let line = text
        .lines()
        .find(|line| line.contains("raw_syscalls"))
        .ok_or("perf counted nothing")?;
    let count: f64 = line.split(',').next().unwrap_or_default().parse()?;
    Ok(count / f64::from(AT_SPEED))
}

/// A file of this process in the folder for such files.
pub(crate) fn scratch(what: &str) -> PathBuf {
    std::env::temp_dir().join(format!("compare-{what}-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn the_table_of_strace_is_read_with_and_without_errors() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            57.42    0.000542           0      1000           sendto\n \
            42.58    0.000402           0      1010        10 recvfrom\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.000944           0      2010        10 total\n";
        let expected = [
            ("recvfrom".to_owned(), 1010.0),
            ("sendto".to_owned(), 1000.0),
        ];
        assert_eq!(summary(text).into_iter().collect::<Vec<_>>(), expected);
    }
}
