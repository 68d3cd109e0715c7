//! Sockets: a server that returns each byte it receives, to any number of clients at once.
//!
//! ```text
//! cargo run --example tcp_echo [ADDRESS]
//! curl telnet://127.0.0.1:8080
//! ```
//!
//! You should see each line that you type into `curl` come back, in two terminals at the same time.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, io};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::Result; // in `main`, it prints an error as one line
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::{block_on, race, signal, spawn};

/// Serves one client from its first byte to its last.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer).await?; // waits, while other clients are served
        if count == 0 {
            return Ok(()); // the client has closed its write half
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn main() -> Result<()> {
    let address = env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    block_on(async {
        let listener = TcpListener::bind(&address)?;
        let shutdown = signal::shutdown(); // from here on, Ctrl-C and SIGTERM complete this future
        println!("listening on {}", listener.local_address()?);
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _peer)) => spawn(echo(stream)).detach(), // a task for each client
                    Err(error) => println!("lost a client: {error}"),
                }
            }
        };
        race(accept, async { shutdown.await.map(drop) }).await?;
        Ok(())
    })
}
