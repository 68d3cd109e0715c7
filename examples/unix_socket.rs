//! A Unix socket, for a server behind a proxy on the same machine.
//!
//! ```text
//! cargo run --example unix_socket [PATH]
//! curl --unix-socket /tmp/waterwheel.sock http://localhost/
//! ```
//!
//! You should see `Hello from a file`. The file is removed at the end. One that a killed server has left
//! behind is replaced, but never one at which a server still answers.
#![allow(clippy::print_stdout, reason = "an example prints")]

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

async fn hello(request: Request<'_>) -> Result<Responded> {
    request
        .respond(StatusCode::OK, "Hello from a file\n", ())
        .await
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1);
    let path = path.unwrap_or_else(|| "/tmp/waterwheel.sock".to_owned());
    runtime::block_on(async {
        let server = Server::builder().bind_unix(&path)?;
        let shutdown = signal::shutdown();
        println!("listening on {path}");
        println!("{}", server.serve_until(hello, shutdown).await?);
        Ok(())
    })
}
