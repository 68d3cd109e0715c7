//! Hello, with the accept loop in your own hands.
//!
//! ```text
//! cargo run --release --example hello [ADDRESS]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

async fn hello(request: Request<'_>) -> Result<Responded> {
    let headers = [("content-type", "text/plain; charset=utf-8")];
    request
        .respond(StatusCode::OK, "Hello World", headers)
        .await
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown(); // from here on, Ctrl-C and SIGTERM end us in good order
        println!("listening on http://{}", server.local_address());
        let accept_loop = async {
            loop {
                if server.should_accept_request() {
                    // One connection in, its task spawned.
                    match server.accept_request(hello).await {
                        Err(error) if error.is_fatal() => return Err(error.into()),
                        _ => {} // a connection lost, or nothing left to accept it with: the gate knows
                    }
                } else {
                    server.capacity().await; // sleeps until there is room
                }
            }
        };
        runtime::race(accept_loop, async { shutdown.await.map(drop) }).await
    })
}
