//! Transports under accepted connections that a hook of the user makes: TLS, the PROXY protocol.
//!
//! # How it works
//!
//! ```text
//!  accept ──► admission ──► Connection over AcceptedStream
//!                              │ no hook          │ with a hook
//!                              ▼                  ▼
//!                            Stream            Transport: a handshake, then its result
//! ```
//!
//! The server accepts, counts and spawns as it does without a hook. The first read or write of a connection
//! drives its handshake, in the task of the connection. So a stalled handshake delays no other connection,
//! and the table has a connection without a request.
//!
//! Each handshake has a deadline, and the number of handshakes under way has a limit. Above that limit, the
//! server closes the oldest one for the new one. An honest client needs a round trip or two, so the oldest
//! handshake is most likely a stalled one.
//!
//! # Invariants
//!
//! - Always: the future of a handshake is dropped when its handshake is over, however it ends.
//! - Never: a cell is borrowed while that future is polled or dropped.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::net::{TcpStream, UnixStream};
use waterwheel_runtime::time::Instant;

use crate::buffers::stall_clock::StallClock;
use crate::error::panics::{drop_contained, panic_text};
use crate::log;
use crate::shared::ServerState;
use crate::shared::connections::ConnectionId;
use crate::shared::handshakes::{HandshakeId, HandshakeSlot, Opened, Purpose, TransportHook};
use crate::transport::io::Io;
use crate::transport::stream::Stream;
use crate::transport::transport_info::TransportInfo;

/// A transport of the user, from the start of its handshake.
pub(crate) struct Transport {
    opened: OnceCell<Opened>,
    slot: Rc<HandshakeSlot>,
    handshake: HandshakeId,
    /// The time at which the handshake must be over, and the clock that runs until then.
    deadline: Instant,
    clock: StallClock,
    /// For the log line of a handshake that fails.
    peer: Option<SocketAddr>,
    shared: Rc<ServerState>,
    id: ConnectionId,
}

impl Transport {
    /// Begins a handshake on `stream`. `id` is the entry of its connection.
    pub(crate) fn new(
        hook: &TransportHook,
        (stream, peer): (Stream, Option<SocketAddr>),
        purpose: Purpose,
        shared: Rc<ServerState>,
        id: ConnectionId,
    ) -> Self {
        let mut info = TransportInfo::new();
        info.set_peer_address(peer);
        info.set_local_address(stream.local_address());
        let max = shared.limits.handshakes_max.max(1);
        // The oldest give way before the new one is counted, so the number never exceeds the limit.
        while shared.handshakes.len() >= max {
            shared.handshakes.displace();
            shared.counters.handshakes_displaced.one();
        }
        let slot = Rc::new(HandshakeSlot::default());
        slot.handshake.set(Some(hook.begin(stream, info)));
        Self {
            opened: OnceCell::new(),
            handshake: shared.handshakes.add(slot.clone(), purpose),
            slot,
            // The time counts from the accept, and not from the first poll.
            deadline: Instant::of_turn() + shared.limits.handshake_duration_max,
            clock: StallClock::default(),
            peer,
            shared,
            id,
        }
    }

    /// Waits until the handshake is over, and returns the transport.
    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<io::Result<&dyn Io>> {
        if self.opened.get().is_none() {
            ready!(self.poll_handshake(cx))?;
        }
        let opened = self.opened.get().map(|opened| &*opened.io);
        Poll::Ready(opened.ok_or_else(|| io::ErrorKind::ConnectionAborted.into()))
    }

    #[cold]
    fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Taken out, because the user's code may displace this handshake.
        let Some(mut handshake) = self.slot.handshake.take() else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        let counters = &self.shared.counters;
        // A panic of the hook is this connection's failure. Without this it would end the task, and with it the
        // accept loop of a user who awaits the connection there.
        let polled = catch_unwind(AssertUnwindSafe(|| handshake.as_mut().poll(cx)));
        let opened = match polled {
            Ok(Poll::Pending) if !self.shared.handshakes.has(self.handshake) => {
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Ok(Poll::Pending) if self.clock.poll(cx, || self.deadline).is_pending() => {
                self.slot.waker.set(Some(cx.waker().clone()));
                self.slot.handshake.set(Some(handshake));
                return Poll::Pending;
            }
            Ok(Poll::Pending) => {
                counters.handshakes_timed_out.one();
                Err(io::ErrorKind::TimedOut.into())
            }
            Ok(Poll::Ready(opened)) => opened.inspect_err(|_| counters.handshakes_failed.one()),
            Err(payload) => {
                counters.handshakes_failed.one();
                let text = panic_text(&*payload);
                if let Some(left_out) = self.shared.log.allows() {
                    log::handshake_panicked(text, left_out);
                }
                drop_contained(payload);
                Err(io::Error::other("the handshake panicked"))
            }
        };
        // The handshake leaves the table first. The drop of its future may run user code, which must find no handshake
        // that is over.
        self.end_handshake();
        drop_contained(handshake);
        match opened {
            Ok(opened) => {
                self.shared.connections.opened(self.id);
                _ = self.opened.set(opened); // cannot fail: only this line sets it
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                log::handshake_failed(self.peer, &error);
                Poll::Ready(Err(error))
            }
        }
    }

