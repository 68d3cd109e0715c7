//! Listens on a Unix socket, as a server behind a proxy on the same machine does.
//!
//! ```text
//! cargo run --release --example unix_socket [PATH]
//! curl --unix-socket /tmp/waterwheel.sock http://localhost/
//! ```
//!
//! A file that a killed server has left behind is replaced; one that somebody answers at is not.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

async fn hello(request: Request<'_>) -> Result<Responded> {
    request
        .respond(StatusCode::OK, "Hello from a file\n", ())
        .await
}

fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1);
    let path = path.as_deref().unwrap_or("/tmp/waterwheel.sock");
    runtime::block_on(async {
        let server = Server::builder().bind_unix(path)?;
        let signals = signal::shutdown();
        println!("listening on {path}");
        let report = server.serve_until(hello, signals).await?;
        println!("{report}");
        Ok(())
    })
}
