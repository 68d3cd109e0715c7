//! Requests of each kind through a transport that uses every delay that its contract allows.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::runtime::run;
use futures_lite::AsyncWriteExt;
use waterwheel::http::testing::{TestClient, Torture};
use waterwheel::http::{Io, Limits, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{spawn, yield_now};

/// Answers by the path. A number is the length of the answer in bytes.
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
fn requests_of_each_kind_are_answered_whole() {
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
fn an_upgraded_stream_is_flushed_and_ended() {
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

/// Sizes in the range in which a late reader over TLS once lost the end of its answer. `tls.rs` has more of
/// them.
fn sizes() -> impl Iterator<Item = usize> {
    (1_000_000..=7_000_000).step_by(200_000)
}

#[test]
fn a_late_reader_receives_a_large_answer_whole() {
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
fn a_client_that_takes_no_byte_is_cut() {
    run(async {
        time::pause();
        let limits = Limits::default()
            .with(|limits| limits.write_stall_duration_max = Duration::from_secs(3));
        let server = Server::builder().limits(limits).without_listener();
        // The first answer is more than the stream holds, by less than the transport holds back. The second is
        // more than both, so the handler's write waits.
        for path in ["/70000", "/9000000"] {
            for seed in 0..20 {
                let before = server.numbers().write_timeouts;
                let mut client = tortured(&server, seed);
                client
                    .send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
                    .await;
                client.closed().await;
                assert_eq!(server.numbers().write_timeouts, before + 1, "{path} {seed}");
            }
        }
    });
}

/// A transport whose first flushes wait, as those of TLS, which sends tickets after its handshake.
struct LateFlush<T> {
    inner: T,
    waits: Cell<u32>,
}

impl<T: Io> Io for LateFlush<T> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, slices)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(waits) = self.waits.get().checked_sub(1) else {
            return self.inner.poll_flush(cx);
        };
        self.waits.set(waits);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_end(cx)
    }

    fn has_input(&self) -> bool {
        self.inner.has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_closed(cx)
    }
}

#[test]
fn a_flush_that_waits_before_the_first_request_does_not_lose_it() {
    run(async {
        let server = Server::builder().without_listener();
        // Its buffers are those of the next connection.
        let mut last = TestClient::of(&server, answer);
        let close = [("connection", "close")];
        last.request(&Method::GET, "/10", &close, b"").await;
        last.read_to_end().await;
        let late = |inner| LateFlush {
            inner,
            waits: Cell::new(3),
        };
        let mut client = TestClient::through(&server, answer, late);
        // The first read finds no bytes, and the buffers are free again.
        for _ in 0..10 {
            yield_now().await;
        }
        client.send("GET /10 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let answered = timeout(Duration::from_secs(1), client.answer()).await;
        assert_eq!(answered.unwrap().body.len(), 10);
    });
}
