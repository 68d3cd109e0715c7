//! Other programs: each has a time limit, and a server ends when its value is dropped.

use crate::options::Options;
use crate::servers::{Server, target};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use std::error::Error;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to start. Under valgrind that is long.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a server may take to end before it is killed.
const END_TIME_MAX: Duration = Duration::from_secs(10);

/// A command of these words, which may take this number of seconds.
pub(crate) fn bounded(seconds: u32, words: &str) -> Command {
    let mut timeout = Command::new("timeout");
    timeout
        .args(["--foreground", "--kill-after=5"])
        .arg(seconds.to_string());
    timeout.args(words.split_whitespace()).stdin(Stdio::null());
    timeout
}

/// Runs a [`bounded`] command and returns its standard output.
///
/// # Errors
/// Returns the first error line of the command if it fails, or else its last line.
pub(crate) fn text(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    if output.status.code() == Some(124) {
        return Err("not done in time".into());
    }
    Err(complaint(&String::from_utf8_lossy(&output.stderr)).into())
}

fn complaint(errors: &str) -> String {
    let mut lines = errors.lines().filter(|line| !line.trim().is_empty());
    let error = lines.clone().find(|line| line.starts_with("error"));
    let line = error
        .or_else(|| lines.next_back())
        .unwrap_or("failed without a message");
    line.trim_start_matches("Error: ")
        .trim_matches('"')
        .to_owned()
}

/// A file of this process in the folder for temporary files.
pub(crate) fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("compare-{name}-{}", std::process::id()))
}

/// A server process.
pub(crate) struct Running {
    child: Child,
    /// The process that serves: the child, or the child's child under strace.
    pub(crate) pid: i32,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts a server on its core, as an argument of the words of `wrapper`, and waits until it listens.
    ///
    /// # Errors
    /// Returns the last line of the server's errors if it ends at once.
    pub(crate) fn start(
        wrapper: &str,
        server: &Server,
        arguments: &str,
        options: &Options,
    ) -> Result<Self, Box<dyn Error>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // it is free now
        let errors = scratch("errors");
        let mut command = server.command(wrapper, &address.to_string(), options.server_core)?;
        command.args(arguments.split_whitespace());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(std::fs::File::create(&errors)?).spawn()?;
        let pid = i32::try_from(child.id())?;
        let mut running = Self {
            child,
            pid,
            address,
        };
        let deadline = Instant::now() + START_TIME_MAX;
        while TcpStream::connect(address).is_err() {
            if running.child.try_wait()?.is_some() {
                return Err(complaint(&std::fs::read_to_string(errors)?).into());
            }
            if Instant::now() > deadline {
                return Err("does not listen in time".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        std::fs::remove_file(errors)?;
        Ok(running)
    }

    /// Returns how long its threads were ready until now while another program had their core: the second
    /// number of `/proc/PID/task/TID/schedstat`. Zero if the kernel does not count it.
    fn waited(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid));
        let of_task = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        Duration::from_nanos(tasks.map_or(0, |tasks| tasks.filter_map(of_task).sum()))
    }

    /// Makes its child the process that serves, below a wrapper that stays.
    pub(crate) fn step_into_child(&mut self) -> Result<(), Box<dyn Error>> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        self.pid = children
            .split_whitespace()
            .next()
            .ok_or("no child")?
            .parse()?;
        Ok(())
    }

    /// Ends it and waits for its end.
    pub(crate) fn end(&mut self) -> Result<(), Box<dyn Error>> {
        kill(Pid::from_raw(self.pid), Signal::SIGTERM).ok();
        let deadline = Instant::now() + END_TIME_MAX;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                kill(Pid::from_raw(self.pid), Signal::SIGKILL).ok();
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("could not end process {}: {error}", self.pid);
        }
    }
}

/// The report of the load generator.
#[derive(Deserialize)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) reconnects: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) server_cpu_us_per_request: Option<f64>,
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) latency_us: Option<Latency>,
    pub(crate) flood_per_second: Option<f64>,
    /// How long the server was ready while another program had its core.
    #[serde(skip)]
    pub(crate) server_waited: Duration,
}

/// Latencies in microseconds, counted from when a request was due.
#[derive(Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// Loads a running server and waits for the report.
///
/// # Errors
/// Returns the error of the load generator.
pub(crate) fn load(
    server: &Running,
    words: &str,
    options: &Options,
) -> Result<Report, Box<dyn Error>> {
    let waited_before = server.waited();
    let mut command = bounded(300, &format!("taskset --cpu-list {}", options.load_core));
    command
        .arg(target()?.join("release/load"))
        .arg(server.address.to_string());
    command
        .args(["--pid", &server.pid.to_string()])
        .args(words.split_whitespace());
    let report: Report = serde_json::from_str(&text(&mut command)?)?;
    let server_waited = server.waited().saturating_sub(waited_before);
    Ok(Report {
        server_waited,
        ..report
    })
}

#[cfg(test)]
mod tests {
    use super::{bounded, text};

    #[test]
    fn a_program_that_takes_too_long_is_ended_and_one_that_fails_says_why() {
        let error = |command: &mut super::Command| text(command).map_err(|error| error.to_string());
        let slow = error(&mut bounded(1, "sleep 60"));
        assert_eq!(slow, Err("not done in time".to_owned()));
        let failing = error(bounded(10, "sh -c").arg("echo no such thing >&2; exit 1"));
        assert_eq!(failing, Err("no such thing".to_owned()));
    }
}
