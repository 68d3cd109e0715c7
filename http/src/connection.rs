//! One connection's life, as one loop.
//!
//! # How it works
//!
//! ```text
//!          ┌──────────────── quiet for a second ◄───────────────┐
//!          ▼                                                    │
//!  (1) wait until readable ──► burst: (2) read ──► (3) head whole? ──no──► flush, wait ─┐
//!          │                      ▲                   │ yes                             │
//!          │ idle too long        │                (4) handler ──► answer queued        │
//!          │ asked to leave       │                   │                                 │
//!          ▼                      │                (5) settle: verify, drain ───────────┤
//!        close ◄── (6) linger ◄───┴── close? ◄────────┘            ◄────────────────────┘
//! ```
//!
//! 1. An idle connection holds a socket, a deadline and the key of its record: no buffer.
//! 2. Readable: it takes a working set from the pool and reads into it.
//! 3. As long as whole heads are there, requests are served and their answers queued. When none is
//!    left, all answers go out in one write.
//! 4. The handler's future lives in the burst's allocation, so an idle connection does not carry
//!    it, however large it is.
//! 5. Whatever the handler did or failed to do, the request at hand is answered, or the
//!    connection ends.
//! 6. After an answer that the client may not be ready to read, because it is still sending, the
//!    rest is read and thrown away for a while; else its kernel would throw the answer away.
//!
//! # Invariants
//!
//! - Always: answers leave in the order of their requests.
//! - Never: a wait without a deadline.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use waterwheel_runtime::budget;
use waterwheel_runtime::net::TcpStream;
use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use crate::answer::Responded;
use crate::error::{Error, Refusal, Result};
use crate::exchange::Answer;
use crate::handler::Handler;
use crate::io::Io;
use crate::link::Link;
use crate::proto::head::Parsed;
use crate::proto::keep_alive::Persistence;
use crate::register::{Key, State};
use crate::request::Request;
use crate::shared::Shared;
use crate::work::Work;

/// How long a burst outlives its last request, so that a client that comes again soon finds
/// everything in place.
pub(crate) const BURST_LINGER: Duration = Duration::from_secs(1);

/// One connection to a client.
///
/// Made by [`Server::accept`](crate::Server::accept), or by
/// [`Server::connection`](crate::Server::connection) over your own transport. Serve it with a
/// handler, or pull its requests one by one:
///
/// ```
/// use waterwheel_http::{Connection, Result, StatusCode};
///
/// async fn pull(mut connection: Connection) -> Result<()> {
///     while let Some(request) = connection.next().await? {
///         request.respond(StatusCode::OK, "pulled", ()).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct Connection<T: Io = TcpStream> {
    io: T,
    place: Place,
    peer: Option<SocketAddr>,
    sleep: Sleep,
    requests: u64,
    stage: Stage,
    work: Option<Box<Work>>,
}

/// Where a connection stands with its server: ends with it.
struct Place {
    shared: Rc<Shared>,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.register.remove(self.key);
    }
}

/// What the connection waits for when it waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its first request; nothing has been tried yet.
    Fresh,
    /// A request.
    Between,
    /// The rest of a head.
    WithinHead,
    /// The end of the handler.
    Handling,
}

/// What came of a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There is something to read.
    Readable,
    /// Nothing for as long as the burst lasts.
    Quiet,
    /// The connection is over.
    Over,
}

/// How long to wait for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all: what has come, and no more.
    Nothing,
    /// As long as the burst lasts.
    Burst,
    /// As long as a connection may be idle.
    Idle,
}

impl<T: Io> Connection<T> {
    pub(crate) fn new(io: T, peer: Option<SocketAddr>, shared: Rc<Shared>) -> Self {
        let key = shared.register.add();
        let deadline = Instant::of_turn() + shared.limits.head_duration_max;
        Self {
            io,
            place: Place { shared, key },
            peer,
            sleep: sleep_until(deadline),
            requests: 0,
            stage: Stage::Fresh,
            work: None,
        }
    }

    /// Who is at the other end, where the transport knows addresses.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Serves requests for as long as they come one after the other; breaks when the connection
    /// is over.
    pub(crate) async fn burst<H: Handler>(
        &mut self,
        handler: &H,
        patience: Patience,
    ) -> ControlFlow<()> {
        while let Woken::Readable = self.fill(patience).await? {
            let Some((link, request)) = self.request() else {
                return ControlFlow::Break(());
            };
            let outcome = {
                let call = pin!(handler.call(request));
                drive(link, call).await
            };
            self.settle(outcome).await?;
            poll_fn(|cx| budget::poll_spend(cx, 1)).await;
        }
        ControlFlow::Continue(())
    }

