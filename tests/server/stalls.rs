//! A client stalls if it takes no byte for the limit. These transports hold bytes back, under the paused
//! clock.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::support::runtime::run;
use waterwheel::http::{Io, Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::spawn;
use waterwheel::runtime::time::{self, Instant, sleep, timeout};

/// The limit on a stall.
const LIMIT: Duration = Duration::from_millis(300);

/// The time between two bites that a client takes.
const BITE: Duration = Duration::from_millis(10);

/// Bytes that the transport holds back, at most.
const HELD_BYTES_MAX: usize = 60_000;

/// The bytes that a transport holds back, and those that its client has accepted.
#[derive(Default)]
struct Pipe {
    held: Cell<usize>,
    taken: Cell<usize>,
    resets: Cell<u32>,
    has_ended: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Pipe {
    fn take(&self, bytes: usize) {
        let count = self.held.get().min(bytes);
        self.held.set(self.held.get() - count);
        self.taken.set(self.taken.get() + count);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        self.waker.set(Some(cx.waker().clone()));
    }
}

/// A transport whose flush is ready only when the client has taken all bytes.
struct Narrow {
    requests: RefCell<Vec<u8>>,
    pipe: Rc<Pipe>,
    held_bytes_max: usize,
    /// False if the transport keeps the default of `Io::held_bytes`.
    reports_held: bool,
}

impl Io for Narrow {
    fn poll_read(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let requests = self.requests.take();
        if requests.is_empty() {
            return Poll::Pending;
        }
        buffer[..requests.len()].copy_from_slice(&requests);
        Poll::Ready(Ok(requests.len()))
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let room = self.held_bytes_max - self.pipe.held.get();
        let count = room.min(slices.iter().map(|slice| slice.len()).sum());
        if count == 0 {
            self.pipe.wait(cx);
            return Poll::Pending;
        }
        self.pipe.held.set(self.pipe.held.get() + count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pipe.held.get() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.pipe.wait(cx);
        Poll::Pending
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.poll_flush(cx);
        self.pipe.has_ended.set(flushed.is_ready());
        flushed
    }

    fn held_bytes(&self) -> usize {
        if !self.reports_held {
            return 0;
        }
        self.pipe.held.get()
    }

    fn reset_on_drop(&self) {
        self.pipe.resets.set(self.pipe.resets.get() + 1);
    }

    fn has_input(&self) -> bool {
        false
    }

    fn poll_closed(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// `/feed` sends small pieces for 2 s, one after each bite. `/wait` sends one piece and waits for ever.
/// `/ignore` ignores all errors of its writes. `/heed` fills the transport, and cleans up after the error. A
/// number is the length of the answer in bytes.
async fn answer(request: Request<'_>) -> Result<Responded> {
    let path = request.path().to_owned();
    match &*path {
        "/feed" => {
            let mut answer = request.start(StatusCode::OK, ()).await?;
            for _ in 0..200 {
                answer.write([b'x'; 2_000]).await?;
                sleep(BITE).await;
            }
            answer.finish().await
        }
        "/wait" => {
            let mut answer = request.start(StatusCode::OK, ()).await?;
            answer.write("event").await?;
            pending().await
        }
        "/ignore" => {
            let mut answer = request.start(StatusCode::OK, ()).await?;
            for _ in 0..1_000 {
                drop(answer.write(vec![b'x'; 100_000]).await);
            }
            answer.finish().await
        }
        "/heed" => {
            let mut answer = request.start(StatusCode::OK, ()).await?;
            let written = answer.write(vec![b'x'; 10 * HELD_BYTES_MAX]).await;
            assert!(written.is_err());
            sleep(10 * LIMIT).await;
            TIDIED.set(true);
            answer.write("more").await?;
            answer.finish().await
        }
        path => {
            let count = path[1..].parse().unwrap();
            request.respond(StatusCode::OK, vec![b'x'; count], ()).await
        }
    }
}

thread_local!(static TIDIED: Cell<bool> = const { Cell::new(false) });

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

/// A connection over a narrow transport, and its server.
struct Served {
    server: Server,
    pipe: Rc<Pipe>,
    task: waterwheel::runtime::JoinHandle<()>,
}

/// Serves requests to a client that takes `bite_bytes` in a bite.
fn serve(requests: String, bite_bytes: usize) -> Served {
    serve_over(requests, bite_bytes, HELD_BYTES_MAX, true)
}

fn serve_over(
    requests: String,
    bite_bytes: usize,
    held_bytes_max: usize,
    reports_held: bool,
) -> Served {
    time::pause();
    let server = Server::builder()
        .limits(Limits::default().with(|limits| limits.write_stall_duration_max = LIMIT))
        .without_listener();
    let pipe: Rc<Pipe> = Rc::default();
    let narrow = Narrow {
        requests: RefCell::new(requests.into_bytes()),
        pipe: pipe.clone(),
        held_bytes_max,
        reports_held,
    };
    let task = spawn(server.connection(narrow, None).serve(answer));
    if bite_bytes > 0 {
        let pipe = pipe.clone();
        let bites = async move {
            loop {
                sleep(BITE).await;
                pipe.take(bite_bytes);
            }
        };
        spawn(bites).detach();
    }
    Served { server, pipe, task }
}

#[test]
fn a_client_that_takes_bytes_all_the_time_is_not_stalled() {
    let pipelined: String = (0..20).map(|_| get("/30000", "")).collect();
    for (requests, bite_bytes, bytes_min, reports_held) in [
        // The flush is never ready, and the handler writes and waits in turn.
        (get("/feed", ""), 1_800, 400_000, true),
        (get("/feed", "Connection: close\r\n"), 1_800, 400_000, true),
        // The bytes that the transport accepts are progress, too.
        (get("/feed", ""), 1_800, 200_000, false),
        // The handler's write waits longer than a stall may, while its connection flushes.
        (get("/1000000", ""), 5_000, 1_000_000, true),
        (
            get("/1000000", "Connection: close\r\n"),
            5_000,
            1_000_000,
            true,
        ),
        // Answers of many requests.
        (pipelined, 5_000, 600_000, true),
        // A flush and an end that wait longer than a stall may.
        (get("/50000", ""), 100, 50_000, true),
        (get("/50000", "Connection: close\r\n"), 100, 50_000, true),
    ] {
        run(async {
            let served = serve_over(requests.clone(), bite_bytes, HELD_BYTES_MAX, reports_held);
            let taken = timeout(Duration::from_secs(60), async {
                while served.pipe.taken.get() < bytes_min {
                    sleep(BITE).await;
                }
            });
            assert!(taken.await.is_ok(), "{requests}");
            sleep(2 * LIMIT).await;
            let ended = requests.contains("close");
            assert_eq!(served.pipe.has_ended.get(), ended, "{requests}");
            assert_eq!(served.pipe.resets.get(), 0, "{requests}");
            assert_eq!(served.server.numbers().write_timeouts, 0, "{requests}");
        });
    }
}

#[test]
fn a_client_that_takes_no_more_is_reset_at_the_limit_and_counted_once() {
    let rows = [0, 1, 1_000, HELD_BYTES_MAX]
        .into_iter()
        .flat_map(|held_bytes_max| {
            let paths = ["/wait", "/feed", "/ignore", "/10", "/1000000"].into_iter();
            paths.flat_map(move |path| {
                ["", "Connection: close\r\n"].map(|fields| (held_bytes_max, path, fields))
            })
        });
    for (held_bytes_max, path, fields) in rows {
        let case = format!("{held_bytes_max} {path} {fields}");
        run(async {
            let start = Instant::now();
            let served = serve_over(get(path, fields), 0, held_bytes_max, true);
            let Served { server, pipe, task } = served;
            let ended = timeout(Duration::from_secs(60), task).await;
            let took = start.elapsed();
            assert!(ended.is_ok(), "{case}");
            // The last byte that the transport has taken: of `/feed`, those that fit.
            let last = match (path, held_bytes_max) {
                ("/feed", HELD_BYTES_MAX) => BITE * 29,
                _ => Duration::ZERO,
            };
            let range = last + LIMIT..last + LIMIT + 2 * BITE;
            assert!(range.contains(&took), "{case}: {took:?}");
            assert_eq!(pipe.resets.get(), 1, "{case}");
            assert_eq!(server.numbers().write_timeouts, 1, "{case}");
            assert_eq!(server.connections(), 0, "{case}");
        });
    }
}

#[test]
fn a_handler_that_receives_the_error_of_the_stall_runs_to_its_end() {
    run(async {
        TIDIED.set(false);
        let Served { server, pipe, task } = serve(get("/heed", ""), 0);
        sleep(2 * LIMIT).await;
        // Too late: the connection ends in a reset.
        let held = pipe.held.get();
        pipe.take(held);
        let ended = timeout(Duration::from_secs(60), task).await;
        assert!(ended.is_ok() && TIDIED.get());
        assert_eq!((pipe.held.get(), pipe.resets.get()), (0, 1));
        assert_eq!(server.numbers().write_timeouts, 1);
    });
}
