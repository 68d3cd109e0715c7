//! One connection's life, as one loop.
//!
//! # How it works
//!
//! ```text
//!          ┌────────────────── no bytes to read ◄─────────────┐
//!          ▼                                                  │
//!  (1) wait until woken ──► (2) read ◄──────────────── flush, read ◄───┐
//!          │                     │                                     │ no
//!          │                (3) head whole? ───────────────────────────┤
//!          │ idle too long       │ yes                                 │
//!          │ asked to leave   (4) handler ──► answer queued            │
//!          ▼                     │                                     │
//!         over ◄── (6) close ◄──(5) finish: verify, drain ─────────────┘
//! ```
//!
//! 1. An idle connection holds a socket, its client's address and the id of its entry in the server's table:
//!    no buffer. The entry has its phase and its deadline.
//! 2. When the socket is readable, the connection takes buffers from the pool and reads into them.
//! 3. As long as whole heads are there, requests are served and their answers queued. When none is
//!    left, all answers go out in one write, and with the end in one segment if it comes then.
//! 4. The handler's future lives in the burst's allocation (`burst.rs`). So an idle connection does not carry
//!    it, however large it is.
//! 5. After the handler, the request at hand is answered or the connection ends: `finish.rs`.
//! 6. A connection whose client may have sent more ends in stages, so that the last answer arrives
//!    whole: `close.rs`.
//!
//! # Invariants
//!
//! - Always: answers leave in the order of their requests.
//! - Always: a request is at hand exactly while the length of its head is known (`head_bytes`).
//! - Never: a wait for the client without a deadline.

use std::any::type_name;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::buffers::Work;
use crate::buffers::state::Written;
use crate::error::{Refusal, Result, drop_contained};
use crate::exchange::handler::Handler;
use crate::exchange::link::Link;
use crate::exchange::request::Request;
use crate::log;
use crate::proto::head::Parsed;
use crate::proto::keep_alive::Persistence;
use crate::shared::ServerState;
use crate::shared::connections::{ConnectionId, Phase};
use crate::transport::address::PeerAddress;
use crate::transport::connection_info::ConnectionInfo;
use crate::transport::io::Io;

mod burst;
mod close;
mod finish;
mod read;
mod run_handler;
mod serve;
pub(crate) mod transport;

use finish::Next;
use transport::AcceptedStream;

/// One connection to a client.
///
/// Made by [`Server::accept`](crate::Server::accept), or by
/// [`Server::connection`](crate::Server::connection) over your own transport. Serve it with a
/// handler, or pull its requests one by one:
///
/// ```
/// use waterwheel::http::{Connection, Result, StatusCode};
///
/// async fn pull(mut connection: Connection) -> Result<()> {
///     while let Some(request) = connection.next().await? {
///         request.respond(StatusCode::OK, "pulled", ()).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct Connection<T: Io = AcceptedStream> {
    /// `None` once the stream is handed over.
    io: Option<T>,
    shared: Rc<ServerState>,
    /// Its entry in the server's table, where its phase is.
    id: ConnectionId,
    peer: PeerAddress,
    /// `None` while it is idle.
    work: Option<Box<Work>>,
}

/// The result of looking for a request.
enum Arrival {
    Request,
    /// There are no more bytes now.
    Nothing,
    /// The connection is over.
    End,
    /// The bytes are no request that can be served.
    Refused(Refusal),
}

impl<T: Io> Drop for Connection<T> {
    /// Closes the transport, returns the buffers to the pool, and removes the entry.
    fn drop(&mut self) {
        if log::is_debugging() {
            self.log_end();
        }
        drop_contained(self.io.take());
        if let Some(work) = self.work.take() {
            work.exchange.flush_stall.take();
            self.shared.give_back(work);
        }
        self.shared.connections.remove(self.id);
        if self.shared.connections.len() == 0 {
            self.shared.reaper.stop();
        }
    }
}

impl<T: Io> Connection<T> {
    /// A connection over `io`, with an entry that is there already.
    pub(crate) fn new(
        io: T,
        peer: Option<SocketAddr>,
        id: ConnectionId,
        shared: Rc<ServerState>,
    ) -> Self {
        Self {
            io: Some(io),
            shared,
            id,
            peer: peer.into(),
            work: None,
        }
    }

    /// The server's state, and the entry there.
    pub(crate) fn place(&self) -> (&Rc<ServerState>, ConnectionId) {
        (&self.shared, self.id)
    }

    /// The client's address, if the transport knows addresses.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "hello", ()).await
    /// }
    ///
    /// /// Serves only clients of this machine.
    /// async fn accept(server: &Server) -> std::io::Result<()> {
    ///     let connection = server.accept().await?;
    ///     if connection.peer_address().is_some_and(|peer| peer.ip().is_loopback()) {
    ///         connection.serve(hello).await;
    ///     } // else the drop closes it
    ///     Ok(())
    /// }
    /// ```
    pub fn peer_address(&self) -> Option<SocketAddr> {
        let io = self.io.as_ref();
        io.and_then(|io| ConnectionInfo::new(io, self.peer.get()).peer_address())
    }

