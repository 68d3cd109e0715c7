//! Requests of every kind through a transport that is as difficult as it may be.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::support::runtime::run;
use futures_lite::AsyncWriteExt;
use waterwheel::http::testing::{TestClient, Torture};
use waterwheel::http::{
    Handler, Io, Limits, Method, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{spawn, yield_now};

/// The answer that a path asks for. A number asks for so many bytes.
async fn answer(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/echo" => {
            let body = request.bytes().await?;
            request.respond(StatusCode::OK, body, ()).await
        }
        "/through" => {
            let mut from = request.body();
            let mut to = request.start(StatusCode::OK, ()).await?;
            while let Some(piece) = from.next().await? {
                to.write(piece).await?;
            }
            to.finish().await
        }
        "/file" => {
            let file = File::open("Cargo.lock")?;
            let length = file.metadata()?.len();
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.send_file(&file, 0..length).await?;
            body.finish().await
        }
        "/waits" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            for piece in ["one ", "two ", "three"] {
                body.write(piece).await?;
                sleep(Duration::from_millis(5)).await;
            }
            body.finish().await
        }
        "/upgrade" => {
            let (responded, upgrade) = request.upgrade("shout", ()).await?;
            spawn(async {
                let mut stream = upgrade.await?;
                stream.write_all(b"LOUD").await?;
                stream.close().await
            })
            .detach();
            Ok(responded)
        }
        path => {
            let count = path[1..].parse().unwrap_or(0);
            request.respond(StatusCode::OK, vec![b'x'; count], ()).await
        }
    }
}

fn tortured(server: &Server, seed: u64) -> TestClient {
    TestClient::through(server, answer, |io| Torture::new(io, seed))
}

#[test]
fn requests_of_every_kind_are_answered_whole() {
    run(async {
        let server = Server::builder().without_listener();
        let file = std::fs::read("Cargo.lock").unwrap();
        for seed in 0..100 {
            let mut client = tortured(&server, seed);
            assert_eq!(client.get("/10").await.body.len(), 10, "{seed}");
            assert_eq!(client.get("/70000").await.body.len(), 70_000, "{seed}");
            assert_eq!(
                client.post("/echo", vec![b'y'; 30_000]).await.body.len(),
                30_000
            );
            assert_eq!(
                client.post("/through", vec![b'y'; 9000]).await.body.len(),
                9000
            );
            assert_eq!(client.get("/waits").await.text(), "one two three", "{seed}");
            assert_eq!(client.get("/file").await.body, file, "{seed}");
            let head = client.request(&Method::HEAD, "/10", &[], b"").await;
            assert_eq!(head.headers["content-length"], "10");
            client
                .send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40))
                .await;
            for _ in 0..40 {
                assert_eq!(client.answer().await.body, b"x", "{seed}");
            }
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
            client.send("ab").await;
            assert_eq!(client.answer().await.body, b"ab", "{seed}");
            client.send("BREW /pot HTTP/1.1\r\n\r\n").await;
            assert_eq!(client.answer().await.status, StatusCode::BAD_REQUEST);
            assert_eq!(client.read_to_end().await, b"", "{seed}");
        }
    });
}

#[test]
fn an_upgraded_stream_is_flushed_and_ended_too() {
    run(async {
        let server = Server::builder().without_listener();
        for seed in 0..50 {
            let mut client = tortured(&server, seed);
            let offer = [("connection", "upgrade"), ("upgrade", "shout")];
            let answer = client.request(&Method::GET, "/upgrade", &offer, b"").await;
            assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
            assert_eq!(client.read_to_end().await, b"LOUD", "{seed}");
        }
    });
}

/// The sizes at which a late reader over TLS once lost the end of its answer.
fn sizes() -> impl Iterator<Item = usize> {
    (1_000_000..=7_000_000).step_by(40_000)
}

