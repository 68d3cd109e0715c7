//! Logs: a `tracing` subscriber for the server's own lines, request ids, and an access log.
//!
//! ```text
//! cargo run --example logging [ADDRESS]
//! curl -i http://127.0.0.1:8080/
//! curl -i http://127.0.0.1:8080/sacks/seven
//! ```
//!
//! You should see an access line for each request on stdout, and on stderr the error behind the 500 of
//! `/sacks/seven`. Both have the id that `curl -i` shows. `RUST_LOG=debug` shows more.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::io;
use std::rc::Rc;

use tracing_subscriber::EnvFilter;
use waterwheel::http::web::middleware::{LineWriter, LogEntry, access_log, request_ids};
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, Result, Server};
use waterwheel::runtime::{self, signal};

async fn sack(_: &Request<'_>, number: String) -> Result<String> {
    let number: u32 = number.parse()?; // an error of ours: the client reads "internal server error"
    Ok(format!("sack {number}\n"))
}

fn main() -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();

    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let router = Router::new()
        .get("/", async || "flour\n")
        .get("/sacks/{number}", sack);
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());

        // A thread writes the lines, so that a slow terminal delays no request.
        let lines = Rc::new(LineWriter::new(io::stdout())?);
        let refused = lines.clone();
        // The server refuses some requests before a handler sees them. The log has them, too.
        server.on_refusal(move |request| refused.write(LogEntry::from(request).combined()));
        let logged = access_log(router, move |entry| lines.write(entry.combined()));

        server.serve_until(request_ids(logged), shutdown).await?;
        Ok(())
    })
}
