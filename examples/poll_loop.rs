//! A program with a loop of its own, which gives the server a moment at a time.
//!
//! ```text
//! cargo run --release --example poll_loop [ADDRESS]
//! ```
//!
//! As a game or a user interface does: a frame, then up to ten milliseconds for the server. It
//! never stays longer, however many requests come. `/stop` ends it.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::{Request, Server, StatusCode};
use waterwheel::runtime::Runtime;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");
    let runtime = Runtime::new()?;
    let server = Server::bind(address)?;
    println!("listening on http://{}", server.local_address());
    let stopper = server.stopper();
    let frames = Rc::new(Cell::new(0_u64));
    let shown = frames.clone();
    let task = runtime.spawn(async move {
        let stopper = server.stopper();
        let handler = async move |request: Request<'_>| {
            if request.path() == "/stop" {
                stopper.stop();
            }
            let answer = format!("frame {}\n", shown.get());
            request.respond(StatusCode::OK, answer, ()).await
        };
        server.serve(handler).await
    });
    while !task.is_finished() {
        frames.set(frames.get() + 1); // draw
        runtime.poll_timeout(Duration::from_millis(10));
    }
    println!(
        "{} frames, stopped: {}",
        frames.get(),
        stopper.is_stopping()
    );
    Ok(())
}
