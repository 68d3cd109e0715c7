//! Says back what it was sent: what conformance and load tools are run against.
//!
//! ```text
//! cargo run --release --example echo [ADDRESS] [--head-timeout S] [--idle-timeout S]
//!     [--body-timeout S] [--write-timeout S] [--max-body BYTES]
//! ```
//!
//! `/slow?ms=N` answers after N milliseconds, `/big` with 8 MiB or the `Range` of it that was asked
//! for, `/panic` panics.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::ops::Range;
use std::time::Duration;
use std::{error, io};

use lexopt::{Arg, ValueExt};
use waterwheel::http::{Headers, Limits, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal, time::sleep};

static BIG: [u8; 8 * 1024 * 1024] = [b'w'; 8 * 1024 * 1024];

async fn echo(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/slow" => sleep(slowness(request.query())).await,
        "/big" => return big(request).await,
        "/panic" => panic!("asked to"),
        _ => {}
    }
    let peer = request.peer_address().map(|peer| peer.to_string());
    let headers = [
        ("content-type", "text/plain"),
        ("x-method", request.method().as_str()),
        ("x-target", request.target()),
        ("x-framing", framing(request.headers())),
        ("x-peer", peer.as_deref().unwrap_or_default()),
    ];
    let body = request.bytes().await?;
    request.respond(StatusCode::OK, body, headers).await
}

/// How the request's body was framed (RFC 9112, 6).
fn framing(headers: Headers<'_>) -> &'static str {
    if headers.contains("transfer-encoding") {
        "chunked"
    } else if headers.contains("content-length") {
        "sized"
    } else {
        "none"
    }
}

async fn big(request: Request<'_>) -> Result<Responded> {
    let Some(range) = asked_range(&request) else {
        let headers = [("content-type", "text/plain"), ("accept-ranges", "bytes")];
        return request.respond(StatusCode::OK, &BIG, headers).await;
    };
    let place = format!("bytes {}-{}/{}", range.start, range.end - 1, BIG.len());
    let headers = [("content-type", "text/plain"), ("content-range", &place)];
    let part = &BIG[range];
    request
        .respond(StatusCode::PARTIAL_CONTENT, part, headers)
        .await
}

/// The `FIRST-LAST` of a `Range: bytes=FIRST-LAST`, to GET only; any other may be ignored, and is
/// (RFC 9110, 14.2).
fn asked_range(request: &Request<'_>) -> Option<Range<usize>> {
    let range = request.headers().get("range")?.strip_prefix("bytes=")?;
    let (first, last) = range.split_once('-')?;
    let range = first.parse().ok()?..last.parse::<usize>().ok()?.checked_add(1)?;
    let is_inside = !range.is_empty() && range.end <= BIG.len();
    (is_inside && request.method() == Method::GET).then_some(range)
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
        println!("{}", server.serve_until(echo, shutdown).await?);
        Ok(())
    })
    .map_err(|error: io::Error| error.into())
}
