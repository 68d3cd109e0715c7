//! What benchmarks ask for: `/plaintext` and `/json`.
//!
//! ```text
//! cargo run --release --example plaintext [ADDRESS]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use serde::Serialize;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

async fn answer(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/plaintext" => {
            request
                .respond(
                    StatusCode::OK,
                    "Hello, World!",
                    [("content-type", "text/plain")],
                )
                .await
        }
        "/json" => {
            let body = serde_json::to_vec(&Message {
                message: "Hello, World!",
            })?;
            request
                .respond(StatusCode::OK, body, [("content-type", "application/json")])
                .await
        }
        _ => {
            request
                .respond(
                    StatusCode::NOT_FOUND,
                    "not found\n",
                    [("content-type", "text/plain")],
                )
                .await
        }
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::builder().server_name("waterwheel").bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        runtime::race(server.serve(answer), async { shutdown.await.map(drop) }).await
    })
}
