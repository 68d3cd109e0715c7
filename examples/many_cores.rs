//! One server for each core, each with a runtime and a listener of its own.
//!
//! ```text
//! cargo run --release --example many_cores [ADDRESS] [THREADS]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::cell::Cell;
use std::{io, thread};

use waterwheel::http::{Request, Server, StatusCode, Stopper};
use waterwheel::runtime::{block_on, signal};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");
    let count = match arguments.next() {
        Some(count) => count.parse().map_err(io::Error::other)?,
        None => thread::available_parallelism()?.get(),
    };
    let workers = Server::builder().workers(count, address, |server| async move {
        // Each thread counts by itself: no lock, no atomic.
        let visits = Cell::new(0);
        let handler = async move |request: Request<'_>| {
            visits.set(visits.get() + 1);
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            let answer = format!("{name}: visit {}\n", visits.get());
            request.respond(StatusCode::OK, answer, ()).await
        };
        server.serve(handler).await
    })?;
    println!("listening on http://{}", workers.local_address());
    block_on(signal::shutdown())?;
    workers.stop();
    // The main thread joins the workers, so another one waits for the second signal.
    let stoppers: Vec<_> = workers.stoppers().collect();
    thread::spawn(move || {
        if block_on(signal::shutdown()).is_ok() {
            stoppers.iter().for_each(Stopper::cut);
        }
    });
    println!("{}", workers.join()?);
    Ok(())
}
