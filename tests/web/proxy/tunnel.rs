//! Tunnels behind 101: a WebSocket, half-closed streams, ends, and protocols that are not passed on.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tungstenite::Message;
use waterwheel::http::{Server, shared};

use super::origin::Origin;
use super::{proxy, proxy_with, websocket_echo};
use crate::support::server::{DEADLINE, TestServer, without_dates};

const OFFER: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-key: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n\
                      sec-websocket-accept: y\r\nkeep-alive: 5\r\n\r\n";

#[test]
fn the_head_of_a_tunnel_has_the_fields_of_the_upgrade() {
    let (sender, heads) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        sender.send(client.head().unwrap()).unwrap();
        // The first bytes of the tunnel come with the head.
        client.send(format!("{SWITCH}hello"));
        client.rest();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send(OFFER);
    assert_eq!(
        without_dates(&client.read_until("hello")),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nsec-websocket-accept: y\r\n\
         via: 1.1 waterwheel\r\nconnection: upgrade\r\n\r\nhello"
    );
    let head = heads.recv_timeout(DEADLINE).unwrap();
    for field in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: x",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{head}");
    }
}

#[test]
fn bytes_pass_in_both_directions_and_each_half_ends_by_itself() {
    let (sender, seen) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        client.head();
        client.send(SWITCH);
        // Reads to the end of the client's half, and answers after that.
        sender.send(client.rest()).unwrap();
        client.send("goodbye");
        client.end();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send(OFFER);
    client.send("early");
    client.read_until("\r\n\r\n");
    client.send(vec![b'x'; 1_000_000]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read_to_end(), "goodbye");
    let bytes = seen.recv_timeout(DEADLINE).unwrap();
    assert_eq!((bytes.len(), &bytes[..5]), (1_000_005, &b"early"[..]));
}

#[test]
fn a_tunnel_ends_when_either_side_is_gone() {
    let (sender, ended) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        client.head();
        client.send(SWITCH);
        if client.read_exact(1) == b"q" {
            return;
        }
        client.rest();
        sender.send(()).unwrap();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send(OFFER);
    client.read_until("\r\n\r\n");
    client.send("q");
    assert_eq!(client.read_to_end(), "");
    let mut client = server.client();
    client.send(OFFER);
    client.read_until("\r\n\r\n");
    client.send("x");
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
    drop(client);
    ended.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn an_offer_that_the_server_refuses_is_a_request_like_any_other() {
    let (origin, _heads) =
        Origin::answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    let server = proxy(&origin);
    let mut client = server.client();
    for _ in 0..2 {
        client.send(OFFER);
        assert!(client.read_until("no").starts_with("HTTP/1.1 403 "));
    }
}

#[test]
fn a_protocol_passes_only_if_the_proxy_allows_it() {
    for (offered, chosen, is_passed, status) in [
        ("chat", "chat", true, "101"),
        ("CHAT", "chat", true, "101"),
        // Behind a tunnel of h2c, the client could send requests that the proxy does not see.
        ("h2c", "h2c", false, "502"),
        ("chat", "other", true, "502"),
        ("chat", "chat, other", true, "502"),
    ] {
        let (sender, heads) = mpsc::channel();
        let origin = Origin::serve(move |mut client| {
            sender.send(client.head().unwrap()).unwrap();
            client.send(format!(
                "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: {chosen}\r\n\r\n"
            ));
            client.rest();
        });
        let server = proxy_with(&origin, |proxy| proxy.upgrade_to("chat"));
        let request = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: {offered}\r\n\r\n"
        );
        let mut client = server.client();
        client.send(&request);
        let answer = client.read_until("\r\n\r\n");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{offered}: {answer}"
        );
        let head = heads.recv_timeout(DEADLINE).unwrap();
        assert_eq!(head.contains("\r\nupgrade: "), is_passed, "{head}");
    }
}

/// The server would read the bytes of the tunnel as the rest of the body (RFC 9110, 7.8).
#[test]
fn a_change_within_the_body_is_a_502() {
    let (sender, seen) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        client.head();
        client.send(SWITCH);
        sender.send(client.rest()).unwrap();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send(OFFER.replace(
        "GET /chat HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 6\r\n",
    ));
    client.send("rye");
    let answer = client.read_until("\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(seen.recv_timeout(DEADLINE).unwrap().len() <= 3);
}

/// Docker's clients do this, with the protocol `tcp`.
#[test]
fn a_tunnel_follows_a_request_with_a_body() {
    for framing in [
        "content-length: 6\r\n\r\nryebar",
        "transfer-encoding: chunked\r\n\r\n3\r\nrye\r\n3\r\nbar\r\n0\r\n\r\n",
    ] {
        let (sender, seen) = mpsc::channel();
        let origin = Origin::serve(move |mut client| {
            client.head();
            let end = if framing.starts_with('c') {
                "bar"
            } else {
                "0\r\n\r\n"
            };
            client.read_until(end);
            client.send(format!("{SWITCH}hello"));
            sender.send(client.rest()).unwrap();
            client.send("goodbye");
        });
        let server = proxy(&origin);
        let mut client = server.client();
        let head = OFFER.strip_prefix("GET /chat").unwrap().trim_end();
        client.send(format!("POST /chat{head}\r\n{framing}early"));
        client.read_until("\r\n\r\nhello");
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read_to_end(), "goodbye");
        assert_eq!(seen.recv_timeout(DEADLINE).unwrap(), b"early", "{framing}");
    }
}

/// Our own WebSocket server behind the proxy, and tungstenite before it.
#[test]
fn a_websocket_passes_through() {
    let behind = websocket_echo(Server::builder());
    let url = format!("http://{}", behind.address);
    let front = TestServer::start(Server::builder(), move || {
        shared(waterwheel::http::web::proxy::ReverseProxy::to(&url))
    });
    let stream = front.client().stream;
    let (mut socket, response) =
        tungstenite::client(format!("ws://{}/", front.address), stream).unwrap();
    assert_eq!(response.status(), 101);
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let message = Message::binary(vec![b'x'; size]);
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.send(Message::text("rye")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("rye"));
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

/// A server waits for its tunnels within its grace, and cuts them then.
#[test]
fn a_tunnel_is_cut_at_the_end_of_a_shutdown() {
    let origin = Origin::serve(|mut client| {
        client.head();
        client.send(SWITCH);
        client.rest();
    });
    let url = origin.url();
    let server = std::thread::spawn(move || {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            waterwheel::runtime::block_on(async move {
                let server = Server::bind("127.0.0.1:0").unwrap();
                let (stop, stopped) = mpsc::channel::<()>();
                sender.send((server.local_address(), stop)).unwrap();
                let stop = async {
                    drop(waterwheel::runtime::spawn_blocking(move || stopped.recv()).await);
                    Ok(())
                };
                let proxy = waterwheel::http::web::proxy::ReverseProxy::to(&url);
                waterwheel::runtime::race(server.serve(proxy), stop)
                    .await
                    .unwrap();
                server.shutdown(Duration::from_millis(300)).await;
            });
        });
        (receiver.recv().unwrap(), thread)
    });
    let ((address, stop), thread) = server.join().unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(OFFER.as_bytes()).unwrap();
    let mut head = [0; 30];
    client.read_exact(&mut head).unwrap();
    let start = Instant::now();
    drop(stop);
    thread.join().unwrap();
    assert!(start.elapsed() < DEADLINE);
    let mut rest = Vec::new();
    drop(client.read_to_end(&mut rest));
}
