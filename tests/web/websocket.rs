//! WebSockets, frame by frame, over connections in memory.

mod closing;
mod compressed;
mod halves;
mod messages;
mod shutdown;
mod slow;
mod tls;

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::testing::{MemoryStream, TestClient};
use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
use waterwheel::http::{Io, Request, Responded, Result, Server};
use waterwheel::runtime::block_on;
use waterwheel::runtime::time::{self, timeout};

use crate::support::server::TestServer;

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// The longest wait for a frame. The clock of most tests is paused.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Makes a frame of a client. `first` has the opcode and the bit of the last frame.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(len @ 0..126) => frame.push(0x80 | len.to_be_bytes()[1]),
        Ok(len) => {
            frame.push(0xfe);
            frame.extend(len.to_be_bytes());
        }
        Err(_too_long) => {
            frame.push(0xff);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

fn close_frame(code: u16, text: &str) -> Vec<u8> {
    frame(0x88, [&code.to_be_bytes()[..], text.as_bytes()].concat())
}

/// A client that reads and writes frames.
struct Client {
    stream: MemoryStream,
    read: Vec<u8>,
}

impl Client {
    /// Opens a WebSocket that `talk` serves.
    async fn open<F>(options: &WebSocketOptions, talk: F) -> Self
    where
        F: AsyncFnOnce(WebSocket) -> Result<()> + Clone + 'static,
    {
        Self::of(&Server::builder().without_listener(), options, talk).await
    }

    async fn of<F>(server: &Server, options: &WebSocketOptions, talk: F) -> Self
    where
        F: AsyncFnOnce(WebSocket) -> Result<()> + Clone + 'static,
    {
        let client = TestClient::of(server, handler(options, talk));
        Self::shake_hands(client).await
    }

    /// As [`open`](Self::open), over a transport that remembers one waiter.
    async fn narrow<F>(options: &WebSocketOptions, talk: F) -> Self
    where
        F: AsyncFnOnce(WebSocket) -> Result<()> + Clone + 'static,
    {
        let server = Server::builder().without_listener();
        let handler = handler(options, talk);
        Self::shake_hands(TestClient::through(&server, handler, LastWaiter::new)).await
    }

    async fn shake_hands(mut client: TestClient) -> Self {
        client.send(HANDSHAKE).await;
        assert_eq!(client.answer().await.status.as_u16(), 101);
        let (stream, read) = client.into_stream();
        Self { stream, read }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).await.unwrap();
            assert!(
                count > 0,
                "the stream ends within a frame: {:x?}",
                self.read
            );
            self.read.extend_from_slice(&buffer[..count]);
        }
        self.read.drain(..count).collect()
    }

    /// Reads a frame: its first byte and its payload.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let head = self.bytes(2).await;
            assert_eq!(head[1] & 0x80, 0, "a server masks no frame");
            let len = match head[1] {
                126 => self
                    .bytes(2)
                    .await
                    .into_iter()
                    .fold(0, |len, byte| len << 8 | usize::from(byte)),
                127 => self
                    .bytes(8)
                    .await
                    .into_iter()
                    .fold(0, |len, byte| len << 8 | usize::from(byte)),
                len => len.into(),
            };
            (head[0], self.bytes(len).await)
        };
        timeout(PATIENCE, read).await.expect("a frame comes")
    }

    /// Reads a close frame: its code and its text. The server then closes its write half.
    async fn close(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().await;
        assert_eq!(first, 0x88, "{payload:x?}");
        let code = payload
            .get(..2)
            .map_or(0, |code| u16::from(code[0]) << 8 | u16::from(code[1]));
        let text = payload.get(2..).unwrap_or_default();
        (code, String::from_utf8(text.to_vec()).unwrap())
    }

    async fn end_of_stream(&mut self) {
        let mut rest = std::mem::take(&mut self.read);
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut rest));
        // A server that has given up resets.
        drop(read.await.expect("the stream ends"));
        assert!(rest.is_empty(), "{rest:x?}");
    }
}

