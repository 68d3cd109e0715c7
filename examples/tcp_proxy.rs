//! A proxy: connects to a server by its name, and copies the bytes of each client in both directions.
//!
//! ```text
//! cargo run --example tcp_proxy 127.0.0.1:8080 localhost:8081
//! cargo run --example serve_until 127.0.0.1:8081
//! curl http://127.0.0.1:8080/
//! ```
//!
//! You should see the answer of the server behind the proxy, and then a line with the bytes in each direction.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::io;
use std::time::Duration;

use waterwheel::http::Result; // its errors are one line each
use waterwheel::runtime::io::copy_bidirectional;
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{block_on, race, signal, spawn};

/// A server that does not answer must not hold a client for ever.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A connection may be silent for long, but not without any limit.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(3600);

/// Serves one client. When one side closes its write half, the other direction goes on.
async fn proxy(client: TcpStream, server: &str) -> io::Result<(u64, u64)> {
    // The addresses of the name are tried in turn, and the first one that answers is taken.
    let server = timeout(CONNECT_TIME_MAX, TcpStream::connect(server)).await??;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?; // small pieces leave at once, as the sender meant them to
    }
    timeout(CONNECTION_TIME_MAX, copy_bidirectional(client, server)).await?
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(server)) = (arguments.next(), arguments.next()) else {
        return Err("the arguments are ADDRESS SERVER:PORT".into());
    };
    block_on(async {
        let listener = TcpListener::bind(&address)?;
        let shutdown = signal::shutdown(); // from here on, Ctrl-C and SIGTERM end the program in good order
        println!("listening on {}", listener.local_address()?);
        let accept = async {
            loop {
                let (client, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        println!("lost a client: {error}");
                        sleep(Duration::from_millis(10)).await; // perhaps a descriptor becomes free
                        continue;
                    }
                };
                let server = server.clone();
                spawn(async move {
                    match proxy(client, &server).await {
                        Ok((there, back)) => println!("{peer}: {there} bytes there, {back} back"),
                        Err(error) => println!("{peer}: {error}"),
                    }
                })
                .detach();
            }
        };
        race(accept, async { shutdown.await.map(drop) }).await?;
        Ok(())
    })
}
