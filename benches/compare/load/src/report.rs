//! The result of a run, as one line of JSON.

use hdrhistogram::Histogram;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::Serialize;
use std::error::Error;
use std::time::{Duration, Instant};

/// The line.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    /// Persistent connections that the server closed nevertheless.
    pub(crate) reconnects: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) server_cpu_us_per_request: Option<f64>,
    pub(crate) server_busy: Option<f64>,
    pub(crate) generator_busy: f64,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) latency_us: Option<Latency>,
    pub(crate) flood_per_second: Option<f64>,
}

/// Latencies of an open loop, counted from when a request was due.
#[derive(Serialize)]
pub(crate) struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
    /// The time in which the machine ran another program in place of the generator. It does not count.
    stalled: f64,
}

impl Latency {
    #[expect(
        clippy::cast_precision_loss,
        reason = "nanoseconds of at most a minute"
    )]
    pub(crate) fn new(histogram: &Histogram<u64>, stalled: Duration) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
            stalled: stalled.as_secs_f64() * 1e6,
        }
    }
}

/// A point in time, and the CPU time that both processes have used until then, with all their threads.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) at: Instant,
    server: Option<Duration>,
    generator: Duration,
}

impl Mark {
    /// # Errors
    /// Returns an error if the server is gone.
    pub(crate) fn now(server: Option<i32>) -> nix::Result<Self> {
        let used = |pid| clock_gettime(clock_getcpuclockid(Pid::from_raw(pid))?);
        let generator = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
        Ok(Self {
            at: Instant::now(),
            server: server.map(used).transpose()?.map(Duration::from),
            generator: generator.into(),
        })
    }

    /// Returns the rates of the time between two marks.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(crate) fn report(&self, end: &Self, requests: u64, flood: Option<u64>) -> Report {
        let seconds = (end.at - self.at).as_secs_f64();
        let server = self.server.zip(end.server);
        let server = server.map(|(before, after)| after.saturating_sub(before).as_secs_f64());
        let generator = end.generator.saturating_sub(self.generator);
        Report {
            requests,
            requests_per_second: requests as f64 / seconds,
            server_cpu_us_per_request: server.map(|cpu| cpu * 1e6 / requests.max(1) as f64),
            server_busy: server.map(|cpu| cpu / seconds),
            generator_busy: generator.as_secs_f64() / seconds,
            flood_per_second: flood.map(|answers| answers as f64 / seconds),
            ..Report::default()
        }
    }
}

/// Returns the resident memory of a process, from `/proc/PID/status` (`proc_pid_status(5)`).
///
/// # Errors
/// Returns an error if the process is gone.
pub(crate) fn resident_bytes(pid: i32) -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: u64 = line
        .ok_or("no VmRSS")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kibibytes * 1024)
}
