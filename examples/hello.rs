//! Hello World, with the accept loop in your own hands.
//!
//! ```text
//! cargo run --example hello [ADDRESS]
//! curl http://127.0.0.1:8080/
//! ```
//!
//! You should see `Hello World`. The loop decides before each connection. If you have nothing to decide there,
//! see `serve_until`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::rc::Rc;

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal, spawn};

async fn hello(request: Request<'_>) -> Result<Responded> {
    let headers = [("content-type", "text/plain; charset=utf-8")];
    request
        .respond(StatusCode::OK, "Hello World", headers)
        .await
}

fn main() -> Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Rc::new(Server::bind(&address)?);
        // Ctrl-C or SIGTERM: requests under way are finished. A second one ends at once.
        let (ending, signals) = (server.clone(), signal::shutdown());
        let ending = spawn(async move { ending.shutdown_on(signals).await });
        println!("listening on http://{}", server.local_address());
        loop {
            if server.should_accept_request() {
                // One connection in, its task spawned.
                match server.accept_request(hello).await {
                    Err(error) if error.is_closed() => break, // the shutdown has emptied the queue
                    Err(error) if error.is_fatal() => return Err(error.into()),
                    _ => {} // a connection was lost, or no descriptor is left: the gate knows
                }
            } else {
                server.capacity().await; // sleeps until there is room
            }
        }
        println!("{}", ending.await??); // requests under way have been answered
        Ok(())
    })
}
