//! WebSockets over TLS, with clients of rustls over TCP.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flate2::{Decompress, FlushDecompress};
use rustls::ClientConfig;
use tungstenite::client::client_with_config;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message as OtherMessage, protocol::WebSocketConfig};
use waterwheel::http::web::websocket::{CloseCode, WebSocket, WebSocketOptions};
use waterwheel::http::{Handler, Result, Server, ServerThread};

use super::{HANDSHAKE, close_frame, echo, frame, handler};
use crate::support::server::DEADLINE;
use crate::support::tls::{TlsClient, configs, connect};

/// A server of HTTPS.
struct SecureServer {
    thread: ServerThread,
    client: Arc<ClientConfig>,
}

impl SecureServer {
    fn start<H: Handler>(make: impl FnOnce() -> H + Send + 'static) -> Self {
        let (server, client) = configs();
        let thread = Server::builder()
            .tls(server)
            .stoppable("127.0.0.1:0", make)
            .unwrap();
        Self { thread, client }
    }

    fn echo(options: fn() -> WebSocketOptions) -> Self {
        Self::start(move || handler(&options(), echo))
    }

    fn address(&self) -> SocketAddr {
        self.thread.local_address()
    }

    /// Opens a WebSocket.
    fn open(&self) -> RawSocket {
        let mut tls = connect(self.address(), &self.client);
        tls.write_all(HANDSHAKE.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tls.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        RawSocket(tls)
    }
}

/// A client that reads and writes frames.
struct RawSocket(TlsClient);

impl RawSocket {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.bytes(2);
        let more = match head[1] {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let number = self.bytes(more).into_iter();
        let len = number.fold(0, |len, byte| len << 8 | usize::from(byte));
        let len = if more == 0 { head[1].into() } else { len };
        (head[0], self.bytes(len))
    }

