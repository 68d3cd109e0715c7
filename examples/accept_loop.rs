//! An accept loop with a policy of its own: it counts, logs, limits each peer and backs off. A client above its
//! limit reads 429, and a server that is full reads 503.
//!
//! ```text
//! cargo run --release --example accept_loop [ADDRESS]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::{Connection, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal, spawn, time::sleep};

const PER_PEER_MAX: usize = 100;

/// The answer above that. 503 is the other choice: 429 blames the client, and 503 the server.
const ABOVE: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// How many connections each peer has.
type Peers = Rc<RefCell<HashMap<IpAddr, usize>>>;

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "Hello World", ()).await
}

/// Closes the connection after this answer. A client that is only cut off would try again at once.
async fn refuse(request: Request<'_>) -> Result<Responded> {
    let headers = [("retry-after", "1"), ("connection", "close")];
    request
        .respond(ABOVE, "too many connections from this address\n", headers)
        .await
}

/// One connection, from its first request to its log line.
async fn attend(mut connection: Connection, peers: Peers) {
    let Some(peer) = connection.peer_address().map(|peer| peer.ip()) else {
        return;
    };
    *peers.borrow_mut().entry(peer).or_default() += 1;
    let is_welcome = peers.borrow()[&peer] <= PER_PEER_MAX;
    let mut requests = 0;
    while let Ok(Some(request)) = connection.next().await {
        requests += 1;
        let answered = if is_welcome {
            hello(request).await
        } else {
            refuse(request).await
        };
        if answered.is_err() {
            break; // the client has left
        }
    }
    println!("{peer}: {requests} requests");
    let mut peers = peers.borrow_mut();
    let left = peers[&peer] - 1;
    match left {
        0 => peers.remove(&peer),
        _ => peers.insert(peer, left),
    };
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");
    runtime::block_on(async {
        // Without a descriptor for another client, the next one reads 503.
        let server = Server::builder().turn_away_when_full(true);
        let server = Rc::new(server.bind(address)?);
        let (ending, signals) = (server.clone(), signal::shutdown());
        let ending = spawn(async move { ending.shutdown_on(signals).await });
        println!("listening on http://{}", server.local_address());
        let peers = Peers::default();
        loop {
            if !server.should_accept_request() {
                println!("full, with {} connections", server.connections());
                server.capacity().await;
            }
            match server.accept().await {
                Ok(connection) => spawn(attend(connection, peers.clone())).detach(),
                Err(error) if error.is_closed() => break,
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    println!("{error}");
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
        println!("{}", ending.await??);
        Ok(())
    })
}
