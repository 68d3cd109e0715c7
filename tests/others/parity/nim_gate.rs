//! The server object of asynchttpserver, and its checks before it accepts (N-01 to N-15).

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use waterwheel::http::{Request, Responded, Result, Server, StatusCode, shared};
use waterwheel::runtime::{
    block_on, join, race, spawn, spawn_blocking, time::sleep, time::timeout,
};

use super::process::Process;
use super::served::{answered, get, read_answer, say, within};
use crate::support::process::alone;
use crate::support::server::{Client, DEADLINE, without_dates};

#[test]
fn n_01_a_builder_opens_no_socket() {
    let builder = Server::builder();
    let described = format!("{builder:?}");
    for default in [
        "reuse_address: true",
        "reuse_port: false",
        "body_bytes_max: 8388608",
    ] {
        assert!(described.contains(default), "{described}");
    }
}

#[test]
fn n_02_an_address_is_bound_once_and_in_either_family() {
    let first = Server::bind("127.0.0.1:0").unwrap();
    let second = Server::builder().reuse_address(false);
    let second = second.bind(first.local_address()).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AddrInUse);
    assert!(Server::bind("[::1]:0").unwrap().local_address().is_ipv6());
    let name = Server::bind("no address").unwrap_err();
    assert_eq!(name.kind(), ErrorKind::InvalidInput);
}

#[test]
fn n_03_the_port_is_known_and_without_one_there_is_no_panic() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    assert_ne!(server.local_address().port(), 0);
    let nowhere = Server::builder().without_listener();
    assert_eq!(nowhere.local_address().port(), 0);
}

#[test]
fn n_04_serve_waits_without_room_and_does_not_fail() {
    within(
        Server::builder().assumed_descriptors_per_request(1 << 40),
        async |server| {
            let address = server.local_address();
            let client = TcpStream::connect(address).unwrap();
            let stalled = timeout(Duration::from_millis(100), server.serve(say)).await;
            assert!(stalled.is_err() && server.connections() == 0);
            drop(client);
        },
    );
    within(Server::builder(), async |server| {
        let address = server.local_address();
        let client = spawn_blocking(move || ask(address));
        let answer = race(async { client.await.unwrap() }, async {
            server.serve(say).await.unwrap();
            String::new()
        });
        assert_eq!(answer.await, answered("GET / "));
    });
}

fn ask(address: std::net::SocketAddr) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut client = Client { stream };
    client.send(get("/"));
    let (head, body) = read_answer(&mut client);
    without_dates(&(head + &body))
}

/// A server with few descriptors. Returns at once unless the process was started as a server.
#[test]
fn child() {
    let Ok(limit) = std::env::var("PARITY_LIMIT") else {
        return;
    };
    let (current, maximum) = (limit.parse().ok(), getrlimit(Resource::Nofile).maximum);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    // Without a gate, accept itself fails for lack of descriptors.
    let assumed = match std::env::var("PARITY_GATE").as_deref() {
        Ok("off") => 0,
        _ => 5,
    };
    let server = Server::builder().assumed_descriptors_per_request(assumed);
    block_on(async {
        let server = Rc::new(server.bind("127.0.0.1:0").unwrap());
        println!("listening on http://{}", server.local_address());
        let files = RefCell::new(Vec::new());
        let told = server.clone();
        let handler = shared(async move |request: Request<'_>| -> Result<Responded> {
            match request.path() {
                "/sleep" => sleep(Duration::from_secs(1)).await,
                "/files" => {
                    let opened = (0..20).map(|_| std::fs::File::open("/dev/null"));
                    files
                        .borrow_mut()
                        .extend(opened.collect::<std::io::Result<Vec<_>>>()?);
                }
                _ => {}
            }
            let descriptors = told.descriptors();
            let numbers = format!("{} {}", descriptors.open(), descriptors.limit());
            request.respond(StatusCode::OK, numbers, ()).await
        });
        server.serve(handler).await.unwrap();
    });
}

fn limited(limit: &str, gate: &str) -> Process {
    let variables = [("PARITY_LIMIT", limit), ("PARITY_GATE", gate)];
    Process::start("parity::nim_gate::child", &variables)
}

/// Returns the number of open descriptors of the server, and their limit.
fn numbers(client: &mut Client, path: &str) -> (usize, usize) {
    client.send(get(path));
    let body = read_answer(client).1;
    let (open, limit) = body.split_once(' ').unwrap();
    (open.parse().unwrap(), limit.parse().unwrap())
}

#[test]
fn n_05_at_the_limit_the_server_does_not_spin_and_a_close_makes_room() {
    let server = limited("32", "on");
    let mut sleeping: Vec<_> = (0..40).map(|_| server.client()).collect();
    sleeping
        .iter_mut()
        .for_each(|client| client.send(get("/sleep")));
    std::thread::sleep(Duration::from_millis(100));
    let before = server.cpu_ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert!(server.cpu_ticks() - before <= 3);
    for client in &mut sleeping {
        read_answer(client);
    }
}

