//! One connection's life, as one loop.
//!
//! # How it works
//!
//! ```text
//!          ┌──────────────────── nothing to read ◄────────────┐
//!          ▼                                                  │
//!  (1) wait until woken ──► burst: (2) read ◄──────────── flush, read ◄───┐
//!          │                          │                                   │ no
//!          │                     (3) head whole? ─────────────────────────┤
//!          │ idle too long            │ yes                               │
//!          │ asked to leave        (4) handler ──► answer queued          │
//!          ▼                          │                                   │
//!         over ◄── (6) close ◄──(5) settle: verify, drain ────────────────┘
//! ```
//!
//! 1. An idle connection holds a socket, its client's address and the key of its record, in which its
//!    deadline is: no buffer.
//! 2. Readable: it takes a working set from the pool and reads into it.
//! 3. As long as whole heads are there, requests are served and their answers queued. When none is
//!    left, all answers go out in one write, and with the end in one segment if it comes then.
//! 4. The handler's future lives in the burst's allocation, so an idle connection does not carry
//!    it, however large it is.
//! 5. Whatever the handler did or failed to do, the request at hand is answered, or the
//!    connection ends.
//! 6. A connection whose client may have sent more ends in stages, so that the last answer arrives
//!    whole: `connection/close.rs`.
//!
//! # Invariants
//!
//! - Always: answers leave in the order of their requests.
//! - Never: a wait for the client without a deadline.

use std::any::type_name;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::buffers::Work;
use crate::connection::transport::AcceptedStream;
use crate::error::{Refusal, Result, drop_contained};
use crate::exchange::handler::Handler;
use crate::exchange::link::Link;
use crate::exchange::request::Request;
use crate::proto::head::Parsed;
use crate::proto::keep_alive::Persistence;
use crate::shared::Shared;
use crate::shared::register::Key;
use crate::transport::address::PeerAddress;
use crate::transport::connection_info::ConnectionInfo;
use crate::transport::io::Io;

mod burst;
mod close;
mod serve;
mod settle;
pub(crate) mod transport;
mod wait;
mod watch;

use settle::{Outcome, Then};

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
pub struct Connection<T: Io = AcceptedStream> {
    /// Until it is handed over.
    io: Option<T>,
    /// What it belongs to, and its record there.
    shared: Rc<Shared>,
    key: Key,
    peer: PeerAddress,
    stage: Stage,
    work: Option<Box<Work>>,
}

impl<T: Io> Drop for Connection<T> {
    /// However it ends: first closed, then forgotten; and the next connection finds a working set
    /// that has its buffers already.
    fn drop(&mut self) {
        drop_contained(self.io.take());
        if let Some(work) = self.work.take() {
            work.exchange.flush_stall.take();
            self.shared.give_back(work);
        }
        self.shared.register.remove(self.key);
        if self.shared.register.len() == 0 {
            self.shared.sweeper.stop();
        }
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
    /// Nothing: the rest of a head has taken too long.
    Overdue,
    /// The end of the handler.
    Handling,
    /// The end: the last answer is sent, and what comes is no request any more.
    Closing,
}

/// What came of an attempt to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    More,
    /// There is nothing now.
    Nothing,
    /// The connection is over.
    Over,
}

/// What there is to do though nothing has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// The rest of a head has not come in time: to be told so.
    Overdue,
    /// The connection is over.
    Over,
}

impl<T: Io> Connection<T> {
    /// Over `io`; with a record that is there already.
    pub(crate) fn new(io: T, peer: Option<SocketAddr>, key: Key, shared: Rc<Shared>) -> Self {
        Self {
            io: Some(io),
            shared,
            key,
            peer: peer.into(),
            stage: Stage::Fresh,
            work: None,
        }
    }

    /// What it belongs to, and its record there.
    pub(crate) fn place(&self) -> (&Rc<Shared>, Key) {
        (&self.shared, self.key)
    }

