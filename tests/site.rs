//! The example `site`, beset: slow clients and a thousand fast ones, and a slow reader.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "../examples/site.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod site;
mod support;

use std::io::Read;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, TestServer};
use waterwheel::http::Server;
use waterwheel::http::web::routes::Router;

const FAST: usize = 1000;
const BIG: usize = 10_000_000;

fn site_and_more() -> Router {
    let big: Vec<u8> = b"0123456789".repeat(BIG / 10);
    Router::new()
        .get("/big", async move || big.clone())
        .nest("/", site::site().unwrap())
}

/// The connections have an end here and one there: both count.
fn raise_the_limit_to(descriptors: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= descriptors);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    enough(limit.current) || enough(limit.maximum) && setrlimit(Resource::Nofile, raised).is_ok()
}

fn read_answer(client: &mut Client) -> String {
    let head = client.read_until("\r\n\r\n");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    client.stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[test]
fn a_thousand_fast_clients_do_not_wait_for_two_slow_ones() {
    if !raise_the_limit_to(2 * FAST as u64 + 500) {
        eprintln!("skipped: too few descriptors for {FAST} connections");
        return;
    }
    let server = TestServer::start(Server::builder(), site_and_more);
    let request = "GET /?name=slow HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes();
    let mut slow = [server.client(), server.client()];
    let mut fast: Vec<_> = (0..FAST).map(|_| server.client()).collect();
    for (round, byte) in request.iter().enumerate() {
        for client in &mut slow {
            client.send([*byte]);
        }
        // Each round, some of the fast ones have their turn.
        let some = fast.iter_mut().enumerate().skip(round * 30).take(30);
        for (number, client) in some {
            client.send(format!("GET /?name={number} HTTP/1.1\r\nHost: x\r\n\r\n"));
            let answer = read_answer(client);
            assert!(
                answer.contains(&format!("Good morning, {number}.")),
                "{answer}"
            );
        }
    }
    assert!(request.len() * 30 >= FAST);
    for client in &mut slow {
        assert!(read_answer(client).contains("Good morning, slow."));
    }
}

#[test]
fn a_slow_reader_gets_all_of_it() {
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
            "others are served meanwhile"
        );
    }
    assert!(body == b"0123456789".repeat(BIG / 10));
}