    /// Serves all requests that have come. Breaks if the connection is over.
    ///
    /// Plain calls serve what is here already. Only a step that has to wait is a future.
    pub(crate) async fn serve_ready<H: Handler>(&mut self, handler: &H) -> ControlFlow<()> {
        let mut next = self.finish_phase();
        loop {
            if !matches!(next, Next::Request) {
                self.carry_out(next).await?;
            }
            next = match poll_fn(|cx| self.poll_head(cx)).await {
                Arrival::Request => {
                    let Some(request) = self.request() else {
                        return ControlFlow::Break(());
                    };
                    let outcome = {
                        let call = pin!(handler.call(request));
                        self.run_handler(call, type_name::<H>()).await
                    };
                    self.finish_request(outcome)
                }
                Arrival::Nothing => return ControlFlow::Continue(()),
                Arrival::End => return ControlFlow::Break(()),
                Arrival::Refused(refusal) => self.refuse(refusal),
            };
        }
    }

    /// The next request; `None` when the connection is over.
    ///
    /// A request that was dropped without an answer is answered with 500.
    ///
    /// # Errors
    ///
    /// None yet: the connection answers a client's faults itself, and ends.
    ///
    /// # Cancel safety
    ///
    /// Safe: bytes that have come stay.
    pub async fn next(&mut self) -> Result<Option<Request<'_>>> {
        let mut next = self.finish_phase();
        loop {
            if !matches!(next, Next::Request) && self.carry_out(next).await.is_break() {
                return Ok(None);
            }
            next = match poll_fn(|cx| self.poll_head(cx)).await {
                Arrival::Request => return Ok(self.request()),
                // The rest of a head may have become overdue.
                Arrival::Nothing if self.wait().await.is_continue() => self.finish_phase(),
                Arrival::Nothing | Arrival::End => return Ok(None),
                Arrival::Refused(refusal) => self.refuse(refusal),
            };
        }
    }

    /// Finishes what the last call left behind: a pulled request, a head that is overdue, or an end that was
    /// begun. Returns the step before the next request can be looked for.
    #[inline]
    fn finish_phase(&mut self) -> Next {
        match self.shared.connections.phase(self.id) {
            Phase::Handling if self.has_request() => self.finish_pulled(),
            Phase::HeadOverdue => self.refuse(Refusal::HeadTooSlow),
            Phase::Closing | Phase::Lingering(_) => Next::CloseInStages,
            Phase::Handshake
            | Phase::New
            | Phase::ReadingHead
            | Phase::Idle
            | Phase::Handling
            | Phase::Upgraded => Next::Request,
        }
    }

    /// Returns true if a request is at hand: its head is at the front of the input.
    fn has_request(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.head_bytes > 0)
    }

    /// Reads until the head of a request is whole. It writes the queue before each read, so that no client
    /// waits for an answer that lies in the queue.
    #[inline]
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        loop {
            // The next request may always be there, and a transport may always have more, such as empty lines.
            ready!(budget::poll_spend(cx, 1));
            match self.parse() {
                Arrival::Nothing => {}
                arrival => return Poll::Ready(arrival),
            }
            if ready!(self.poll_write_queue(cx)).is_err() {
                return Poll::Ready(Arrival::End);
            }
            match self.poll_read_once(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Pending => return Poll::Ready(Arrival::Nothing),
                Poll::Ready(Ok(0)) => {
                    self.end_without_waiting(cx);
                    return Poll::Ready(Arrival::End);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Arrival::End),
            }
        }
    }

    /// Looks for a request in the bytes that have been read.
    #[inline]
    fn parse(&mut self) -> Arrival {
        let Some(work) = self.work.as_mut().filter(|work| !work.input.is_empty()) else {
            return Arrival::Nothing;
        };
        let limits = &self.shared.limits;
        match work
            .parser
            .parse(work.input.filled(), &mut work.head, limits)
        {
            Ok(Parsed::Complete(head_bytes)) => {
                work.head_bytes = head_bytes;
                self.begin_request();
                Arrival::Request
            }
            Ok(Parsed::Incomplete) => Arrival::Nothing,
            Err(refusal) => Arrival::Refused(refusal),
        }
    }

    /// Notes that the head of a request is whole, and decides what becomes of the connection behind it.
    #[inline]
    fn begin_request(&mut self) {
        let shared = &self.shared;
        shared.counters.requests.one();
        let is_last = shared
            .connections
            .begin_request(self.id, shared.limits.requests_max);
        let Some(work) = &mut self.work else { return };
        let head = &work.head;
        let persistence = if is_last {
            Persistence::Close
        } else {
            head.persistence()
        };
        // A client that has sent a part of the body already does not wait for 100.
        let awaits_continue = head.awaits_continue() && work.input.len() == work.head_bytes;
        work.exchange
            .begin(head.framing(), awaits_continue, persistence);
        if shared.counters.measures_durations() {
            let now = Instant::now();
            work.begun = Some(now);
            shared.counters.queued(now - Instant::of_turn());
        }
    }

    /// Waits, without buffers, until there may be more to read or something to do. Breaks if the connection
    /// is over.
    async fn wait(&mut self) -> ControlFlow<()> {
        if let Some(work) = self.prepare_to_wait() {
            self.shared.give_back(work);
        }
        let mut is_woken = false;
        poll_fn(|cx| {
            let poll = self.poll_quiet(cx);
            if mem::replace(&mut is_woken, true) && poll.is_pending() {
                return Poll::Ready(ControlFlow::Continue(())); // mostly, bytes have come
            }
            poll
        })
        .await
    }

    #[cold]
    fn log_end(&self) {
        let peer = self.peer_address();
        let work = self.work.as_ref();
        if work.is_some_and(|work| work.exchange.written.get() == Written::Stalled) {
            log::timed_out(peer, "a read of its answer");
        }
        log::connection_closed(peer, self.shared.connections.requests(self.id));
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
}

impl<T: Io> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer_address())
            .field("requests", &self.shared.connections.requests(self.id))
            .finish_non_exhaustive()
    }
}
