//! Answers so many requests, then ends in good order: the Rust Book's final project on one thread.
//!
//! ```text
//! cargo run --release --example serve_n [ADDRESS] [REQUESTS]
//! ```
//!
//! `/sleep` takes five seconds, and delays no other request.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::cell::Cell;
use std::io;
use std::time::Duration;

use waterwheel::http::{Request, Server, StatusCode};
use waterwheel::runtime::{self, signal, time::sleep};

const HELLO: &str = "<!DOCTYPE html><title>Hello!</title><h1>Hello!</h1><p>Hi from Rust</p>\n";
const OOPS: &str = "<!DOCTYPE html><title>Oops!</title><h1>Oops!</h1><p>No such page.</p>\n";

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address = address.as_deref().unwrap_or("127.0.0.1:7878");
    let count: u64 = match arguments.next() {
        Some(count) => count.parse().map_err(io::Error::other)?,
        None => 2,
    };
    runtime::block_on(async {
        let server = Server::bind(address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let stopper = server.stopper();
        let left = Cell::new(count);
        let handler = async move |request: Request<'_>| {
            left.set(left.get().saturating_sub(1));
            if left.get() == 0 {
                stopper.stop(); // this one is the last, and is still answered
            }
            let (status, page) = match request.path() {
                "/" => (StatusCode::OK, HELLO),
                "/sleep" => {
                    sleep(Duration::from_secs(5)).await;
                    (StatusCode::OK, HELLO)
                }
                _ => (StatusCode::NOT_FOUND, OOPS),
            };
            let headers = [("content-type", "text/html; charset=utf-8")];
            request.respond(status, page, headers).await
        };
        // After the last request, or at Ctrl-C or SIGTERM.
        println!("{}", server.serve_until(handler, shutdown).await?);
        Ok(())
    })
}
