//! Ends in good order: requests under way are finished, and no client in the queue is lost.
//!
//! ```text
//! cargo run --release --example graceful [ADDRESS]
//! ```
//!
//! `/slow` takes three seconds. Ask for it, press Ctrl-C meanwhile: it is answered, and a new
//! connection is refused. Press Ctrl-C again: it is cut. Started with a listener of its
//! predecessor's (`LISTEN_FDS`), it serves on that, so that a restart loses no client.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;

use waterwheel::http::{Limits, Listener, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::net::TcpListener;
use waterwheel::runtime::{self, signal, time::sleep};

async fn handler(request: Request<'_>) -> Result<Responded> {
    if request.path() == "/slow" {
        sleep(Duration::from_secs(3)).await;
    }
    let answer = format!("answered by {}\n", std::process::id());
    request.respond(StatusCode::OK, answer, ()).await
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");
    let mut listeners = Listener::inherited()?;
    runtime::block_on(async {
        if listeners.is_empty() {
            listeners.push(TcpListener::bind(address)?.into());
        }
        let limits = Limits {
            shutdown_duration_max: Duration::from_secs(5),
            ..Limits::default()
        };
        let server = Server::builder().limits(limits).listen_on(listeners)?;
        let signals = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let report = server.serve_until(handler, signals).await?;
        println!("{report}");
        Ok(())
    })
}