    /// Reads a `close_notify`, and then the end of the stream below.
    fn expect_the_end(&mut self) {
        // rustls returns an error for an end without a `close_notify`.
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
        assert_eq!(self.0.sock.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn tungstenite_over_rustls_gets_its_messages_back() {
    let server = SecureServer::echo(|| WebSocketOptions::new().message_bytes_max(4 << 20));
    let tls = connect(server.address(), &server.client);
    let config = WebSocketConfig::default();
    let opened = client_with_config("wss://localhost/", tls, Some(config));
    let (mut socket, _answer) = opened.unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    for len in [0, 1, 125, 126, 16_383, 16_384, 65_535, 65_536, 1_000_000] {
        for message in [
            OtherMessage::binary(bytes[..len].to_vec()),
            OtherMessage::text("ü".repeat(len / 2)),
        ] {
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
        }
    }
    // In fragments, with a ping among them.
    let pieces: Vec<&[u8]> = bytes.chunks(90_001).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let opcode = if at == 0 {
            Data::Binary
        } else {
            Data::Continue
        };
        let is_final = at + 1 == pieces.len();
        let frame = Frame::message(piece.to_vec(), OpCode::Data(opcode), is_final);
        socket.send(OtherMessage::Frame(frame)).unwrap();
        socket.send(OtherMessage::Ping(vec![7].into())).unwrap();
    }
    let mut messages = Vec::new();
    while messages.is_empty() {
        messages.extend(Some(socket.read().unwrap()).filter(OtherMessage::is_binary));
    }
    assert_eq!(messages[0], OtherMessage::binary(bytes));
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

#[test]
fn compressed_messages_come_back_over_tls() {
    let server = SecureServer::echo(|| WebSocketOptions::new().compress_across_messages());
    let mut socket = server.open();
    let mut inflate = Decompress::new(false);
    let text = "the mill turns ".repeat(3000);
    for _ in 0..3 {
        socket.send(frame(0x81, &text));
        let (first, mut payload) = socket.frame();
        assert_eq!(first, 0xc1);
        assert!(payload.len() < 1000, "{}", payload.len());
        payload.extend([0, 0, 0xff, 0xff]);
        let mut bytes = Vec::with_capacity(100_000);
        inflate
            .decompress_vec(&payload, &mut bytes, FlushDecompress::Sync)
            .unwrap();
        assert!(bytes == text.as_bytes());
        // The same bytes are a message of the client.
        payload.truncate(payload.len() - 4);
        socket.send(frame(0xc1, &payload));
        let (first, mut payload) = socket.frame();
        assert_eq!(first, 0xc1);
        payload.extend([0, 0, 0xff, 0xff]);
        bytes.clear();
        inflate
            .decompress_vec(&payload, &mut bytes, FlushDecompress::Sync)
            .unwrap();
        assert!(bytes == text.as_bytes());
    }
}

#[test]
fn a_server_that_ends_sends_1001_then_close_notify_then_the_end() {
    let server = SecureServer::echo(WebSocketOptions::new);
    let (mut idle, mut sending) = (server.open(), server.open());
    let message = frame(0x81, "a message on its way");
    sending.send(&message[..9]);
    // The server has read that when it has read this.
    idle.send(frame(0x81, "x"));
    assert_eq!(idle.frame(), (0x81, b"x".to_vec()));
    server.thread.stopper().stop();
    for socket in [&mut idle, &mut sending] {
        let (first, payload) = socket.frame();
        assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    }
    sending.send(&message[9..]);
    for mut socket in [idle, sending] {
        socket.send(close_frame(1001, ""));
        socket.expect_the_end();
    }
    let report = server.thread.join().unwrap();
    assert_eq!((report.upgraded, report.cut), (2, 0), "{report}");
}

#[test]
fn a_client_that_closes_over_tls_gets_its_code_then_close_notify_then_the_end() {
    let server = SecureServer::echo(WebSocketOptions::new);
    for is_polite in [true, false] {
        let mut socket = server.open();
        socket.send(close_frame(4000, "bye"));
        if is_polite {
            // Some clients send it at once.
            socket.0.conn.send_close_notify();
            socket.0.flush().unwrap();
        }
        assert_eq!(socket.frame(), (0x88, 4000_u16.to_be_bytes().to_vec()));
        socket.expect_the_end();
    }
}

/// Sends frames of 1 MiB, and counts those that are accepted.
async fn flood(mut socket: WebSocket, sent: Arc<AtomicUsize>) -> Result<()> {
    let bytes = vec![7; 1 << 20];
    loop {
        socket.send_binary(&bytes).await?;
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_client_that_reads_nothing_over_tls_makes_send_wait_and_delays_no_other() {
    // The memory of the kernel for one connection, and a little more.
    const FRAMES_MAX: usize = 24;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let server = SecureServer::start(move || {
        let talk = async move |mut socket: WebSocket| match socket.next().await? {
            Some(message) if message.as_bytes() == b"flood" => flood(socket, counted).await,
            Some(message) => Ok(socket.send(&message).await?),
            None => Ok(()),
        };
        handler(&WebSocketOptions::new(), talk)
    });
    let mut deaf = server.open();
    deaf.send(frame(0x81, "flood"));
    let start = Instant::now();
    let mut stalled = (usize::MAX, Instant::now());
    while stalled.1.elapsed() < Duration::from_millis(300) {
        assert!(start.elapsed() < DEADLINE, "the server never waits");
        let now = sent.load(Ordering::Relaxed);
        assert!(now <= FRAMES_MAX, "{now} MiB are sent");
        if now != stalled.0 {
            stalled = (now, Instant::now());
        }
        let mut other = server.open();
        other.send(frame(0x81, "hello"));
        assert_eq!(other.frame(), (0x81, b"hello".to_vec()));
        thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..2 * FRAMES_MAX {
        let (first, payload) = deaf.frame();
        assert!(first == 0x82 && payload.len() == 1 << 20 && payload.iter().all(|byte| *byte == 7));
    }
    assert!(sent.load(Ordering::Relaxed) >= 2 * FRAMES_MAX - 1);
}

#[test]
fn an_end_without_close_notify_is_a_lost_client_and_after_the_close_frame_it_is_none() {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let noted = outcomes.clone();
    let server = SecureServer::start(move || {
        let talk = async move |mut socket: WebSocket| {
            let closes = match socket.next().await? {
                Some(message) => message.as_bytes() == b"close",
                None => false,
            };
            let result = if closes {
                format!("{:?}", socket.close(CloseCode::NORMAL, "").await)
            } else {
                format!("{:?}", socket.next().await)
            };
            noted.lock().unwrap().push(result);
            Ok(())
        };
        handler(&WebSocketOptions::new(), talk)
    });
    for (word, expected) in [("wait", "Err(Lost("), ("close", "Ok(())")] {
        let mut socket = server.open();
        socket.send(frame(0x81, word));
        if word == "close" {
            assert_eq!(socket.frame().0, 0x88);
        }
        socket.0.sock.shutdown(Shutdown::Write).unwrap();
        let start = Instant::now();
        let outcome = loop {
            if let Some(outcome) = outcomes.lock().unwrap().pop() {
                break outcome;
            }
            assert!(start.elapsed() < DEADLINE, "{word}");
            thread::sleep(Duration::from_millis(1));
        };
        assert!(outcome.starts_with(expected), "{word}: {outcome}");
    }
}
