//! The shortest server: `serve_until` accepts, serves, and ends on a signal.
//!
//! ```text
//! cargo run --example serve_until [ADDRESS]
//! curl http://127.0.0.1:8080/
//! ```
//!
//! You should see `Hello World`. After Ctrl-C, the server prints how its connections ended.
#![allow(clippy::print_stdout, reason = "an example prints")]

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "Hello World\n", ()).await
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(hello, shutdown).await?);
        Ok(())
    })
}
