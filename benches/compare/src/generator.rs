//! Runs the load generator and reads what it reports.

use crate::bounded;
use crate::options::Options;
use crate::pin;
use crate::running::Running;
use crate::servers::target_folder;
use serde::Deserialize;
use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long one run may take, all in all; it has shorter limits of its own.
const RUN_TIME_MAX: Duration = Duration::from_secs(300);

/// One line of the load generator.
#[derive(Deserialize)]
pub(crate) struct Report {
    /// Answers, all of them right.
    pub(crate) requests: u64,
    /// Persistent connections that the server closed nevertheless.
    pub(crate) reconnects: u64,
    /// Answers a second.
    pub(crate) requests_per_second: f64,
    /// CPU time of the server per request.
    pub(crate) server_cpu_us_per_request: Option<f64>,
    /// Latencies of an open loop.
    pub(crate) latency_us: Option<Latency>,
    /// Answers a second to the connection that pipelines flat out.
    pub(crate) flood_per_second: Option<f64>,
    /// How long the server was ready meanwhile, but something else ran on its core; not the generator's
    /// to say.
    #[serde(skip)]
    pub(crate) server_waited: Duration,
}

/// Latencies in microseconds, counted from when a request was due.
#[derive(Deserialize)]
pub(crate) struct Latency {
    /// Half of the answers are as fast as this.
    pub(crate) p50: f64,
    /// All but one in a hundred.
    pub(crate) p99: f64,
    /// All but one in a thousand.
    pub(crate) p999: f64,
    /// The time in which something else ran in the generator's place, which was taken off.
    pub(crate) stalled: f64,
}

/// Loads a server and waits for the report.
///
/// # Errors
/// With what the load generator complains of.
pub(crate) fn run(
    server: &Running,
    arguments: &[&str],
    options: &Options,
) -> Result<Report, Box<dyn Error>> {
    let waited_before = server.waited();
    let child = start(server, arguments, options)?;
    let output = bounded::wait(child, RUN_TIME_MAX)?;
    if !output.status.success() {
        return Err(bounded::complaint(&output).into());
    }
    Ok(Report {
        server_waited: server.waited().saturating_sub(waited_before),
        ..serde_json::from_slice(&output.stdout)?
    })
}

/// Starts the load generator on its core.
///
/// # Errors
/// If it does not start.
pub(crate) fn start(
    server: &Running,
    arguments: &[&str],
    options: &Options,
) -> Result<Child, Box<dyn Error>> {
    let mut command = Command::new(target_folder()?.join("release/load"));
    command.arg(server.address.to_string()).args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(pin::spawn_on(options.load_core, &mut command)?)
}