    /// The next request; `None` when the connection is over.
    ///
    /// A request that was dropped without an answer is answered with 500.
    ///
    /// # Errors
    ///
    /// None yet: what a client does wrong is answered here, and ends the connection.
    ///
    /// # Cancel safety
    ///
    /// Safe: what has come stays.
    pub async fn next(&mut self) -> Result<Option<Request<'_>>> {
        if self.stage == Stage::Handling && self.settle(Ok(Ok(None))).await.is_break() {
            return Ok(None);
        }
        match self.fill(Patience::Idle).await {
            ControlFlow::Continue(Woken::Readable) => {
                Ok(self.request().map(|(_, request)| request))
            }
            _ => Ok(None),
        }
    }

    /// Brings a whole head to the front of the input; breaks when the connection is over.
    async fn fill(&mut self, patience: Patience) -> ControlFlow<(), Woken> {
        loop {
            match self.parse() {
                Ok(Parsed::Complete(_)) => return ControlFlow::Continue(Woken::Readable),
                Ok(Parsed::Incomplete) => {}
                Err(refusal) => {
                    self.refuse(refusal).await;
                    return ControlFlow::Break(());
                }
            }
            if self.flush().await.is_err() {
                return ControlFlow::Break(());
            }
            match self.read_or_wait(patience).await {
                Woken::Readable => {}
                Woken::Quiet => return ControlFlow::Continue(Woken::Quiet),
                Woken::Over => return ControlFlow::Break(()),
            }
        }
    }

    fn parse(&mut self) -> Result<Parsed, Refusal> {
        let Some(work) = &mut self.work else {
            return Ok(Parsed::Incomplete);
        };
        let parsed = work.parser.parse(
            work.input.filled(),
            &mut work.head,
            &self.place.shared.limits,
        )?;
        if let Parsed::Complete(head_bytes) = parsed {
            work.head_bytes = head_bytes;
            self.begin();
        }
        Ok(parsed)
    }

    /// A request has come whole.
    fn begin(&mut self) {
        self.stage = Stage::Handling;
        self.requests += 1;
        let last = self
            .place
            .shared
            .limits
            .requests_max
            .is_some_and(|max| self.requests >= max)
            || self.place.shared.register.state(self.place.key) == State::Leaving;
        if let Some(work) = &mut self.work {
            let head = &work.head;
            let persistence = if last {
                Persistence::Close
            } else {
                head.persistence()
            };
            let body_is_coming = work.input.filled().len() == work.head_bytes;
            let awaits_continue = head.awaits_continue() && body_is_coming;
            work.exchange
                .begin(head.framing(), awaits_continue, persistence);
        }
    }

    /// The request at the front, and its link.
    fn request(&self) -> Option<(Link<'_>, Request<'_>)> {
        let work = self.work.as_deref()?;
        let link = self.link()?;
        let request = Request::new(
            link,
            &work.head,
            work.input.filled(),
            work.head_bytes,
            self.peer,
        );
        Some((link, request))
    }

    fn link(&self) -> Option<Link<'_>> {
        let exchange = &self.work.as_deref()?.exchange;
        Some(Link {
            exchange,
            io: &self.io,
            shared: &self.place.shared,
        })
    }

    async fn flush(&self) -> Result<()> {
        match self.link() {
            Some(link) => link.flush().await,
            None => Ok(()),
        }
    }
}

/// Reading and waiting.
impl<T: Io> Connection<T> {
    /// Waits until something can be read, and reads it.
    async fn read_or_wait(&mut self, patience: Patience) -> Woken {
        loop {
            // What was just accepted has often sent its request already.
            if self.stage != Stage::Fresh {
                let woken = self.wait(patience).await;
                if woken != Woken::Readable {
                    return woken;
                }
            }
            match self.read_once().await {
                Some(Ok(0) | Err(_)) => return Woken::Over,
                Some(Ok(_)) => return Woken::Readable,
                None if self.stage == Stage::Fresh => self.stage = Stage::Between,
                None => {}
            }
        }
    }

