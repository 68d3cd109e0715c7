//! The example `site` under load: slow clients and a thousand fast ones, and a slow reader.
//!
//! Cargo builds the examples for a run of all tests. Before `--test load` alone, build them.

#[path = "../../examples/site.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod example;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use std::{fs, thread};

use crate::support::programs::{Owned, start_example};
use crate::support::server::{Client, DEADLINE, TestServer};
use crate::support::skip::skip;
use crate::support::system::{cpu_ticks, raise_limit};
use crate::turn;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use waterwheel::http::Server;
use waterwheel::http::web::routes::Router;

const FAST: usize = 1000;
const BIG: usize = 10_000_000;

/// The example in a process of its own.
struct Process {
    process: Owned,
    address: SocketAddr,
}

impl Process {
    fn start() -> Self {
        let (process, address) = start_example("site", &["127.0.0.1:0"]);
        Self { process, address }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client { stream }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.0.id())).unwrap()
    }

    /// Returns the memory in use. Its code counts, unless it is a debug build's, which is larger than the rest
    /// of the server.
    fn resident_kib(&self) -> u64 {
        let status = self.read("status");
        let which = if cfg!(debug_assertions) {
            "RssAnon:"
        } else {
            "VmRSS:"
        };
        let line = status.split(which).nth(1).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn site_and_more() -> Router {
    let big: Vec<u8> = b"0123456789".repeat(BIG / 10);
    Router::new()
        .get("/big", async move || big.clone())
        .nest("/", example::site().unwrap())
}

fn read_answer(client: &mut Client) -> String {
    let head = client.read_until("\r\n\r\n");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    client.stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn greeted(client: &mut Client, name: &str) {
    let answer = read_answer(client);
    let greeting = format!("Good morning, {name}.");
    assert!(answer.contains(&greeting), "{answer}");
}

#[test]
fn a_thousand_fast_clients_do_not_wait_for_two_slow_ones_and_use_no_cpu_while_idle() {
    let _turn = turn();
    // Each connection has one end here and one in the server, which inherits the limit.
    if raise_limit().is_some_and(|limit| limit < FAST as u64 + 500) {
        return skip(format!("too few descriptors for {FAST} connections"));
    }
    let site = Process::start();
    let request = "GET /?name=slow HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes();
    let mut slow = [site.client(), site.client()];
    let mut fast: Vec<_> = (0..FAST).map(|_| site.client()).collect();
    for (round, byte) in request.iter().enumerate() {
        for client in &mut slow {
            client.send([*byte]);
        }
        // In each round, some of the fast clients send a request.
        let some = fast.iter_mut().enumerate().skip(round * 30).take(30);
        for (number, client) in some {
            client.send(format!("GET /?name={number} HTTP/1.1\r\nHost: x\r\n\r\n"));
            greeted(client, &number.to_string());
        }
    }
    assert!(request.len() * 30 >= FAST);
    for client in &mut slow {
        greeted(client, "slow");
    }
    // The task of a burst lives for one second after the last request, and then sleeps.
    thread::sleep(Duration::from_millis(1500));
    let before = cpu_ticks(site.process.0.id());
    thread::sleep(Duration::from_secs(5));
    assert_eq!(cpu_ticks(site.process.0.id()) - before, 0);
    let resident = site.resident_kib();
    eprintln!("{resident} KiB with {} idle connections", FAST + 2);
    assert!(resident < 10_000_000 >> 10, "{resident} KiB");
    fast[0].send("GET /?name=miller HTTP/1.1\r\nHost: x\r\n\r\n");
    greeted(&mut fast[0], "miller");
}

#[test]
fn a_slow_reader_receives_a_large_answer_whole() {
    let _turn = turn();
    let server = TestServer::start(Server::builder(), site_and_more);
    let mut slow = server.client();
    set_socket_recv_buffer_size(&slow.stream, 16 << 10).unwrap();
    slow.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    slow.read_until("\r\n\r\n");
    let mut other = server.client();
    let mut body = vec![0; BIG];
    for piece in body.chunks_mut(100_000) {
        slow.stream.read_exact(piece).unwrap();
        other.send("GET /json HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(
            read_answer(&mut other).contains("\"rye\""),
            "other clients are served meanwhile"
        );
    }
    assert!(body == b"0123456789".repeat(BIG / 10));
}