#[test]
fn a_late_reader_loses_nothing_of_a_large_answer() {
    run(async {
        let server = Server::builder().without_listener();
        for (seed, size) in (0..).zip(sizes()) {
            for last in ["", "Connection: close\r\n"] {
                let mut client = tortured(&server, seed);
                client
                    .send(format!("GET /{size} HTTP/1.1\r\nHost: x\r\n{last}\r\n"))
                    .await;
                for _ in 0..100 {
                    yield_now().await;
                }
                assert_eq!(client.answer().await.body.len(), size, "{seed} {last}");
                if !last.is_empty() {
                    assert_eq!(client.read_to_end().await, b"");
                }
            }
        }
    });
}

#[test]
fn a_client_that_takes_nothing_is_cut_while_its_answer_is_held_back() {
    run(async {
        time::pause();
        let limits = Limits {
            write_stall_duration_max: Duration::from_secs(3),
            ..Limits::default()
        };
        let server = Server::builder().limits(limits).without_listener();
        for seed in 0..20 {
            // More than the stream holds, by less than the transport does.
            let mut client = tortured(&server, seed);
            client.send("GET /70000 HTTP/1.1\r\nHost: x\r\n\r\n").await;
            client.closed().await;
            assert_eq!(server.numbers().write_timeouts, seed + 1);
        }
    });
}