    /// Reads if there is something; `None` if there is not.
    async fn read_once(&mut self) -> Option<std::io::Result<usize>> {
        let work = self
            .work
            .get_or_insert_with(|| self.place.shared.take_work());
        let io = &self.io;
        let read = poll_fn(|cx| match io.poll_read(cx, work.input.room()) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => Poll::Ready(None),
        });
        let read = read.await;
        if let Some(Ok(count)) = read {
            work.input.add(count);
        }
        read
    }

    /// Waits until something can be read. With nothing begun, the working set goes back.
    async fn wait(&mut self, patience: Patience) -> Woken {
        self.prepare_to_wait(patience);
        if patience == Patience::Nothing {
            return Woken::Quiet;
        }
        match poll_fn(|cx| self.poll_wait(cx)).await {
            Some(woken) => woken,
            None if self.is_within_head() => {
                self.refuse_late().await;
                Woken::Over
            }
            None if patience == Patience::Burst && self.requests > 0 => Woken::Quiet,
            None => Woken::Over,
        }
    }

    /// Whether a head has begun and is not whole.
    pub(crate) fn is_within_head(&self) -> bool {
        self.stage == Stage::WithinHead
    }

    /// A head has taken too long.
    pub(crate) async fn refuse_late(&mut self) {
        self.refuse(Refusal::HeadTooSlow).await;
    }

    pub(crate) fn prepare_to_wait(&mut self, patience: Patience) {
        let limits = &self.place.shared.limits;
        let begun = self
            .work
            .as_ref()
            .is_some_and(|work| !work.input.is_empty());
        if begun {
            if self.stage != Stage::WithinHead {
                self.stage = Stage::WithinHead;
                self.sleep
                    .reset(Instant::of_turn() + limits.head_duration_max);
            }
            if let Some(work) = &mut self.work {
                work.input.shrink();
            }
            return;
        }
        if let Some(work) = self.work.take() {
            self.place.shared.give_back(work);
        }
        if self.requests > 0 {
            self.stage = Stage::Between;
            let idle = match patience {
                Patience::Burst => BURST_LINGER.min(limits.idle_duration_max),
                Patience::Nothing | Patience::Idle => limits.idle_duration_max,
            };
            self.sleep.reset(Instant::of_turn() + idle);
        }
    }

    /// What happened; `None` when the time is over.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Woken>> {
        match self.io.poll_readable(cx) {
            Poll::Ready(Ok(())) => {
                self.place.shared.register.busy(self.place.key);
                return Poll::Ready(Some(Woken::Readable));
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Some(Woken::Over)),
            Poll::Pending => {}
        }
        if self.stage == Stage::Between && self.requests > 0 && self.must_leave(cx) {
            // One last look: what has come in the meantime is served first.
            let woken = if self.io.has_input() {
                Woken::Readable
            } else {
                Woken::Over
            };
            return Poll::Ready(Some(woken));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| None)
    }

    /// Registers as idle; whether room is wanted.
    fn must_leave(&self, cx: &Context<'_>) -> bool {
        let register = &self.place.shared.register;
        register.idle(self.place.key, cx.waker());
        self.place.shared.pressed.get() || register.state(self.place.key) == State::Leaving
    }
}

/// Ending: an exchange, or all of it.
impl<T: Io> Connection<T> {
    /// The handler is done, one way or the other: sees to it that the request is answered, and
    /// that the next one can be found.
    async fn settle(&mut self, outcome: Outcome) -> ControlFlow<()> {
        self.judge(outcome)?;
        let Some(link) = self.link() else {
            return ControlFlow::Break(());
        };
        let drained = drain(link, self.behind()).await;
        let persists = link.exchange.persistence.get().persists();
        let Some(work) = &mut self.work else {
            return ControlFlow::Break(());
        };
        work.advance();
        self.stage = Stage::Between;
        match (persists, drained) {
            (true, Drained::Whole) => ControlFlow::Continue(()),
            (false, Drained::Whole) if work.input.is_empty() => {
                // Nothing unread is left that could cost the client its answer.
                drop(self.flush().await);
                ControlFlow::Break(())
            }
            _ => {
                self.close_lingering().await;
                ControlFlow::Break(())
            }
        }
    }

    /// What came behind the head at the front.
    fn behind(&self) -> &[u8] {
        self.work
            .as_ref()
            .map_or(&[], |work| &work.input.filled()[work.head_bytes..])
    }

