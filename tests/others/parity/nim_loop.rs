//! The loop of asynchttpserver: the connections that stay, and the clients that are served meanwhile (N-20,
//! N-40, N-60 to N-66).

use std::collections::BTreeSet;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::{Error, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, spawn, time::sleep};

use super::process::Process;
use super::served::{
    answered, answered_last, check, failed, get, impatient, post, read_answer, server, server_with,
};
use crate::support::server::{Client, DEADLINE, TestServer};

/// Upgrades, and returns all bytes in capitals, in a task that outlives the handler.
async fn shout(request: Request<'_>) -> Result<Responded> {
    let (responded, upgrade) = request.upgrade("shout", ()).await?;
    spawn(async {
        let mut stream = upgrade.await?;
        let mut piece = [0; 16];
        loop {
            let count = stream.read(&mut piece).await?;
            if count == 0 {
                return stream.close().await;
            }
            stream
                .write_all(&piece[..count].to_ascii_uppercase())
                .await?;
        }
    })
    .detach();
    Ok(responded)
}

const OFFER: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: shout\r\n";

#[test]
fn n_20_the_handler_can_take_the_stream_and_speak_another_protocol() {
    let server = TestServer::start(Server::builder(), || shout);
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{OFFER}\r\nfirst"));
    let head = client.read_until("\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head:?}"
    );
    assert_eq!(client.read_until("FIRST"), "FIRST");
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read_to_end(), "GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn n_61_an_upgraded_stream_is_not_closed_and_an_offer_alone_has_no_effect() {
    let taken = TestServer::start(Server::builder(), || shout);
    let mut client = taken.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{OFFER}\r\n"));
    client.read_until("\r\n\r\n");
    // The handler has returned long before.
    for word in ["one", "two"] {
        client.send(word);
        let upper = word.to_uppercase();
        assert_eq!(client.read_until(&upper), upper);
    }
    let offer = format!("GET / HTTP/1.1\r\nHost: x\r\n{OFFER}\r\n");
    check(
        &server(),
        &[(&offer.repeat(2), &answered("GET / ").repeat(2))],
    );
}

#[test]
fn n_40_after_a_413_the_connection_is_closed() {
    let server = server_with(impatient());
    let mut client = server.client();
    client.send(post(
        "Content-Length: 9000000\r\n",
        "only the start of the body",
    ));
    let answer = client.read_to_end();
    assert!(
        answer.starts_with("HTTP/1.1 413 Content Too Large\r\n"),
        "{answer:?}"
    );
}

#[test]
fn n_60_a_handler_that_fails_costs_its_own_connection_and_no_other() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| match request.path() {
            "/error" => Err(Error::message("on purpose")),
            "/panic" => panic!("on purpose"),
            _ => request.respond(StatusCode::OK, "fine", ()).await,
        }
    });
    let mut other = server.client();
    for path in ["/error", "/panic"] {
        other.send(get("/"));
        assert_eq!(read_answer(&mut other).1, "fine");
        check(&server, &[(&(get(path) + &get("/")), &failed())]);
    }
    other.send(get("/"));
    assert_eq!(read_answer(&mut other).1, "fine");
}

#[test]
fn n_62_a_connection_stays_by_its_version_and_its_fields() {
    let twice = |version: &str, fields: &str| {
        format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n").repeat(2)
    };
    let stays = answered("GET / ").repeat(2);
    let confirmed = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: keep-alive\r\n\r\nGET / ";
    let ends = answered_last("GET / ");
    check(
        &server(),
        &[
            (&twice("1.1", ""), &stays),
            (&twice("1.1", "Connection: Close\r\n"), &ends),
            (&twice("1.1", "Connection: foo, close\r\n"), &ends),
            (
                &twice("1.1", "Connection: foo\r\nConnection: close\r\n"),
                &ends,
            ),
            (&twice("1.1", "Connection: closed\r\n"), &stays),
            (&twice("1.0", ""), &ends),
            (
                &twice("1.0", "Connection: Keep-Alive\r\n"),
                &confirmed.repeat(2),
            ),
            (
                &twice("1.0", "Connection: foo, keep-alive\r\n"),
                &confirmed.repeat(2),
            ),
        ],
    );
}

#[test]
fn n_63_three_requests_in_one_packet_are_answered_in_order() {
    let three = get("/1") + &post("Content-Length: 3\r\n", "two") + &get("/3");
    let expected = answered("GET /1 ") + &answered("POST / two") + &answered("GET /3 ");
    check(&server(), &[(&three, &expected)]);
}

#[test]
fn n_64_a_hundred_handlers_that_wait_wait_together() {
    const LONG: Duration = Duration::from_millis(100);
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            sleep(LONG).await;
            request.respond(StatusCode::OK, "slept", ()).await
        }
    });
    let start = Instant::now();
    let mut clients: Vec<_> = (0..100).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.send(get("/")));
    for client in &mut clients {
        assert_eq!(read_answer(client).1, "slept");
    }
    let elapsed = start.elapsed();
    assert!(
        elapsed >= LONG && elapsed < 10 * LONG,
        "one after the other: 100 times; {elapsed:?}"
    );
}

#[test]
fn n_65_a_handler_learns_that_its_client_has_left() {
    let (sender, told) = mpsc::channel();
    let server = TestServer::start(Server::builder(), move || {
        async move |request: Request<'_>| {
            sender.send("begun").unwrap();
            request.disconnected().await;
            sender.send("gone").unwrap();
            Ok(request.abort())
        }
    });
    let mut client = server.client();
    client.send(get("/"));
    assert_eq!(told.recv_timeout(DEADLINE), Ok("begun"));
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(told.recv_timeout(DEADLINE), Ok("gone"));
}

/// One of two server processes. Returns at once unless the process was started as a server.
#[test]
fn child() {
    let Ok(address) = std::env::var("PARITY_ADDRESS") else {
        return;
    };
    block_on(async {
        let server = Server::builder().reuse_port(true).bind(address).unwrap();
        println!("listening on http://{}", server.local_address());
        let me = std::process::id().to_string();
        let handler =
            async move |request: Request<'_>| request.respond(StatusCode::OK, &me, ()).await;
        server.serve(handler).await.unwrap();
    });
}

#[test]
fn n_66_two_processes_share_a_port() {
    let start = |address| Process::start("parity::nim_loop::child", &[("PARITY_ADDRESS", address)]);
    let first = start("127.0.0.1:0");
    let second = start(&first.address.to_string());
    assert_eq!(first.address, second.address);
    let clash = Server::bind(first.address).unwrap_err();
    assert_eq!(
        clash.kind(),
        std::io::ErrorKind::AddrInUse,
        "a port is shared only if that is set"
    );
    let both = BTreeSet::from([first.child.id().to_string(), second.child.id().to_string()]);
    let mut seen = BTreeSet::new();
    // The kernel distributes connections by a hash. Of 200, both processes have some.
    for _ in 0..200 {
        let mut client = Client {
            stream: TcpStream::connect(first.address).unwrap(),
        };
        client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        client.send(get("/"));
        seen.insert(read_answer(&mut client).1);
    }
    assert_eq!(seen, both);
}
