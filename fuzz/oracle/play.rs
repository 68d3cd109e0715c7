//! A server and its client on one thread, in memory, under a clock that stands still.
//!
//! Waiting for a millisecond of that clock is waiting until nobody has anything left to do.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};
use waterwheel::http::testing::MemoryStream;
use waterwheel::http::{Connection, Handler, Limits, Server};
use waterwheel::runtime::{JoinHandle, Runtime, spawn, time, yield_now};

thread_local! {
    /// One runtime for all runs: its clock goes on, its wheel turns on.
    static RUNTIME: Runtime = Runtime::new().expect("descriptors are left");
}

/// Runs one client's doings; none of its tasks may be left behind.
pub fn run<T>(client: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| {
        let value = runtime.block_on(async {
            time::pause();
            client.await
        });
        // What has been woken for its end comes to it.
        assert_eq!(runtime.run_until_idle(), 0, "tasks are left behind");
        value
    })
}

/// Until nobody has anything left to do at this time.
pub async fn settle() {
    time::sleep(Duration::from_millis(1)).await;
}

/// A client, and the server's task behind it.
pub struct Client {
    stream: Option<MemoryStream>,
    /// Everything the server has sent, as far as it was read.
    pub output: Vec<u8>,
    /// How much that is, for those who are elsewhere.
    pub received: Rc<Cell<usize>>,
    /// Whether the end of it was seen.
    pub at_end: bool,
    server: Server,
    task: JoinHandle<()>,
    polls: Rc<Cell<u64>>,
    doings: u64,
}

/// No connection takes longer than this to end once its client has left.
const AFTERLIFE: Duration = Duration::from_secs(3600);

/// Who reads looks as often as this: well within the time in which a server wants something read.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What may be under way to the server: a little less than a connection holds.
pub const SENT_BYTES_MAX: usize = 48 * 1024;

impl Client {
    /// A new connection, to a server of its own.
    pub fn new(limits: Limits, handler: impl Handler) -> Self {
        let server = Server::builder().limits(limits).without_listener();
        Self::with(server, |connection| connection.serve(handler))
    }

    /// A new connection, served so.
    pub fn with<F: Future<Output = ()> + 'static>(
        server: Server,
        serve: impl FnOnce(Connection<MemoryStream>) -> F,
    ) -> Self {
        let (near, far) = MemoryStream::pair();
        let polls = Rc::<Cell<u64>>::default();
        let serve = serve(server.connection(far, None));
        Self {
            stream: Some(near),
            output: Vec::new(),
            received: Rc::default(),
            at_end: false,
            server,
            task: spawn(counted(serve, polls.clone())),
            polls,
            doings: 0,
        }
    }

    /// Sends a piece, which the server reads by itself; what the connection no longer takes is lost.
    /// Says how much it took.
    pub async fn send(&mut self, piece: &[u8]) -> usize {
        self.doings += 1 + piece.len() as u64;
        let mut sent = 0;
        while let Some(stream) = &mut self.stream
            && sent < piece.len()
        {
            let left = &piece[sent..];
            match now_or_never(|cx| Pin::new(&mut *stream).poll_write(cx, left)).await {
                Some(Ok(count)) => sent += count,
                Some(Err(_)) | None => break,
            }
        }
        sent
    }

    /// Reads what is there.
    pub async fn read(&mut self) {
        self.read_up_to(usize::MAX).await;
    }

    /// Reads what is there, but no more than that.
    pub async fn read_up_to(&mut self, bytes_max: usize) {
        self.doings += 1;
        let mut piece = [0; 4096];
        let mut left = bytes_max;
        while let Some(stream) = &mut self.stream
            && left > 0
        {
            let room = &mut piece[..left.min(4096)];
            match now_or_never(|cx| Pin::new(&mut *stream).poll_read(cx, room)).await {
                Some(Ok(count)) if count > 0 => {
                    self.output.extend_from_slice(&piece[..count]);
                    self.received.set(self.output.len());
                    left -= count;
                }
                Some(_) => {
                    self.at_end = true;
                    return;
                }
                None => return,
            }
        }
    }

    /// Reads up to the end of the connection, which has to come.
    pub async fn read_to_end(&mut self) {
        let start = time::Instant::now();
        let mut quiet = Duration::from_millis(1);
        while self.stream.is_some() && !self.at_end {
            assert!(
                start.elapsed() < AFTERLIFE,
                "the connection is never closed"
            );
            let had = self.output.len();
            self.read().await;
            quiet = if self.output.len() == had {
                PATIENCE.min(quiet * 2)
            } else {
                Duration::from_millis(1)
            };
            time::sleep(quiet).await;
        }
    }

    /// Ends the sending direction: what is sent from then on is lost.
    pub fn end(&mut self) {
        if let Some(stream) = &self.stream {
            stream.end();
        }
    }

    /// Leaves.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    /// Waits, and does nothing, until the server has given up on it.
    pub async fn outlast_server(&mut self) {
        let over = async {
            while !self.task.is_finished() {
                time::sleep(Duration::from_secs(1)).await;
            }
        };
        let over = time::timeout(AFTERLIFE, over).await;
        over.expect("the connection goes on for an hour with nobody doing anything");
    }

    /// Leaves if it has not yet: the connection's task must end, and its place be free.
    pub async fn leave(mut self) -> Vec<u8> {
        self.hang_up();
        let ended = time::timeout(AFTERLIFE, pin!(&mut self.task)).await;
        let ended = ended.expect("the connection outlives its client by an hour");
        ended.expect("the connection's task panicked");
        // A stream that was handed over keeps its place until its task has met the end, too.
        let free = async {
            while self.server.connections() > 0 {
                time::sleep(Duration::from_secs(1)).await;
            }
        };
        let free = time::timeout(AFTERLIFE, free).await;
        free.expect("a place is still taken");
        let allowed = 1_000 + 16 * (self.doings + self.output.len() as u64);
        let polls = self.polls.get();
        assert!(polls < allowed, "{polls} polls for {} doings", self.doings);
        self.output
    }
}

/// What is ready at once; a second look, since the first may have been refused for want of budget.
async fn now_or_never<T>(
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> Option<io::Result<T>> {
    for _ in 0..2 {
        let look = poll_fn(|cx| match poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(value) = look.await {
            return Some(value);
        }
        yield_now().await;
    }
    None
}

/// Counts how often it is polled: a task that wakes itself for nothing shows there.
async fn counted(task: impl Future<Output = ()>, polls: Rc<Cell<u64>>) {
    let mut task = pin!(task);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        assert!(polls.get() < 10_000_000, "the connection's task spins");
        task.as_mut().poll(cx)
    })
    .await;
}
