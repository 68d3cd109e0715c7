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
//!    no buffer. The entry has its phase and its deadline. The reactor wakes the task when bytes arrive, and the
//!    reaper when the time is over.
//! 2. The connection takes buffers from the pool and reads into them.
//! 3. As long as whole heads are there, requests are served and their answers queued. If no further head is
//!    there, all answers leave in one write, and with the end in one segment if it comes then.
//! 4. The handler's future lives in the worker's allocation (`task.rs`). So an idle connection does not carry
//!    it, however large it is.
//! 5. After the handler, the request at hand is answered or the connection ends: `request.rs`.
//! 6. A connection whose client may have sent more ends in stages, so that the last answer arrives
//!    whole: `close.rs`.
//!
//! # Invariants
//!
//! - Always: answers leave in the order of their requests.
//! - Always: a connection that waits without a part of a head holds no buffers.
//! - Never: a wait for the client without a deadline.

use std::any::type_name;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::buffers::{Buffers, Written};
use crate::error::panics::drop_contained;
use crate::error::{Refusal, Result};
use crate::exchange::handle::Exchange;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::log;
use crate::shared::ServerState;
use crate::shared::connections::{ConnectionId, Phase};
use crate::shared::stop::Stage;
use crate::transport::address::PeerAddress;
use crate::transport::connection_info::ConnectionInfo;
use crate::transport::io::Io;

mod close;
mod request;
mod task;
pub(crate) mod transport;

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
    buffers: Option<Box<Buffers>>,
}

/// The next step of a connection. `request.rs` lists which function decides for which step.
enum Next {
    /// Look for a request.
    Read,
    /// Call the handler: a request is at hand.
    Handle,
    /// Wait until more bytes arrive.
    Wait,
    /// Read and discard the rest of the body.
    Drain,
    /// Give the stream to the task that it was promised to.
    HandOver,
    /// Send the queue and close at once: the client sends no more.
    Close,
    /// Send the queue and close in stages: the client may have sent more, or may still send.
    CloseInStages,
    /// There is no answer, or half of one. Only `judge` returns this, and `leave_cut` turns it into
    /// `CloseInStages`, `Reset` or `Drop`.
    Cut,
    /// Send the queue and reset the connection.
    Reset,
    /// Drop the connection.
    Drop,
}

