//! A load generator that checks every answer.
//!
//! One thread, edge-triggered over mio. The loop is closed by default: a connection sends a batch of requests
//! in one write, waits for all their answers, and sends the next batch. With `--rate` the loop is open:
//! requests fall due by the clock, also if the server is late, and a latency counts from the moment when its
//! request was due. So a stalled server cannot hide its stall (coordinated omission). A request without an
//! answer at the end counts with the time it has waited. That clock stands still while the machine runs
//! another program in place of the generator (`own_clock`). With `--flood` one more connection pipelines as
//! fast as the server answers. The program prints one line of JSON.

mod answer;
mod connection;
mod own_clock;
mod report;
mod request;
mod run;

use clap::{Parser, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

/// The fields of a request's head beside its `Host`.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Head {
    /// None.
    Bare,
    /// The fields of a browser, the same every time.
    Typical,
    /// The same, with a query and a cookie that no other request has.
    Varied,
}

/// A load generator that checks every answer.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Options {
    /// Where the server listens.
    address: SocketAddr,
    /// Connections that are open at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Requests in one write.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    depth: u16,
    /// One request for each connection, with `Connection: close`.
    #[arg(long)]
    close: bool,
    /// The target of the request.
    #[arg(long, default_value = "/plaintext")]
    path: String,
    /// Bytes of a body to POST. Without it, the method is GET.
    #[arg(long)]
    post: Option<usize>,
    /// The fields of the head.
    #[arg(long, default_value = "bare")]
    head: Head,
    /// A further field, `name: value`.
    #[arg(long)]
    header: Vec<String>,
    /// Seconds that count.
    #[arg(long, default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Ends after this number of answers instead.
    #[arg(long)]
    requests: Option<u64>,
    /// Seconds before those that count.
    #[arg(long, default_value = "0", value_parser = seconds)]
    warm_up: Duration,
    /// Requests per second in an open loop. Without it, the loop is closed.
    #[arg(long)]
    rate: Option<u32>,
    /// One more connection, which pipelines as fast as the server answers.
    #[arg(long, requires = "rate")]
    flood: bool,
    /// The server's process, whose CPU time and memory are reported.
    #[arg(long)]
    pid: Option<i32>,
    /// Makes one request on each connection and holds the connections for some seconds.
    #[arg(long, value_parser = seconds)]
    hold: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let report = match options.hold {
        Some(duration) => run::hold(&options, duration)?,
        None => run::run(&options)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