/// A transport that remembers only the last waiter of each direction, as most transports of others do.
struct LastWaiter {
    stream: MemoryStream,
    reader: Arc<Waiter>,
    writer: Arc<Waiter>,
}

#[derive(Default)]
struct Waiter(Mutex<Option<Waker>>);

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.lock().unwrap().take() {
            waker.wake();
        }
    }
}

impl Waiter {
    fn poll<R>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        drop(self.0.lock().unwrap().replace(cx.waker().clone()));
        poll(&mut Context::from_waker(&self.clone().into()))
    }
}

impl LastWaiter {
    fn new(stream: MemoryStream) -> Self {
        Self {
            stream,
            reader: Arc::default(),
            writer: Arc::default(),
        }
    }
}

impl Io for LastWaiter {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader
            .poll(cx, |cx| Io::poll_read(&self.stream, cx, buffer))
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.writer
            .poll(cx, |cx| Io::poll_write(&self.stream, cx, slices))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(&self.stream, cx)
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_end(cx)
    }

    fn has_input(&self) -> bool {
        self.stream.has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_closed(cx)
    }
}

fn handler<F>(
    options: &WebSocketOptions,
    talk: F,
) -> impl AsyncFn(Request<'_>) -> Result<Responded> + use<F>
where
    F: AsyncFnOnce(WebSocket) -> Result<()> + Clone + 'static,
{
    let options = options.clone();
    async move |request: Request<'_>| websocket::upgrade(request, &options, talk.clone()).await
}

async fn echo(mut socket: WebSocket) -> Result<()> {
    while let Some(message) = socket.next().await? {
        socket.send(&message).await?;
    }
    Ok(())
}

/// Runs a test whose time is paused.
fn run(test: impl Future<Output = ()>) {
    block_on(async {
        time::pause();
        test.await;
    });
}

/// Returns a list, and a function that adds the outcome of a socket to it.
fn outcomes() -> (
    Rc<RefCell<Vec<String>>>,
    impl AsyncFnOnce(WebSocket) -> Result<()> + Clone,
) {
    let list = Rc::new(RefCell::new(Vec::new()));
    let noted = list.clone();
    let listen = async move |mut socket: WebSocket| {
        loop {
            match socket.next().await {
                Ok(Some(message)) => noted.borrow_mut().push(format!("{message:?}")),
                Ok(None) => {
                    let reason = socket.close_reason();
                    noted.borrow_mut().push(format!(
                        "closed {:?}",
                        reason.map(|reason| reason.code.get())
                    ));
                    return Ok(());
                }
                Err(error) => {
                    noted.borrow_mut().push(error.to_string());
                    return Err(error.into());
                }
            }
        }
    };
    (list, listen)
}

#[test]
fn a_page_of_http_opens_no_websocket_behind_tls() {
    // An attacker in the network can write such a page, and the browser sends the cookies of TLS along.
    let make = || handler(&WebSocketOptions::new(), echo);
    for (is_tls, host, origin, status) in [
        (true, "mill.example", "http://mill.example", 403),
        (true, "mill.example", "https://mill.example", 101),
        (true, "mill.example:443", "https://mill.example", 101), // a proxy adds the usual port
        (true, "mill.example:80", "http://mill.example", 403),
        (true, "mill.example:80", "https://mill.example", 403),
        (false, "mill.example", "http://mill.example", 101),
        (false, "mill.example:80", "http://mill.example", 101),
        (false, "mill.example", "https://mill.example", 101), // a proxy in front has TLS
        (false, "mill.example:443", "http://mill.example", 403),
        (false, "mill.example", "ftp://mill.example", 403),
    ] {
        let server = if is_tls {
            TestServer::over_tls(Server::builder(), make)
        } else {
            TestServer::start_plain(Server::builder(), make)
        };
        let named = format!("Host: {host}\r\nOrigin: {origin}\r\n");
        let mut client = server.client();
        client.send(HANDSHAKE.replace("Host: x\r\n", &named));
        let head = client.read_until("\r\n\r\n");
        let expected = format!("HTTP/1.1 {status} ");
        assert!(
            head.starts_with(&expected),
            "{is_tls} {host} {origin}: {head}"
        );
    }
}
