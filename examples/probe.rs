//! A careful origin server: what compliance probes are pointed at.
//!
//! ```text
//! cargo run --release --example probe [ADDRESS]
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `GET /`, `HEAD /` | 200, `OK` |
//! | `POST /` | 200, the request's body |
//! | `OPTIONS /`, `OPTIONS *` | 204 with Allow |
//! | `/echo` | 200, one `Name: value` line for each field received |
//! | `/cookie` | 200, one `name=value` line for each cookie |
//! | an upgrade to a WebSocket version that is not 13 | 426 |
//! | a known method that is not allowed, CONNECT | 405 with Allow |
//! | an unknown method | 501 |
//! | any other path | 404 |
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::io;

use waterwheel::http::{Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");
const ALLOW: (&str, &str) = ("allow", "GET, HEAD, POST, OPTIONS");

/// The requests that `tests/others/suites.rs` sends too.
pub(crate) async fn probe(request: Request<'_>) -> Result<Responded> {
    if request.offers("websocket") && request.headers().get("sec-websocket-version") != Some("13") {
        let wanted = [
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            TEXT,
        ];
        return request
            .respond(StatusCode::UPGRADE_REQUIRED, "version 13 only\n", wanted)
            .await;
    }
    match *request.method() {
        Method::OPTIONS => request.respond(StatusCode::NO_CONTENT, "", [ALLOW]).await,
        Method::GET | Method::HEAD | Method::POST => serve(request).await,
        Method::PUT | Method::DELETE | Method::PATCH | Method::CONNECT | Method::TRACE => {
            request
                .respond(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "not allowed\n",
                    [ALLOW, TEXT],
                )
                .await
        }
        _ => {
            request
                .respond(StatusCode::NOT_IMPLEMENTED, "unknown method\n", [TEXT])
                .await
        }
    }
}

async fn serve(request: Request<'_>) -> Result<Responded> {
    let (status, body) = match request.path() {
        "/" if *request.method() == Method::POST => (StatusCode::OK, request.bytes().await?),
        "/" => (StatusCode::OK, b"OK".to_vec()),
        "/echo" => (StatusCode::OK, fields(&request)),
        "/cookie" => (StatusCode::OK, cookies(&request)),
        _ => (StatusCode::NOT_FOUND, b"not found\n".to_vec()),
    };
    request.respond(status, body, [TEXT]).await
}

fn fields(request: &Request<'_>) -> Vec<u8> {
    let line = |(name, value): (&str, &[u8])| [name.as_bytes(), b": ", value, b"\n"].concat();
    request.headers().iter().flat_map(line).collect()
}

fn cookies(request: &Request<'_>) -> Vec<u8> {
    let fields = request.headers().get_all("cookie");
    fields
        .flat_map(|field| field.split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| pair.contains(&b'='))
        .flat_map(|pair| [pair, b"\n"].concat())
        .collect()
}

fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(probe, shutdown).await?);
        Ok(())
    })
}
