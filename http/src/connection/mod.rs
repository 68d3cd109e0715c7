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

use crate::buffers::Buffers;
use crate::error::{Refusal, Result, drop_contained};
use crate::exchange::handle::Exchange;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
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
use run_handler::Outcome;
use transport::AcceptedStream;

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
    /// `None` once the stream is handed over.
    io: Option<T>,
    shared: Rc<ServerState>,
    /// Its entry in the server's table, where its phase is.
    id: ConnectionId,
    peer: PeerAddress,
    /// `None` while it is idle.
    buffers: Option<Box<Buffers>>,
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
        drop_contained(self.io.take());
        if let Some(buffers) = self.buffers.take() {
            self.shared.return_buffers(buffers);
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
            buffers: None,
        }
    }

    /// The server's state, and the entry there.
    pub(crate) fn place(&self) -> (&Rc<ServerState>, ConnectionId) {
        (&self.shared, self.id)
    }

    /// The client's address, if the transport knows addresses.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        let io = self.io.as_ref();
        io.and_then(|io| ConnectionInfo::new(io, self.peer.get()).peer_address())
    }

    /// Serves all requests that have come. Breaks if the connection is over.
    ///
    /// Plain calls serve what is here already. Only a step that has to wait is a future.
    pub(crate) async fn serve_ready<H: Handler>(&mut self, handler: &H) -> ControlFlow<()> {
        if let Some(phase) = self.unfinished() {
            self.end_phase(phase).await?;
        }
        loop {
            match poll_fn(|cx| self.poll_head(cx)).await {
                Arrival::Request => {}
                Arrival::Nothing => return ControlFlow::Continue(()),
                Arrival::End => return ControlFlow::Break(()),
                Arrival::Refused(refusal) => {
                    self.refuse(refusal).await;
                    return ControlFlow::Break(());
                }
            }
            let Some(request) = self.request() else {
                return ControlFlow::Break(());
            };
            let outcome = {
                let call = pin!(handler.call(request));
                self.run_handler(call, type_name::<H>()).await
            };
            let next = self.finish_request(outcome);
            if !matches!(next, Next::Request) {
                self.carry_out(next).await?;
            }
            poll_fn(|cx| budget::poll_spend(cx, 1)).await;
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
        poll_fn(|cx| budget::poll_spend(cx, 1)).await; // the next request may always be there
        loop {
            // Also after a wait: the rest of a head may be overdue.
            if let Some(phase) = self.unfinished()
                && self.end_phase(phase).await.is_break()
            {
                return Ok(None);
            }
            match poll_fn(|cx| self.poll_head(cx)).await {
                Arrival::Request => return Ok(self.request()),
                Arrival::Nothing if self.wait().await.is_continue() => {}
                Arrival::Nothing | Arrival::End => return Ok(None),
                Arrival::Refused(refusal) => {
                    self.refuse(refusal).await;
                    return Ok(None);
                }
            }
        }
    }

    /// Returns the phase if something has to be ended before the next request can be looked for.
    #[inline]
    fn unfinished(&self) -> Option<Phase> {
        let phase = self.shared.connections.phase(self.id);
        let is_unfinished = match phase {
            Phase::Handling => self.has_request(),
            Phase::HeadOverdue | Phase::Closing | Phase::Lingering(_) => true,
            Phase::Handshake | Phase::New | Phase::ReadingHead | Phase::Idle => false,
        };
        is_unfinished.then_some(phase)
    }

    /// Returns true if a request is at hand: its head is at the front of the input.
    fn has_request(&self) -> bool {
        self.buffers
            .as_ref()
            .is_some_and(|buffers| buffers.has_request())
    }

    /// Ends a phase that the last call did not end. Breaks if the connection is over.
    async fn end_phase(&mut self, phase: Phase) -> ControlFlow<()> {
        match phase {
            Phase::Handling => {
                return match self.finish_request(Outcome::Pulled) {
                    Next::Request => ControlFlow::Continue(()),
                    next => self.carry_out(next).await,
                };
            }
            Phase::HeadOverdue => self.refuse(Refusal::HeadTooSlow).await,
            // The last call was given up before the end.
            _ => self.close_in_stages().await,
        }
        ControlFlow::Break(())
    }

    /// Reads until the head of a request is whole. It writes the queue before each read, so that no client
    /// waits for an answer that lies in the queue.
    #[inline]
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        let mut has_read = false;
        loop {
            match self.parse() {
                Ok(true) => return Poll::Ready(Arrival::Request),
                Ok(false) => {}
                Err(refusal) => return Poll::Ready(Arrival::Refused(refusal)),
            }
            if mem::replace(&mut has_read, true) {
                // A transport may always have more, such as empty lines before a request.
                ready!(budget::poll_spend(cx, 1));
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

    #[inline]
    fn parse(&mut self) -> Result<bool, Refusal> {
        let Some(buffers) = &mut self.buffers else {
            return Ok(false);
        };
        if !buffers.has_unread() || !buffers.parse_head(&self.shared.limits)? {
            return Ok(false);
        }
        let shared = &self.shared;
        shared.counters.requests.one();
        let (is_leaving, requests) = shared.connections.begin_request(self.id);
        let requests_max = shared.limits.requests_max;
        buffers.begin_request(
            is_leaving || requests_max.is_some_and(|max| u64::from(requests) >= max),
        );
        if shared.counters.measures_durations() {
            let now = Instant::now();
            buffers.set_begun(now);
            shared.counters.queued(now - Instant::of_turn());
        }
        Ok(true)
    }

    /// Waits, without buffers, until there may be more to read or something to do. Breaks if the connection
    /// is over.
    async fn wait(&mut self) -> ControlFlow<()> {
        if let Some(buffers) = self.prepare_to_wait() {
            self.shared.return_buffers(buffers);
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

    /// The request at the front.
    fn request(&self) -> Option<Request<'_>> {
        Some(Request::new(self.exchange()?, &self.peer))
    }

    fn exchange(&self) -> Option<Exchange<'_>> {
        let (buffers, io) = (self.buffers.as_deref()?, self.io.as_ref()?);
        Some(Exchange::new(buffers, io, &self.shared))
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
