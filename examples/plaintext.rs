//! Serves the paths that benchmarks request: `/plaintext`, `/json`, and `/echo`, which returns the body.
//!
//! ```text
//! cargo run --release --example plaintext [ADDRESS]
//! ```
//!
//! It is what `benches/compare` measures.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;

use serde::Serialize;
use waterwheel::http::{Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

async fn answer(request: Request<'_>) -> Result<Responded> {
    match (request.method(), request.path()) {
        (&Method::GET, "/plaintext") => {
            let headers = [("content-type", "text/plain")];
            request
                .respond(StatusCode::OK, "Hello, World!", headers)
                .await
        }
        (&Method::GET, "/json") => {
            let body = serde_json::to_vec(&Message {
                message: "Hello, World!",
            })?;
            let headers = [("content-type", "application/json")];
            request.respond(StatusCode::OK, body, headers).await
        }
        (&Method::POST, "/echo") => {
            let body = request.bytes().await?;
            let headers = [("content-type", "application/octet-stream")];
            request.respond(StatusCode::OK, body, headers).await
        }
        _ => {
            let headers = [("content-type", "text/plain")];
            request
                .respond(StatusCode::NOT_FOUND, "not found\n", headers)
                .await
        }
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::builder()
            .server_name("waterwheel")
            .defer_accept(Duration::from_secs(1))
            .bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(answer, shutdown).await?);
        Ok(())
    })
}
