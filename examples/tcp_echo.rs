//! Sockets: a server that says back whatever it is told, to any number of clients at once.
//!
//! ```text
//! cargo run --release --example tcp_echo [ADDRESS]
//! nc 127.0.0.1 8080
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::io;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::{block_on, race, signal, spawn};

/// One client, from its first byte to its last.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer).await?; // waits, and lets all other clients go on
        if count == 0 {
            return Ok(()); // the client has said all it had to say
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    block_on(async {
        let listener = TcpListener::bind(&address)?;
        let shutdown = signal::shutdown(); // from here on, Ctrl-C and SIGTERM end us in good order
        println!("listening on {}", listener.local_address()?);
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _peer)) => spawn(echo(stream)).detach(), // a task for each client
                    Err(error) => println!("lost a client: {error}"),
                }
            }
        };
        race(accept, async { shutdown.await.map(drop) }).await
    })
}
