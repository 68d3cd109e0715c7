//! A program with a loop of its own, such as a game, which gives the server a moment at a time.
//!
//! ```text
//! cargo run --example poll_loop [ADDRESS]
//! curl http://127.0.0.1:8080/
//! curl http://127.0.0.1:8080/stop
//! ```
//!
//! You should see the number of the present frame, about a hundred each second. The server gets up to ten
//! milliseconds after each frame, however many requests come. `/stop` and Ctrl-C end it.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::{Request, Result, Server, StatusCode};
use waterwheel::runtime::{Runtime, signal};

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let runtime = Runtime::new()?;
    let server = Server::bind(&address)?;
    let frames = Rc::new(Cell::new(0_u64));
    let shown = frames.clone();
    let task = runtime.spawn(async move {
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let stopper = server.stopper();
        let handler = async move |request: Request<'_>| {
            if request.path() == "/stop" {
                stopper.stop();
            }
            let answer = format!("frame {}\n", shown.get());
            request.respond(StatusCode::OK, answer, ()).await
        };
        server.serve_until(handler, shutdown).await
    });
    while !task.is_finished() {
        frames.set(frames.get() + 1); // draw
        runtime.poll_timeout(Duration::from_millis(10));
    }
    println!("{} after {} frames", runtime.block_on(task)??, frames.get());
    Ok(())
}