    /// Looks at what became of the request; breaks if the connection has to be cut.
    fn judge(&self, outcome: Outcome) -> ControlFlow<()> {
        let (Some(link), Some(work)) = (self.link(), self.work.as_deref()) else {
            return ControlFlow::Break(());
        };
        let error = match outcome {
            Ok(Ok(_)) if link.exchange.is_answered() => return ControlFlow::Continue(()),
            Ok(Ok(_)) if link.exchange.answer.get() == Answer::Streaming => {
                return ControlFlow::Break(());
            }
            Ok(Ok(_)) => Error::message("the handler gave back a Responded of another request"),
            Ok(Err(error)) => error,
            Err(payload) => Error::message(format!(
                "the handler panicked: {}",
                panic_message(&*payload)
            )),
        };
        self.log(&error);
        match link.exchange.answer.get() {
            Answer::Awaited => link.queue_error(&work.head, error.status(), reason(&error)),
            Answer::Streaming => return ControlFlow::Break(()),
            Answer::Complete => link.exchange.persistence.set(Persistence::Close),
        }
        ControlFlow::Continue(())
    }

    /// Errors that are the client's fault, or the network's, are no news to the operator.
    fn log(&self, error: &Error) {
        let foreign = error.refusal().is_some()
            || error
                .downcast_ref::<std::io::Error>()
                .is_some_and(is_of_peer);
        if foreign {
            return;
        }
        if let Some(left_out) = self.place.shared.log.allows() {
            tracing::error!(peer = ?self.peer, ?error, left_out, "a request failed in its handler");
        }
    }

    /// Answers a request that cannot be read, and ends the connection.
    async fn refuse(&mut self, refusal: Refusal) {
        if let (Some(link), Some(work)) = (self.link(), self.work.as_deref()) {
            link.queue_error(&work.head, refusal.status(), refusal.reason());
        }
        self.close_lingering().await;
    }

    /// Sends what is queued, ends the writing direction, and reads on for a while: a client that
    /// is still sending would lose the answer to a reset otherwise.
    async fn close_lingering(&mut self) {
        if self.flush().await.is_ok() && self.io.end_writing().is_ok() {
            self.sleep
                .reset(Instant::now() + self.place.shared.limits.linger_duration_max);
            let mut left = self.place.shared.limits.linger_bytes_max;
            poll_fn(|cx| self.poll_discard(cx, &mut left)).await;
        }
    }

    /// Reads and throws away, until the end, the cap, or the deadline.
    fn poll_discard(&mut self, cx: &mut Context<'_>, left: &mut u64) -> Poll<()> {
        let mut scrap = [0; 4096];
        while *left > 0 {
            match self.io.poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(count)) => *left = left.saturating_sub(count as u64),
                Poll::Pending => return Pin::new(&mut self.sleep).poll(cx),
            }
        }
        Poll::Ready(())
    }
}

impl<T: Io> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// A handler's end: an answer (or, where requests are pulled, nothing to show), an error, or a
/// panic.
type Outcome = std::result::Result<Result<Option<Responded>>, Box<dyn Any + Send>>;

/// Polls a handler. Whatever is queued when it waits goes out; its panic ends here.
///
/// Pinned where it stands: a handler's future may be large, and is not moved.
async fn drive(
    link: Link<'_>,
    mut handler: Pin<&mut impl Future<Output = Result<Responded>>>,
) -> Outcome {
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(Poll::Ready(responded)) => Poll::Ready(Ok(responded.map(Some))),
            Ok(Poll::Pending) => {
                // An error here will be met again by whoever writes next.
                drop(link.poll_flush(cx));
                Poll::Pending
            }
            Err(payload) => Poll::Ready(Err(payload)),
        },
    )
    .await
}

#[derive(PartialEq, Eq)]
enum Drained {
    /// The next byte is the next request's.
    Whole,
    /// There is more, or it is broken: nothing can be found behind it.
    Given,
}

/// Reads what the handler has left of the body, up to the limit.
async fn drain(link: Link<'_>, behind: &[u8]) -> Drained {
    let mut left = link.shared.limits.drain_bytes_max;
    loop {
        if link.exchange.body.borrow().is_done() {
            return Drained::Whole;
        }
        if left == 0 || !link.exchange.persistence.get().persists() {
            return Drained::Given;
        }
        let mut count = 0;
        let mut sink = |data: &[u8]| count += data.len() as u64;
        if poll_fn(|cx| link.poll_take(cx, behind, &mut sink))
            .await
            .is_err()
        {
            return Drained::Given;
        }
        left = left.saturating_sub(count);
    }
}

fn reason(error: &Error) -> &'static str {
    error
        .refusal()
        .map_or("internal server error", Refusal::reason)
}

/// Whether an error only says that the peer is gone or has stopped.
fn is_of_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::BrokenPipe
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::TimedOut
            | Kind::WriteZero
    )
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}