impl<T: Io> Drop for Connection<T> {
    /// Closes the transport, returns the buffers to the pool, and removes the entry.
    fn drop(&mut self) {
        if log::is_debugging() {
            self.log_end();
        }
        // The transport goes first: the entry counts the connection for as long as its descriptor is open.
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

    /// Answers a client with a refusal before it has asked for anything, and closes.
    pub(crate) async fn turn_away(mut self, refusal: Refusal) {
        // Unread bytes turn the close into a reset, which costs the client its answer.
        poll_fn(|cx| Poll::Ready(self.poll_read_once(cx).is_ready())).await;
        if let Some(buffers) = &mut self.buffers {
            buffers.forget_head(); // the last one may be a HEAD request of another connection
        }
        let next = self.refuse(refusal);
        let _over = self.carry_out(next).await;
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
    /// Plain calls serve what is here already. Only a step that has to wait is a future (LOG 11).
    pub(crate) async fn serve_ready<H: Handler>(&mut self, handler: &H) -> ControlFlow<()> {
        let mut next = self.finish_phase();
        loop {
            if !matches!(next, Next::Read) {
                self.carry_out(next).await?;
            }
            next = match poll_fn(|cx| self.poll_head(cx)).await {
                Next::Handle => {
                    let Some(request) = self.request() else {
                        return ControlFlow::Break(());
                    };
                    let outcome = {
                        let call = pin!(handler.call(request));
                        self.run_handler(call, type_name::<H>()).await
                    };
                    self.finish_request(outcome)
                }
                Next::Wait => return ControlFlow::Continue(()),
                next => next,
            };
        }
    }

    /// Returns the next request, or `None` when the connection is over.
    ///
    /// A request that was dropped without an answer is answered with 500.
    ///
    /// # Errors
    ///
    /// This does not fail yet: the connection answers a client's faults itself, and ends.
    ///
    /// # Cancel safety
    ///
    /// Safe: bytes that have arrived stay.
    pub async fn next(&mut self) -> Result<Option<Request<'_>>> {
        let mut next = self.finish_phase();
        loop {
            if !matches!(next, Next::Read) && self.carry_out(next).await.is_break() {
                return Ok(None);
            }
            next = match poll_fn(|cx| self.poll_head(cx)).await {
                Next::Handle => return Ok(self.request()),
                // The rest of a head may have become overdue.
                Next::Wait if self.wait().await.is_continue() => self.finish_phase(),
                Next::Wait => return Ok(None),
                next => next,
            };
        }
    }

    /// Finishes the phase in which the last call ended: a request that was pulled or whose handler has panicked
    /// outside its polls, a head that is overdue, or an end that has begun. Returns the next step.
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
            | Phase::Promised
            | Phase::Handling
            | Phase::Upgraded => Next::Read,
        }
    }

    /// Returns true if a request is at hand: its head is at the front of the input.
    fn has_request(&self) -> bool {
        self.buffers
            .as_ref()
            .is_some_and(|buffers| buffers.has_request())
    }

    /// Reads until the head of a request is whole. It writes the queue before each read, so that no client
    /// waits for an answer that lies in the queue. One poll, and not a future of steps (LOG R18).
    #[inline]
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            // The next request may always be there, and a transport may always have more, such as empty lines. So
            // each look costs a unit of the budget, at this one place (LOG R20).
            ready!(budget::poll_spend(cx, 1));
            match self.parse() {
                Next::Read => {}
                next => return Poll::Ready(next),
            }
            // Written before the read, which may find no bytes: then the client waits for these answers.
            if ready!(self.poll_write_queue(cx)).is_err() {
                return Poll::Ready(Next::Drop);
            }
            match self.poll_read_once(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Pending => return Poll::Ready(Next::Wait),
                Poll::Ready(Ok(0)) => {
                    // The client has ended too, so there is no last answer to wait for.
                    self.end_without_waiting(cx);
                    return Poll::Ready(Next::Drop);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Next::Drop),
            }
        }
    }

    /// Looks for a request in the bytes that have been read, and begins it.
    #[inline]
    fn parse(&mut self) -> Next {
        let Some(buffers) = self.buffers.as_mut().filter(|buffers| buffers.has_unread()) else {
            return Next::Read;
        };
        match buffers.parse_head(&self.shared.limits) {
            Ok(true) => {}
            Ok(false) => return Next::Read,
            Err(refusal) => return self.refuse(refusal),
        }
        let shared = &self.shared;
        shared.counters.requests.one();
        let is_last = shared
            .connections
            .begin_request(self.id, shared.limits.requests_max);
        buffers.begin_request(is_last);
        if shared.counters.measures_durations() {
            let now = Instant::now();
            buffers.set_begun(now);
            shared.counters.queued(now - Instant::of_turn());
        }
        Next::Handle
    }

    /// Writes the queue and flushes the transport. The transport is flushed also if the queue is empty,
    /// because the last flush may have had to wait.
    ///
    /// This is [`Exchange::poll_flush`] for the usual case: one write takes the whole queue, through a transport
    /// whose type is known and cells that need no check (LOG R18).
    #[inline]
    pub(super) fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (Some(io), Some(buffers)) = (&self.io, &mut self.buffers) else {
            return Poll::Ready(Ok(()));
        };
        let queued = buffers.queued();
        if !queued.is_empty() {
            let written = io.poll_write_one(cx, queued);
            // A short write is rare, and the handle counts it and runs the clock.
            if !matches!(written, Poll::Ready(Ok(count)) if count == queued.len()) {
                return self.with_exchange(|exchange| exchange.poll_flush_behind(written, cx));
            }
            let count = queued.len();
            self.shared.counters.bytes_written.add(count);
            buffers.add_written(count);
        }
        match io.poll_flush(cx) {
            Poll::Ready(Ok(())) if !buffers.has_flush_waited() => Poll::Ready(Ok(())),
            flushed => self.with_exchange(|exchange| exchange.or_held_back(flushed, cx)),
        }
    }

    #[cold]
    fn with_exchange(
        &self,
        poll: impl FnOnce(Exchange<'_>) -> Poll<Result<()>>,
    ) -> Poll<Result<()>> {
        self.exchange().map_or(Poll::Ready(Ok(())), poll)
    }

    #[inline]
    pub(super) fn poll_read_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = &self.io else {
            return Poll::Ready(Ok(0));
        };
        let buffers = self
            .buffers
            .get_or_insert_with(|| self.shared.take_buffers());
        let read = ready!(io.poll_read(cx, buffers.room()));
        if let Ok(count) = read {
            buffers.add_read(count);
            self.shared.counters.bytes_read.add(count);
        }
        Poll::Ready(read)
    }

    /// Returns the request whose head is at the front.
    fn request(&self) -> Option<Request<'_>> {
        Some(Request::new(self.exchange()?, &self.peer))
    }

    fn exchange(&self) -> Option<Exchange<'_>> {
        let (buffers, io) = (self.buffers.as_deref()?, self.io.as_ref()?);
        Some(Exchange::new(buffers, io, &self.shared))
    }
}