#[test]
fn a_client_that_takes_nothing_is_cut_while_its_handler_writes() {
    run(async {
        time::pause();
        let limits = Limits {
            write_stall_duration_max: Duration::from_secs(3),
            ..Limits::default()
        };
        let server = Server::builder().limits(limits).without_listener();
        let start = time::Instant::now();
        let mut plain = TestClient::of(&server, answer);
        plain.send("GET /9000000 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        plain.closed().await;
        assert_eq!((time::Instant::now() - start).as_secs(), 3);
        assert_eq!(server.numbers().write_timeouts, 1);
        for seed in 0..20 {
            let mut client = tortured(&server, seed);
            client
                .send("GET /9000000 HTTP/1.1\r\nHost: x\r\n\r\n")
                .await;
            client.closed().await;
            assert_eq!(server.numbers().write_timeouts, seed + 2);
        }
    });
}

/// A transport that holds back up to `room` bytes. The client takes bytes of it by [`take`](Self::take).
#[derive(Clone)]
struct Held(Rc<Inner>);

struct Inner {
    /// Bytes that the client sends. Behind them it is silent, or sends letters for ever.
    request: Cell<&'static [u8]>,
    floods: bool,
    room: usize,
    held: Cell<usize>,
    waker: Cell<Option<Waker>>,
}

impl Held {
    fn new(request: &'static [u8], floods: bool, room: usize) -> Self {
        Self(Rc::new(Inner {
            request: Cell::new(request),
            floods,
            room,
            held: Cell::new(0),
            waker: Cell::new(None),
        }))
    }

    /// Takes up to `count` bytes; returns how many there were.
    fn take(&self, count: usize) -> usize {
        let taken = self.0.held.get().min(count);
        self.0.held.set(self.0.held.get() - taken);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
        taken
    }

    fn wait<T>(&self, cx: &Context<'_>) -> Poll<io::Result<T>> {
        self.0.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Io for Held {
    fn poll_read(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let request = self.0.request.take();
        if request.is_empty() && !self.0.floods {
            return Poll::Pending;
        }
        if request.is_empty() {
            buffer.fill(b'x');
            return Poll::Ready(Ok(buffer.len()));
        }
        let count = request.len().min(buffer.len());
        buffer[..count].copy_from_slice(&request[..count]);
        self.0.request.set(&request[count..]);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let count = length.min(self.0.room - self.0.held.get());
        if count == 0 {
            return self.wait(cx);
        }
        self.0.held.set(self.0.held.get() + count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.held.get() > 0 || self.0.room == 0 {
            return self.wait(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn has_input(&self) -> bool {
        false
    }

    fn poll_closed(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server that takes a client for stalled after 300 ms.
fn impatient() -> Server {
    let limits = Limits {
        write_stall_duration_max: Duration::from_millis(300),
        linger_duration_max: Duration::from_secs(3),
        linger_stall_duration_max: Duration::from_secs(1),
        ..Limits::default()
    };
    Server::builder().limits(limits).without_listener()
}

#[test]
fn a_client_that_takes_bytes_slowly_all_the_time_is_not_stalled() {
    run(async {
        time::pause();
        let server = impatient();
        let transport = Held::new(GET, false, 60_000);
        let feed = async |request: Request<'_>| {
            let mut body = request.start(StatusCode::OK, ()).await?;
            for _ in 0..100 {
                body.write(&[b'x'; 2_000]).await?;
                sleep(Duration::from_millis(10)).await;
            }
            body.finish().await
        };
        let serving = spawn(server.connection(transport.clone(), None).serve(feed));
        let mut taken = 0;
        // Less than the handler writes, so no flush is ever ready.
        for _ in 0..150 {
            sleep(Duration::from_millis(10)).await;
            taken += transport.take(1_800);
        }
        assert!(taken > 200_000, "{taken}");
        assert_eq!(server.numbers().write_timeouts, 0);
        serving.abort();
    });
}

#[test]
fn a_client_that_takes_no_byte_is_cut_once_whatever_its_handler_does() {
    async fn waits(request: Request<'_>) -> Result<Responded> {
        let mut body = request.start(StatusCode::OK, ()).await?;
        body.write(b"event").await?;
        std::future::pending::<()>().await;
        body.finish().await
    }
    async fn ticks(request: Request<'_>) -> Result<Responded> {
        let mut body = request.start(StatusCode::OK, ()).await?;
        loop {
            body.write(b"event").await?;
            sleep(Duration::from_millis(10)).await;
        }
    }
    async fn ignores(request: Request<'_>) -> Result<Responded> {
        let mut body = request.start(StatusCode::OK, ()).await?;
        let piece = vec![b'x'; 100_000];
        for _ in 0..1_000 {
            drop(body.write(&piece).await);
        }
        body.finish().await
    }
    async fn cut(handler: impl Handler + Copy) {
        for room in [0, 1, 1_000] {
            let server = impatient();
            let connection = server.connection(Held::new(GET, false, room), None);
            let ended = timeout(Duration::from_secs(3), connection.serve(handler));
            assert!(ended.await.is_ok(), "{room}");
            assert_eq!(server.numbers().write_timeouts, 1, "{room}");
            assert_eq!(server.numbers().open, 0, "{room}");
        }
    }
    run(async {
        time::pause();
        cut(waits).await;
        cut(ticks).await;
        cut(ignores).await;
    });
}

#[test]
fn a_transport_that_always_has_more_to_read_does_not_hold_the_thread() {
    async fn reads(request: Request<'_>) -> Result<Responded> {
        let mut body = request.body();
        while body.next().await?.is_some() {}
        request.respond(StatusCode::OK, "", ()).await
    }
    for request in [
        b"no request\r\n\r\n".as_slice(), // refused; then it lingers
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n",
    ] {
        run(async move {
            let limits = Limits {
                body_bytes_max: u64::MAX,
                write_stall_duration_max: Duration::from_millis(200),
                linger_duration_max: Duration::from_millis(200),
                handler_duration_max: Some(Duration::from_millis(200)),
                ..Limits::default()
            };
            let server = Server::builder().limits(limits).without_listener();
            let connection = server.connection(Held::new(request, true, 1_000), None);
            let serving = spawn(connection.serve(reads));
            let start = std::time::Instant::now();
            sleep(Duration::from_millis(10)).await;
            assert!(start.elapsed() < Duration::from_millis(150));
            let ended = timeout(Duration::from_secs(5), serving).await;
            assert!(ended.is_ok(), "{}", String::from_utf8_lossy(request));
        });
    }
}