    fn end_handshake(&self) {
        self.clock.stop();
        self.slot.waker.take();
        self.shared.handshakes.remove(self.handshake);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        let handshake = self.slot.handshake.take();
        if handshake.is_some() {
            self.end_handshake();
        }
        drop_contained(handshake);
        // One by one: two panics at once would end the process.
        if let Some(Opened { io, info }) = self.opened.take() {
            drop_contained(io);
            drop_contained(info);
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("is_open", &self.opened.get().is_some())
            .finish_non_exhaustive()
    }
}

impl Io for Transport {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_opened(cx))?.poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_opened(cx))?.poll_write(cx, slices)
    }

    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_opened(cx))?.poll_write_one(cx, bytes)
    }

    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_opened(cx))?.poll_write_last(cx, bytes)
    }

    /// Is ready before the end of the handshake, because the server has written no byte.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.opened.get() {
            Some(opened) => opened.io.poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.opened.get() {
            Some(opened) => opened.io.poll_end(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn held_bytes(&self) -> usize {
        let opened = self.opened.get();
        opened.map_or(0, |opened| opened.io.held_bytes())
    }

    fn reset_on_drop(&self) {
        if let Some(opened) = self.opened.get() {
            opened.io.reset_on_drop();
        }
    }

    fn has_input(&self) -> bool {
        self.opened
            .get()
            .is_some_and(|opened| opened.io.has_input())
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.poll_opened(cx)) {
            Ok(io) => io.poll_closed(cx),
            Err(_) => Poll::Ready(()),
        }
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.poll_opened(cx)) {
            Ok(io) => io.poll_read_closed(cx),
            Err(_) => Poll::Ready(()),
        }
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        self.opened
            .get()?
            .io
            .poll_send_file(cx, file, offset, count)
    }

    fn info(&self) -> Option<&TransportInfo> {
        self.opened.get().map(|opened| &opened.info)
    }
}

/// The stream of an accepted connection: a [`Stream`], or the transport that the hook of
/// [`Builder::transport`](crate::Builder::transport) makes from it.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{AcceptedStream, Connection, Request, Responded, Result, Server, StatusCode};
/// use waterwheel::runtime::spawn;
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "hello", ()).await
/// }
///
/// fn serve(connection: Connection<AcceptedStream>) {
///     spawn(connection.serve(hello)).detach();
/// }
///
/// async fn accept(server: &Server) -> std::io::Result<()> {
///     serve(server.accept().await?);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct AcceptedStream(Inner);

// The families of `Stream` stand here side by side with the transport, so that a call has one branch, and not two.
#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
    Transport(Box<Transport>),
}

impl From<Stream> for AcceptedStream {
    fn from(stream: Stream) -> Self {
        Self(match stream {
            Stream::Tcp(stream) => Inner::Tcp(stream),
            Stream::Unix(stream) => Inner::Unix(stream),
        })
    }
}

impl From<Transport> for AcceptedStream {
    fn from(transport: Transport) -> Self {
        Self(Inner::Transport(Box::new(transport)))
    }
}

/// Boxes the stream without the server's wrapper: a [`Stream`], or the user's transport.
pub(crate) fn unwrapped(io: impl Io) -> Box<dyn Io> {
    let mut io = Some(io);
    // The type is known only at run time: `Connection` is generic, and only the server's own stream has a wrapper.
    let any: &mut dyn Any = &mut io;
    let accepted = any.downcast_mut::<Option<AcceptedStream>>();
    match accepted.and_then(mem::take) {
        Some(AcceptedStream(Inner::Tcp(stream))) => Box::new(Stream::Tcp(stream)),
        Some(AcceptedStream(Inner::Unix(stream))) => Box::new(Stream::Unix(stream)),
        Some(AcceptedStream(Inner::Transport(mut transport))) => {
            let Some(Opened { io, info }) = transport.opened.take() else {
                unreachable!("a request has come over it")
            };
            drop_contained(info);
            io
        }
        None => match io {
            Some(io) => Box::new(io),
            None => unreachable!("it was of another type"),
        },
    }
}

/// Makes the same call on either kind of stream.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match &$stream.0 {
            Inner::Tcp($inner) => $call,
            Inner::Unix($inner) => $call,
            Inner::Transport(transport) => {
                let $inner = &**transport;
                $call
            }
        }
    };
}

impl Io for AcceptedStream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_read(stream, cx, buffer))
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_write(stream, cx, slices))
    }

    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_write_one(stream, cx, bytes))
    }

    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_write_last(stream, cx, bytes))
    }

    #[inline]
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Io::poll_flush(stream, cx))
    }

    #[inline]
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Io::poll_end(stream, cx))
    }

    fn held_bytes(&self) -> usize {
        either!(self, stream => Io::held_bytes(stream))
    }

    fn reset_on_drop(&self) {
        either!(self, stream => Io::reset_on_drop(stream));
    }

    fn has_input(&self) -> bool {
        either!(self, stream => Io::has_input(stream))
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, stream => Io::poll_closed(stream, cx))
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, stream => Io::poll_read_closed(stream, cx))
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        either!(self, stream => Io::poll_send_file(stream, cx, file, offset, count))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Inner::Tcp(stream) => stream.local_address().ok(),
            Inner::Unix(_) => None,
            Inner::Transport(transport) => Io::local_address(&**transport),
        }
    }

    fn info(&self) -> Option<&TransportInfo> {
        either!(self, stream => Io::info(stream))
    }
}