// Waiting.
impl<T: Io> Connection<T> {
    /// Waits, without buffers, until there may be more to read or something to do. Breaks if the connection
    /// is over.
    async fn wait(&mut self) -> ControlFlow<()> {
        if let Some(buffers) = self.prepare_to_wait() {
            self.shared.return_buffers(buffers);
        }
        let mut is_woken = false;
        poll_fn(|cx| {
            let poll = self.poll_idle(cx);
            // A wake does not tell whether bytes have come, so the caller tries to read after each one.
            if mem::replace(&mut is_woken, true) && poll.is_pending() {
                return Poll::Ready(ControlFlow::Continue(()));
            }
            poll
        })
        .await
    }

    /// Takes `spare` buffers, unless the connection has buffers of its own.
    #[inline]
    pub(super) fn borrow_buffers(&mut self, spare: &mut Option<Box<Buffers>>) {
        if self.buffers.is_none() {
            self.buffers = spare.take();
        }
    }

    /// Returns the buffers, ready for another connection. A part of a head stays, in a buffer of its size.
    #[inline]
    pub(super) fn prepare_to_wait(&mut self) -> Option<Box<Buffers>> {
        if let Some(buffers) = &mut self.buffers
            && buffers.has_unread()
        {
            buffers.shrink();
            return None;
        }
        // The reset comes here, and not before the next use: a spare buffer must hold no byte of a client.
        let mut unused = self.buffers.take()?;
        unused.reset();
        Some(unused)
    }

    /// Returns true if a part of a head has arrived. `prepare_to_wait` leaves the buffers here only then.
    pub(super) fn is_within_head(&self) -> bool {
        self.buffers.is_some()
    }

    /// Waits after an attempt to read. The reactor wakes the task when bytes come, the reaper when the time is
    /// over. Continues if there is something to do although no byte has come, and breaks if the connection
    /// is over.
    #[inline]
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<()>> {
        let (shared, id) = self.place();
        let now = Instant::of_turn();
        if shared.stage.get() == Stage::Cutting {
            return Poll::Ready(ControlFlow::Break(()));
        }
        let is_within_head = self.is_within_head();
        let wait = if is_within_head {
            shared.connections.wait_within_head(id, now, cx.waker())
        } else {
            let wait = shared.connections.wait(id, now, cx.waker());
            // Not because of the end alone: an answer may have promised that the connection stays.
            if (wait.is_leaving || shared.pressed.get())
                && let Some(poll) = self.poll_leave(wait.is_leaving, cx)
            {
                return poll;
            }
            wait
        };
        if now >= wait.due {
            return Poll::Ready(self.time_is_over(is_within_head, cx));
        }
        shared.reaper.look_at(wait.due);
        // The table has the waker of most connections from their last wait, and then no clone is needed.
        if !wait.is_reached {
            shared.connections.reach(id, cx.waker());
        }
        Poll::Pending
    }

    #[cold]
    fn time_is_over(&self, is_within_head: bool, cx: &mut Context<'_>) -> ControlFlow<()> {
        if is_within_head {
            // The loop answers with 408. A client without a part of a head has asked for no answer.
            self.shared.connections.head_overdue(self.id);
            return ControlFlow::Continue(());
        }
        self.end_without_waiting(cx);
        // The moment of one that has promised to stay is no time of an idle client.
        if !self.shared.connections.has_promised(self.id) {
            self.shared.counters.idle_timeouts.one();
            log::timed_out(self.peer_address(), "a request");
        }
        ControlFlow::Break(())
    }

    /// Leaves because the server needs room or ends. Returns `None` if the connection stays: it was not asked, and
    /// its first request may be on its way.
    #[cold]
    fn poll_leave(&self, is_asked: bool, cx: &mut Context<'_>) -> Option<Poll<ControlFlow<()>>> {
        let (shared, id) = self.place();
        if !is_asked && shared.connections.requests(id) == 0 {
            return None;
        }
        // Bytes that have arrived meanwhile are served first. The reactor reports them before the next turn.
        if self.io.as_ref().is_some_and(Io::has_input) {
            shared.connections.reach(id, cx.waker());
            cx.waker().wake_by_ref();
            return Some(Poll::Pending);
        }
        let is_ending = shared.stage.get() != Stage::Open;
        if is_asked && is_ending && !shared.connections.has_promised(id) {
            shared.counters.dismissed.one();
        }
        self.end_without_waiting(cx);
        Some(Poll::Ready(ControlFlow::Break(())))
    }
}

impl<T: Io> Connection<T> {
    #[cold]
    fn log_end(&self) {
        let peer = self.peer_address();
        let buffers = self.buffers.as_ref();
        if buffers.is_some_and(|buffers| buffers.written() == Written::Stalled) {
            log::timed_out(peer, "a read of its answer");
        }
        log::connection_closed(peer, self.shared.connections.requests(self.id));
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
