//! The cost of asking the gate: server CPU time per request, with one request on each connection, in a loop
//! that calls `should_accept_request` before each accept and in one that does not.
//!
//! ```text
//! cargo bench --bench gate
//! ```
//!
//! Both loops run in one process, in rounds that alternate; the figure is the thread's own CPU time.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its table"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, race};

const ROUNDS: usize = 15;
const CONNECTIONS: u32 = 4_000;

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "Hello World", ()).await
}

/// Serves until it is stopped. Returns the CPU time that this took.
fn serve(server: &Server, asks: bool) -> Duration {
    let before = cpu_time();
    block_on(async {
        let accept_loop = async {
            loop {
                if asks && !server.should_accept_request() {
                    server.capacity().await;
                }
                server.accept_request(hello).await.unwrap();
            }
        };
        race(accept_loop, server.stop_requested()).await;
    });
    cpu_time().saturating_sub(before)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

fn ask(address: SocketAddr) {
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"Hello World"));
    }
}

/// One round: microseconds of the server per request.
fn round(asks: bool) -> f64 {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (address, stopper) = (server.local_address(), server.stopper());
    let client = thread::spawn(move || {
        ask(address);
        stopper.stop();
    });
    let time = serve(&server, asks);
    client.join().unwrap();
    time.as_secs_f64() * 1e6 / f64::from(CONNECTIONS)
}

fn main() {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (asks, times) in [false, true].into_iter().zip(&mut times) {
            times.push(round(asks));
        }
    }
    let [without, with] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        (times[0], times[ROUNDS / 2])
    });
    println!("| µs of CPU per request | least | median |\n|---|---|---|");
    let row = |name, (least, median)| println!("| {name} | {least:.3} | {median:.3} |");
    row("without asking", without);
    row("asking", with);
    row("ratio", (with.0 / without.0, with.1 / without.1));
}