#[test]
fn n_06_an_accept_that_fails_does_not_end_serving() {
    let mut server = limited("32", "off");
    for _ in 0..20 {
        // The client leaves before it is accepted.
        let client = server.client();
        set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
    }
    let mut clients: Vec<_> = (0..60).map(|_| server.client()).collect();
    clients
        .iter_mut()
        .for_each(|client| client.send(get("/sleep")));
    for client in &mut clients {
        read_answer(client);
    }
    assert!(server.is_alive());
}

#[test]
fn n_07_one_call_takes_one_connection_and_returns_before_its_first_byte() {
    within(Server::builder(), async |server| {
        let stream = TcpStream::connect(server.local_address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        server.accept_request(say).await.unwrap();
        let answers = spawn_blocking(move || {
            let mut client = Client { stream };
            client.send(get("/1") + &get("/2") + &get("/3"));
            [1, 2, 3].map(|_| read_answer(&mut client).1)
        });
        assert_eq!(answers.await.unwrap(), ["GET /1 ", "GET /2 ", "GET /3 "]);
    });
}

#[test]
fn n_08_one_of_two_pending_calls_accepts_the_connection_and_the_other_waits() {
    within(Server::builder(), async |server| {
        let mut calls = [0, 1].map(|_| Box::pin(server.accept_request(say)));
        for call in &mut calls {
            assert!(poll_once(call.as_mut()).await.is_none());
        }
        let _client = TcpStream::connect(server.local_address()).unwrap();
        let [first, second] = calls;
        let both = join(
            async { timeout(Duration::from_millis(100), first).await.is_ok() },
            async { timeout(Duration::from_millis(100), second).await.is_ok() },
        );
        let (first, second) = both.await;
        assert!(first != second, "{first} {second}");
    });
}

#[test]
fn n_09_a_close_ends_serve_and_keeps_open_connections() {
    alone(|| {
        within(Server::builder(), async |server| {
            let server = Rc::new(server);
            let serving = spawn({
                let server = server.clone();
                async move { server.serve(say).await }
            });
            let address = server.local_address();
            let client = spawn_blocking(move || {
                let stream = TcpStream::connect(address).unwrap();
                let mut client = Client { stream };
                client.send(get("/before"));
                read_answer(&mut client);
                client
            });
            let mut client = client.await.unwrap();
            server.close();
            server.close();
            serving.await.unwrap().unwrap();
            assert!(TcpStream::connect(address).is_err());
            let kept = spawn_blocking(move || {
                client.send(get("/after"));
                read_answer(&mut client).1
            });
            assert_eq!(kept.await.unwrap(), "GET /after ");
        });
    });
}

#[test]
fn n_10_the_limit_is_the_soft_one() {
    let server = limited("64", "on");
    assert_eq!(numbers(&mut server.client(), "/").1, 64);
}

#[test]
fn n_11_there_is_room_if_open_and_assumed_descriptors_fit_under_the_limit() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let headroom = server.descriptors().headroom();
    for (assumed, expected) in [(0, true), (5, true), (headroom + 1000, false)] {
        let server = Server::builder()
            .assumed_descriptors_per_request(assumed)
            .bind("127.0.0.1:0")
            .unwrap();
        assert_eq!(server.should_accept_request(), expected, "{assumed}");
    }
}

#[test]
fn n_12_the_limit_is_that_of_the_process() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let limit = getrlimit(Resource::Nofile).current.unwrap();
    assert_eq!(server.descriptors().limit() as u64, limit);
}

#[test]
fn n_13_all_descriptors_of_the_process_count() {
    let server = limited("128", "on");
    let mut asking = server.client();
    let (before, _) = numbers(&mut asking, "/");
    let mut sleeping: Vec<_> = (0..10).map(|_| server.client()).collect();
    sleeping
        .iter_mut()
        .for_each(|client| client.send(get("/sleep")));
    std::thread::sleep(Duration::from_millis(200));
    let (asleep, _) = numbers(&mut asking, "/");
    assert_eq!(asleep, before + 10);
    let (with_files, _) = numbers(&mut asking, "/files");
    assert_eq!(with_files, asleep + 20);
}

#[test]
fn n_14_clients_in_their_handlers_do_not_exhaust_the_descriptors() {
    let mut server = limited("32", "on");
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    let start = Instant::now();
    clients
        .iter_mut()
        .for_each(|client| client.send(get("/sleep")));
    for client in &mut clients {
        read_answer(client);
    }
    assert!(server.is_alive());
    assert!(
        start.elapsed() > Duration::from_millis(1900),
        "not all at once"
    );
}

#[test]
fn n_15_the_loop_of_the_examples_waits_for_room_and_not_for_a_clock() {
    let hello = include_str!("../../../examples/hello.rs");
    let accept_loop = &hello[hello.find("loop {").unwrap()..];
    assert!(accept_loop.contains("server.capacity().await") && !accept_loop.contains("sleep("));
    assert!(include_str!("../../../README.md").contains(accept_loop.trim()));
}
