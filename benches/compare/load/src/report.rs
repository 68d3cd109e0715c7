//! What came of a run, as one line of JSON.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::error::Error;
use std::time::Duration;

/// The line.
#[derive(Serialize)]
pub(crate) struct Report {
    requests: u64,
    reconnects: u64,
    seconds: f64,
    requests_per_second: f64,
    server_cpu_us_per_request: Option<f64>,
    server_busy: Option<f64>,
    generator_cpu_us_per_request: f64,
    generator_busy: f64,
    latency_us: Option<Latency>,
    flood_per_second: Option<f64>,
}

/// Latencies of an open loop, counted from when a request was due.
#[derive(Serialize)]
pub(crate) struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
    /// The time in which something else ran in the generator's place, which was taken off.
    stalled: f64,
}

impl Report {
    /// Turns counts and times into rates.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(crate) fn new(
        requests: u64,
        reconnects: u64,
        elapsed: Duration,
        server: Option<Duration>,
        own: Duration,
        latency: Option<Latency>,
        flood: Option<u64>,
    ) -> Self {
        let seconds = elapsed.as_secs_f64();
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / requests.max(1) as f64;
        Self {
            requests,
            reconnects,
            seconds,
            requests_per_second: requests as f64 / seconds,
            server_cpu_us_per_request: server.map(each),
            server_busy: server.map(|cpu| cpu.as_secs_f64() / seconds),
            generator_cpu_us_per_request: each(own),
            generator_busy: own.as_secs_f64() / seconds,
            latency_us: latency,
            flood_per_second: flood.map(|answers| answers as f64 / seconds),
        }
    }
}

impl Latency {
    /// Reads the percentiles.
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

/// Prints it.
///
/// # Errors
/// If it cannot be rendered.
pub(crate) fn print(report: &Report) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}
