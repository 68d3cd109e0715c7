//! The fourth step: sockets. Whatever a client sends comes back.
//!
//! ```sh
//! cargo run --example tcp_echo              # then: nc 127.0.0.1 8080
//! cargo run --example tcp_echo 127.0.0.1:0  # any free port
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(clippy::print_stderr, reason = "and what goes wrong")]

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::{block_on, race, signal, spawn, time};

/// One connection's life, as one loop: it reads like blocking code, and blocks nobody.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(()); // the client has said all it had to say
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn accept_all(listener: TcpListener) -> io::Result<()> {
    loop {
        match listener.accept().await {
            // Each connection is a task of its own; if it fails, only it is over.
            Ok((stream, _peer)) => spawn(echo(stream)).detach(),
            // Out of descriptors, say: wait a little instead of trying in a circle.
            Err(_) => time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // Before we say that we are ready: from here on, Ctrl-C ends us in good order.
    let shutdown = signal::shutdown();
    println!("listening on {}", listener.local_address()?);
    race(accept_all(listener), async { shutdown.await.map(drop) }).await
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    match block_on(serve(&address)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
