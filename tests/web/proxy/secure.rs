//! Servers of https behind the proxy.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ClientConfig, ServerConnection, StreamOwned};
use tungstenite::Message;
use waterwheel::http::client::Client;
use waterwheel::http::web::proxy::ReverseProxy;
use waterwheel::http::{Request, Server, StatusCode, shared};

use super::origin::{Connected, Origin};
use super::{GET, builder, websocket_echo};
use crate::support::server::{DEADLINE, TestServer};
use crate::support::tls::{Authority, client_config, configs, server_builder};

/// A proxy in front of a server of https with this port.
fn proxy_to(port: u16, config: Arc<ClientConfig>) -> TestServer {
    let url = format!("https://localhost:{port}");
    TestServer::start(builder(), move || {
        shared(ReverseProxy::to(url).client(Client::builder().tls(config).build()))
    })
}

/// A connection of the proxy, over TLS.
type Secured = StreamOwned<ServerConnection, Connected>;

impl Read for Connected {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Connected {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.get_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads a head. Returns false at the end of the connection.
fn read_head(stream: &mut Secured) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// An origin of literal bytes over TLS, and a client's configuration that trusts it.
fn secured(serve: impl Fn(Secured) + Send + Sync + 'static) -> (Origin, Arc<ClientConfig>) {
    let authority = Authority::new();
    let pair = authority.server(&["localhost"]);
    let config = server_builder();
    let config = config.with_single_cert(vec![pair.certificate], pair.key);
    let config = Arc::new(config.unwrap());
    let origin = Origin::serve(move |connected| {
        let tls = ServerConnection::new(config.clone()).unwrap();
        serve(StreamOwned::new(tls, connected));
    });
    (origin, client_config(&authority))
}

#[test]
fn requests_and_bodies_pass_on_connections_that_are_used_again() {
    let (config, trusting) = configs();
    let behind = TestServer::start_plain(builder().tls(config), || {
        shared(async |request: Request<'_>| {
            let port = request.peer_address().map(|peer| peer.port().to_string());
            let fields = [("x-port", port.unwrap_or_default())];
            let body = request.body();
            let answer = request.start(StatusCode::OK, fields).await?;
            answer.send_body(body).await
        })
    });
    let server = proxy_to(behind.address.port(), trusting);
    let mut client = server.client();
    let mut ports = Vec::new();
    for length in [0, 1, 20_000, 1_000_000] {
        let body = vec![b'x'; length];
        let mut writer = client.stream.try_clone().unwrap();
        let sent = body.clone();
        let writing = std::thread::spawn(move || {
            let head = format!(
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
                sent.len()
            );
            writer.write_all(head.as_bytes()).unwrap();
            writer.write_all(&sent).unwrap();
        });
        let head = client.read_until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let port = head.lines().find(|line| line.starts_with("x-port: "));
        ports.push(port.unwrap().to_owned());
        let mut received = Vec::new();
        loop {
            let size = client.read_until("\r\n");
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            let mut piece = vec![0; size + 2];
            client.stream.read_exact(&mut piece).unwrap();
            if size == 0 {
                break;
            }
            received.extend_from_slice(&piece[..size]);
        }
        writing.join().unwrap();
        assert!(received == body, "{length}: {}", received.len());
    }
    ports.dedup();
    assert_eq!(ports.len(), 1, "{ports:?}");
}

#[test]
fn a_server_that_is_not_trusted_is_a_502() {
    let (config, trusting) = configs();
    let behind = TestServer::start_plain(builder().tls(config), || {
        shared(async |request: Request<'_>| request.respond(StatusCode::OK, "", ()).await)
    });
    let port = behind.address.port();
    let stranger = client_config(&Authority::new());
    let rows: [(String, Option<Arc<ClientConfig>>); 3] = [
        (format!("https://localhost:{port}"), Some(stranger)),
        (format!("https://127.0.0.1:{port}"), Some(trusting)), // another name
        (format!("https://localhost:{port}"), None),
    ];
    for (url, config) in rows {
        let place = url.clone();
        let server = TestServer::start(builder(), move || {
            let builder = Client::builder();
            let builder = match config {
                Some(config) => builder.tls(config),
                None => builder,
            };
            shared(ReverseProxy::to(url).client(builder.build()))
        });
        let answer = server.exchange(&[GET.as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 502 "), "{place}: {answer}");
    }
}

/// Without a `close_notify`, somebody between the two may have cut the stream (RFC 8446, 6.1).
#[test]
fn a_body_up_to_the_close_is_whole_only_with_a_close_notify() {
    for (head, ends_well, is_whole) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true, true),
        ("HTTP/1.1 200 OK\r\n\r\n", false, false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", false, true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", true, false),
    ] {
        let (origin, trusting) = secured(move |mut stream| {
            if !read_head(&mut stream) {
                return;
            }
            stream.write_all(format!("{head}rye").as_bytes()).unwrap();
            if ends_well {
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
            drop(stream.sock.stream.get_mut().shutdown(Shutdown::Write));
            stream.sock.rest();
        });
        let server = proxy_to(origin.address.port(), trusting);
        let mut client = server.client();
        client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let mut answer = Vec::new();
        drop(client.stream.read_to_end(&mut answer));
        let answer = String::from_utf8(answer).unwrap();
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let seems_whole =
            answer.ends_with("0\r\n\r\n") || answer.contains("length: 3") && body == "rye";
        let case = format!("{head:?} {ends_well}: {answer}");
        assert_eq!(
            seems_whole && answer.starts_with("HTTP/1.1 200 "),
            is_whole,
            "{case}"
        );
    }
}

/// The race of keep-alive, without a `close_notify`.
#[test]
fn a_request_that_meets_the_close_is_sent_again_where_it_is_safe() {
    const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    for (method, status) in [("GET", "200"), ("POST", "502")] {
        let connections = AtomicUsize::new(0);
        let (origin, trusting) = secured(move |mut stream| {
            let is_first = connections.fetch_add(1, Ordering::SeqCst) == 0;
            let mut answered = 0;
            while read_head(&mut stream) {
                if is_first && answered == 1 {
                    return;
                }
                stream.write_all(EMPTY).unwrap();
                answered += 1;
            }
        });
        let server = proxy_to(origin.address.port(), trusting);
        let mut client = server.client();
        client.send(GET);
        client.read_until("\r\n\r\n");
        client.send(format!(
            "{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
        ));
        let answer = client.read_until("\r\n\r\n");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{method}: {answer}"
        );
    }
}

#[test]
fn a_websocket_passes_through_and_each_half_of_a_tunnel_ends_by_itself() {
    let (config, trusting) = configs();
    let behind = websocket_echo(Server::builder().tls(config));
    let front = proxy_to(behind.address.port(), trusting);
    let stream = front.client().stream;
    let (mut socket, _) = tungstenite::client(format!("ws://{}/", front.address), stream).unwrap();
    for size in [0, 1, 1_000_000] {
        let message = Message::binary(vec![b'x'; size]);
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.close(None).unwrap();
    while socket.read().is_ok() {}

    let (sender, seen) = std::sync::mpsc::channel();
    let (origin, trusting) = secured(move |mut stream| {
        read_head(&mut stream);
        let switch = "HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
        stream.write_all(switch.as_bytes()).unwrap();
        let mut all = Vec::new();
        sender
            .send(stream.read_to_end(&mut all).map(|_| all.len()))
            .unwrap();
        stream.write_all(b"goodbye").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let front = proxy_to(origin.address.port(), trusting);
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    client.read_until("\r\n\r\n");
    client.send(vec![b'x'; 1_000_000]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read_to_end(), "goodbye");
    assert_eq!(seen.recv_timeout(DEADLINE).unwrap().unwrap(), 1_000_000);
}
