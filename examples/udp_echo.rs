//! Datagrams: a server that sends each datagram back to its sender.
//!
//! ```text
//! cargo run --example udp_echo [ADDRESS]
//! nc -u 127.0.0.1 8080
//! ```
//!
//! You should see each line that you type into `nc` a second time.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::io;

use waterwheel::runtime::net::UdpSocket;
use waterwheel::runtime::{block_on, race, signal};

/// The longest datagram of UDP over IPv4. A longer buffer would only waste memory.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Answers for ever. One task is enough: no sender can hold another one up.
async fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let answered = match socket.recv_from(&mut buffer).await {
            Ok((bytes, from)) => socket.send_to(&buffer[..bytes], from).await.map(drop),
            Err(error) => Err(error),
        };
        // An error concerns one datagram, and the socket works on.
        if let Err(error) = answered {
            println!("lost a datagram: {error}");
        }
    }
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    block_on(async {
        let socket = UdpSocket::bind(&address)?;
        let shutdown = signal::shutdown(); // from here on, Ctrl-C and SIGTERM end the program in good order
        println!("listening on {}", socket.local_address()?);
        race(echo(&socket), async { shutdown.await.map(drop) }).await
    })
}
