//! A counter that all requests share: a plain `Cell`, captured by the handler.
//!
//! ```text
//! cargo run --release --example counter [ADDRESS]
//! ```
//!
//! Where handlers run on many threads, this takes an `Arc<Mutex<_>>`.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::cell::Cell;
use std::io;

use waterwheel::http::Server;
use waterwheel::http::web::routes::Router;
use waterwheel::runtime::{self, signal};

pub(crate) fn counter() -> Router {
    let count = Cell::new(0_u64);
    Router::new().get("/", async move || {
        let seen = count.get();
        count.set(seen + 1);
        format!("counter: {seen}\n")
    })
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(counter(), shutdown).await?);
        Ok(())
    })
}
