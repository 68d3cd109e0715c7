//! A good end: requests under way are finished, and a restart loses no client.
//!
//! ```text
//! cargo run --example graceful [ADDRESS]
//! curl http://127.0.0.1:8080/slow
//! ```
//!
//! `/slow` takes three seconds. Press Ctrl-C meanwhile: you should see its answer, then the report. New
//! clients are refused. Press Ctrl-C twice, and the request is cut. If a supervisor passes its listeners
//! (`LISTEN_FDS`), the server uses them, so clients wait in their queue during a restart.
#![allow(clippy::print_stdout, reason = "an example prints")]

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

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let mut listeners = Listener::inherited()?;
    runtime::block_on(async {
        if listeners.is_empty() {
            listeners.push(TcpListener::bind(&address)?.into());
        }
        let grace = Duration::from_secs(5); // then the rest is cut
        let limits = Limits::default().with(|limits| limits.shutdown_duration_max = grace);
        let server = Server::builder().limits(limits).listen_on(listeners)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(handler, shutdown).await?);
        Ok(())
    })
}
