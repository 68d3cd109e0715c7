//! Whole requests: from the first byte of the head to the last of the answer, with the turns of the
//! loop that it takes.

use gungraun::{library_benchmark, library_benchmark_group};
use waterwheel::http::{Request, Responded, Result, StatusCode};

use crate::wire::{self, connected, served};

const HEADERS: [(&str, &str); 1] = [("content-type", "text/plain")];

async fn hello(request: Request<'_>) -> Result<Responded> {
    request
        .respond(StatusCode::OK, "Hello, World!", HEADERS)
        .await
}

async fn echo(request: Request<'_>) -> Result<Responded> {
    let body = request.bytes().await?;
    request.respond(StatusCode::OK, body, HEADERS).await
}

#[library_benchmark]
fn get() {
    served(hello, wire::GET);
}

#[library_benchmark]
fn get_16_pipelined() {
    served(hello, wire::GET.repeat(16));
}

fn kibibyte() -> String {
    let body = "x".repeat(1024);
    format!("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1024\r\n\r\n{body}")
}

#[library_benchmark]
#[bench::kibibyte(kibibyte())]
fn post_echoed(bytes: String) {
    served(echo, bytes);
}

// From a connection's beginning to its end, with one request on it.
#[library_benchmark]
fn connection_of_one_request() {
    connected(
        hello,
        "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n",
    );
}

library_benchmark_group!(
    name = requests,
    benchmarks = [
        get,
        get_16_pipelined,
        post_echoed,
        connection_of_one_request
    ]
);