    /// The client's address, if the transport knows addresses.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        let io = self.io.as_ref();
        io.and_then(|io| ConnectionInfo::new(io, self.peer.get()).peer_address())
    }

    /// Serves what there is to be served; breaks when the connection is over.
    ///
    /// Whatever is here already is served by plain calls: only what has to wait is a future.
    pub(crate) async fn burst<H: Handler>(&mut self, handler: &H) -> ControlFlow<()> {
        if self.is_unfinished() {
            self.finish().await?;
        }
        loop {
            match self.parse() {
                Ok(Parsed::Complete(_)) => {}
                Ok(Parsed::Incomplete) => match poll_fn(|cx| self.poll_fill(cx)).await {
                    Filled::More => continue,
                    Filled::Nothing => return ControlFlow::Continue(()),
                    Filled::Over => return ControlFlow::Break(()),
                },
                Err(refusal) => {
                    self.refuse(refusal).await;
                    return ControlFlow::Break(());
                }
            }
            let Some(request) = self.request() else {
                return ControlFlow::Break(());
            };
            let outcome = {
                let call = pin!(handler.call(request));
                self.drive(call, type_name::<H>()).await
            };
            match self.settle(outcome) {
                Then::Next => {}
                Then::Close if self.closes_at_once().await => return ControlFlow::Break(()),
                then => self.carry_out(then).await?,
            }
            poll_fn(|cx| budget::poll_spend(cx, 1)).await;
        }
    }

    /// Whether something is to be ended before a request can be looked for.
    #[inline]
    fn is_unfinished(&self) -> bool {
        matches!(
            self.stage,
            Stage::Overdue | Stage::Handling | Stage::Closing
        )
    }

    /// Ends what is to be ended; breaks when that is the connection.
    async fn finish(&mut self) -> ControlFlow<()> {
        match self.stage {
            Stage::Fresh | Stage::Between | Stage::WithinHead => return ControlFlow::Continue(()),
            Stage::Overdue => self.refuse(Refusal::HeadTooSlow).await,
            Stage::Handling => {
                return match self.settle(Outcome::Pulled) {
                    Then::Next => ControlFlow::Continue(()),
                    Then::Close if self.closes_at_once().await => ControlFlow::Break(()),
                    then => self.carry_out(then).await,
                };
            }
            // The last call was given up before the end.
            Stage::Closing => self.close_in_stages().await,
        }
        ControlFlow::Break(())
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
        if self.is_unfinished() && self.finish().await.is_break() {
            return Ok(None);
        }
        loop {
            match self.parse() {
                Ok(Parsed::Complete(_)) => return Ok(self.request()),
                Ok(Parsed::Incomplete) => {}
                Err(refusal) => {
                    self.refuse(refusal).await;
                    return Ok(None);
                }
            }
            match poll_fn(|cx| self.poll_more(cx)).await {
                Ok(()) => {}
                Err(Quiet::Overdue) => {
                    self.refuse(Refusal::HeadTooSlow).await;
                    return Ok(None);
                }
                Err(Quiet::Over) => return Ok(None),
            }
        }
    }

    /// Reads on, and waits for it.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Quiet>> {
        match ready!(self.poll_fill(cx)) {
            Filled::More => Poll::Ready(Ok(())),
            Filled::Nothing => {
                if let Some(work) = self.prepare_to_wait() {
                    self.shared.give_back(work);
                }
                self.poll_quiet(cx).map(Err)
            }
            Filled::Over => Poll::Ready(Err(Quiet::Over)),
        }
    }

    #[inline]
    fn parse(&mut self) -> Result<Parsed, Refusal> {
        let Some(work) = self.work.as_mut().filter(|work| !work.input.is_empty()) else {
            return Ok(Parsed::Incomplete);
        };
        let parsed = work
            .parser
            .parse(work.input.filled(), &mut work.head, &self.shared.limits)?;
        if let Parsed::Complete(head_bytes) = parsed {
            work.head_bytes = head_bytes;
            self.begin();
        }
        Ok(parsed)
    }

    /// A request has come whole.
    #[inline]
    fn begin(&mut self) {
        self.stage = Stage::Handling;
        self.shared.counters.requests.one();
        let shared = &self.shared;
        let (leaves, requests) = shared.register.busy(self.key);
        let last =
            leaves || (shared.limits.requests_max).is_some_and(|max| u64::from(requests) >= max);
        if let Some(work) = &mut self.work {
            let head = &work.head;
            let persistence = if last {
                Persistence::Close
            } else {
                head.persistence()
            };
            // Not if something of the body is here already.
            let awaits_continue = head.awaits_continue() && work.input.len() == work.head_bytes;
            work.exchange
                .begin(head.framing(), awaits_continue, persistence);
            if self.shared.counters.measures_durations() {
                let now = Instant::now();
                work.begun = Some(now);
                let queued = now - Instant::of_turn();
                self.shared.counters.queued(queued);
            }
        }
    }

    /// The request at the front.
    fn request(&self) -> Option<Request<'_>> {
        Some(Request::new(self.link()?, &self.peer))
    }

    fn link(&self) -> Option<Link<'_>> {
        Some(Link {
            work: self.work.as_deref()?,
            io: self.io.as_ref()?,
            shared: &self.shared,
        })
    }

    async fn flush(&self) -> Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    #[inline]
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.link()
            .map_or(Poll::Ready(Ok(())), |link| link.poll_flush(cx))
    }
}

impl<T: Io> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer_address())
            .field("requests", &self.shared.register.requests(self.key))
            .finish_non_exhaustive()
    }
}
