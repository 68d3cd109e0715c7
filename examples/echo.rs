//! Says back what it was sent: what conformance and load tools are run against.
//!
//! ```text
//! cargo run --release --example echo [ADDRESS] [--head-timeout S] [--idle-timeout S]
//!     [--body-timeout S] [--write-timeout S] [--max-body BYTES]
//! ```
//!
//! `/slow?ms=N` answers after N milliseconds, `/big` with 8 MiB, `/panic` panics.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;
use std::{error, io};

use lexopt::{Arg, ValueExt};
use waterwheel::http::{Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal, time::sleep};

static BIG: [u8; 8 * 1024 * 1024] = [b'w'; 8 * 1024 * 1024];

async fn echo(request: Request<'_>) -> Result<Responded> {
    let headers = [
        ("content-type", "text/plain"),
        ("x-method", request.method().as_str()),
        ("x-target", request.target()),
    ];
    match request.path() {
        "/slow" => sleep(slowness(request.query())).await,
        "/big" => return request.respond(StatusCode::OK, &BIG, headers).await,
        "/panic" => panic!("asked to"),
        _ => {}
    }
    let body = request.bytes().await?;
    request.respond(StatusCode::OK, body, headers).await
}

/// The `N` of `ms=N`; nothing else is looked at.
fn slowness(query: Option<&str>) -> Duration {
    let milliseconds = query
        .and_then(|query| query.strip_prefix("ms="))
        .and_then(|number| number.parse().ok());
    Duration::from_millis(milliseconds.unwrap_or(0))
}

fn arguments() -> std::result::Result<(String, Limits), lexopt::Error> {
    let mut address = "127.0.0.1:8080".to_owned();
    let mut limits = Limits::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("head-timeout") => limits.head_duration_max = seconds(&mut parser)?,
            Arg::Long("idle-timeout") => limits.idle_duration_max = seconds(&mut parser)?,
            Arg::Long("body-timeout") => limits.body_stall_duration_max = seconds(&mut parser)?,
            Arg::Long("write-timeout") => limits.write_stall_duration_max = seconds(&mut parser)?,
            Arg::Long("max-body") => limits.body_bytes_max = parser.value()?.parse()?,
            Arg::Value(value) => address = value.string()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok((address, limits))
}

fn seconds(parser: &mut lexopt::Parser) -> std::result::Result<Duration, lexopt::Error> {
    parser
        .value()?
        .parse_with(|text| Duration::try_from_secs_f64(text.parse().unwrap_or(f64::NAN)))
}

fn main() -> std::result::Result<(), Box<dyn error::Error>> {
    let (address, limits) = arguments()?;
    runtime::block_on(async {
        let server = Server::builder().limits(limits).bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        runtime::race(server.serve(echo), async { shutdown.await.map(drop) }).await
    })
    .map_err(|error: io::Error| error.into())
}
