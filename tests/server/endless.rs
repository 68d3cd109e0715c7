//! A transport that is always ready does not hold the thread.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::support::runtime::run;
use waterwheel::http::{Connection, Io, Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{race, spawn};

/// Reads `first` once and then `again` for ever.
struct Endless {
    first: Cell<&'static str>,
    again: &'static str,
    /// False if all writes wait.
    takes: bool,
    /// False if flushes wait, and the end.
    flushes: bool,
}

impl Io for Endless {
    fn poll_read(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let text = match self.first.take() {
            "" => self.again,
            first => first,
        };
        let count = text.len().min(buffer.len());
        buffer[..count].copy_from_slice(&text.as_bytes()[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if !self.takes {
            return Poll::Pending;
        }
        // As slow as a socket.
        let count = slices.iter().map(|slice| slice.len()).sum::<usize>();
        Poll::Ready(Ok(count.min(64 * 1024)))
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flushes {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn has_input(&self) -> bool {
        true
    }

    fn poll_closed(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// `/read` reads its body for ever, `/write` writes for ever in small pieces, `/through` in large ones.
async fn answer(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/read" => {
            let mut body = request.body();
            while body.next().await?.is_some() {}
        }
        "/write" | "/through" => {
            let count = if request.path() == "/write" {
                10
            } else {
                1 << 20
            };
            let mut answer = request.start(StatusCode::OK, ()).await?;
            let piece = vec![b'x'; count];
            loop {
                answer.write(&piece).await?;
            }
        }
        _ => {}
    }
    request.respond(StatusCode::OK, "hello", ()).await
}

async fn pull(mut connection: Connection<Endless>) {
    while let Some(request) = connection.next().await.unwrap() {
        drop(answer(request).await.unwrap());
    }
}

const LINGER: Duration = Duration::from_millis(300);

fn limits() -> Limits {
    Limits::default().with(|limits| {
        limits.body_bytes_max = u64::MAX;
        limits.linger_duration_max = LINGER;
        limits.linger_stall_duration_max = LINGER;
        limits.write_stall_duration_max = LINGER;
    })
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Checks that another task runs meanwhile.
async fn assert_others_run(case: &str) {
    let start = Instant::now();
    for _ in 0..5 {
        sleep(Duration::from_millis(10)).await;
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{case}: {took:?}");
}

#[test]
fn requests_bodies_and_answers_without_an_end_do_not_delay_others() {
    for (case, first, again) in [
        ("requests", GET, GET),
        ("lines", "\r\n", "\r\n"),
        (
            "a body",
            "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999\r\n\r\n",
            "some of the body",
        ),
        (
            "chunks",
            "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
        ),
        ("pieces", "GET /write HTTP/1.1\r\nHost: x\r\n\r\n", GET),
        (
            "large pieces",
            "GET /through HTTP/1.1\r\nHost: x\r\n\r\n",
            GET,
        ),
    ] {
        for is_pulled in [false, true] {
            run(async {
                let server = Server::builder().limits(limits()).without_listener();
                let io = Endless {
                    first: Cell::new(first),
                    again,
                    takes: true,
                    flushes: true,
                };
                let connection = server.connection(io, None);
                let task = spawn(async move {
                    if is_pulled {
                        pull(connection).await;
                    } else {
                        connection.serve(answer).await;
                    }
                });
                race(assert_others_run(case), sleep(Duration::from_secs(10))).await;
                task.abort();
            });
        }
    }
}

#[test]
fn bytes_without_an_end_behind_the_last_answer_are_read_until_the_limit() {
    for (case, first, takes, flushes) in [
        ("a refusal", "BAD\0\r\n\r\n", true, true),
        (
            "a close",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
            true,
            true,
        ),
        ("a write that waits", "GET / HTTP/1.0\r\n\r\n", false, true),
        ("a flush that waits", "GET / HTTP/1.0\r\n\r\n", true, false),
    ] {
        run(async {
            let server = Server::builder().limits(limits()).without_listener();
            let io = Endless {
                first: Cell::new(first),
                again: "more",
                takes,
                flushes,
            };
            let task = spawn(server.connection(io, None).serve(answer));
            let start = Instant::now();
            assert_others_run(case).await;
            let ended = timeout(Duration::from_secs(10), task).await;
            assert!(ended.is_ok(), "{case}");
            let took = start.elapsed();
            assert!(took < 10 * LINGER, "{case}: {took:?}");
        });
    }
}

#[test]
fn a_handler_that_reads_a_body_without_an_end_is_cut_at_its_limit() {
    run(async {
        let limits = limits().with(|limits| limits.handler_duration_max = Some(LINGER));
        let server = Server::builder().limits(limits).without_listener();
        let io = Endless {
            first: Cell::new(
                "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
            ),
            again: "some of the body",
            takes: true,
            flushes: true,
        };
        let start = Instant::now();
        let task = spawn(server.connection(io, None).serve(answer));
        let ended = timeout(Duration::from_secs(10), task).await;
        assert!(ended.is_ok());
        let took = start.elapsed(); // the handler's time, and then that of lingering
        assert!(took >= LINGER && took < 10 * LINGER, "{took:?}");
    });
}
