//! A server for each core: each thread has a runtime, a listener and a state of its own.
//!
//! ```text
//! cargo run --example many_cores [ADDRESS] [THREADS]
//! curl -H 'connection: close' 'http://127.0.0.1:8080/[1-8]'
//! ```
//!
//! You should see the name of the thread that answers, and its own count. The kernel spreads new
//! connections over the listeners.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::{env, future, thread};

use waterwheel::http::{Error, Request, Result, Server, StatusCode, Stopper};
use waterwheel::runtime::{block_on, race, signal, spawn_blocking};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let threads = match arguments.next() {
        Some(count) => count
            .parse::<NonZeroUsize>()
            .map_err(|error| Error::message(format!("the number of threads, {count}: {error}")))?,
        None => thread::available_parallelism()?,
    };
    let workers = Server::builder().workers(threads.get(), address, |server| async move {
        let visits = Cell::new(0); // each thread counts by itself: no lock, no atomic
        let handler = async move |request: Request<'_>| {
            visits.set(visits.get() + 1);
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            let answer = format!("{name}: visit {}\n", visits.get());
            request.respond(StatusCode::OK, answer, ()).await
        };
        server.serve(handler).await
    })?;
    // The main thread waits for two events at once: a signal, and the end of the workers.
    block_on(async {
        let address = workers.local_address();
        let stoppers: Vec<Stopper> = workers.stoppers().collect();
        let signalled = async {
            let mut signals = signal::shutdown();
            println!("listening on http://{address}");
            signals.recv().await?;
            stoppers.iter().for_each(Stopper::stop);
            signals.recv().await?;
            stoppers.iter().for_each(Stopper::cut);
            future::pending().await
        };
        let ended = async { spawn_blocking(|| workers.join()).await? };
        println!("{}", race(signalled, ended).await?);
        Ok(())
    })
}
