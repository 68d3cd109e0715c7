//! The transport of a connection: TCP, or anything else that reads and writes.
//!
//! # Invariants
//!
//! - Always: through a shared reference, so that an answer can be written while a body is read.
//! - Always: the core flushes before it waits for the client, and ends before it closes.

use std::any::Any;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use waterwheel_runtime::net;

use crate::transport::transport_info::TransportInfo;

/// A byte stream under a connection.
///
/// Implemented for the runtime's streams. Implement it for a transport of your own, then use it with
/// [`Builder::transport`](crate::Builder::transport) or
/// [`Server::connection`](crate::Server::connection).
/// [`testing::Torture`](crate::testing::Torture) helps to test that the transport, and the code above
/// it, can cope with every delay that this contract allows.
///
/// # What an implementation owes
///
/// - **Wakers.** A call that returns `Pending` has stored the waker of its caller, and wakes it when
///   the call is worth repeating. The last caller counts. One task may wait for several things at the
///   same time (to read, to write, to flush, for either end), so each of these has a waker of its own.
///   A wake too many is harmless, a wake too few is not.
/// - **Writes.** A write that returns `Ok(n)` has taken n bytes for good. The transport may hold them
///   back (a TLS record, a buffer) until [`poll_flush`](Self::poll_flush) is called. A transport that
///   holds bytes back should hold at most 64 KiB or so. The core can see progress only in the bytes
///   that the transport takes, and resets a client that takes none for
///   [`Limits::write_stall_duration_max`](crate::Limits::write_stall_duration_max).
/// - **Flush.** The core calls [`poll_flush`](Self::poll_flush) whenever it has written all it has,
///   and again each time before it waits for the client, also when it has written nothing since. So
///   the call must cost little if there is nothing to flush.
/// - **End.** The core calls [`poll_end`](Self::poll_end) once the last answer is written, until it is
///   ready. It does not call `poll_flush` before it.
/// - **Errors.** An error of a read, a write, a flush or an end is final: the core closes the
///   connection.
///
/// # What the core promises
///
/// - It takes an answer for sent, and a connection for idle, only when the flush is ready.
/// - It writes nothing after it has called `poll_end`. It goes on to read until the end of the
///   stream, or for as long as the limits of lingering allow.
/// - It drops the transport when the connection is over. No other call follows.
pub trait Io: Any {
    /// Reads into `buffer`; 0 is the end of the stream.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes from several slices, as much as there is room for.
    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Writes one slice.
    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &[IoSlice::new(bytes)])
    }

    /// Writes bytes that [`poll_end`](Self::poll_end) follows. The transport may keep them until
    /// then, so that both leave together.
    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_one(cx, bytes)
    }

    /// Passes on all bytes that were written and held back. Ready when this transport holds no more of
    /// them. A transport that holds no bytes back returns `Ready(Ok(()))`. The core also calls this while a
    /// connection lingers behind its last answer.
    ///
    /// The core takes a client for stalled if a write, a flush or an end waits for
    /// [`Limits::write_stall_duration_max`](crate::Limits::write_stall_duration_max) and the transport takes no
    /// byte meanwhile. So a transport should hold back little (64 KiB, say), and take no more until it has
    /// passed some on.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Closes the write half: flushes, then sends the end (over TCP a FIN, over TLS a
    /// `close_notify` and then the end of the stream below). Ready when both have left this
    /// transport. Calling it again after that has no effect. A connection without a request is dropped after
    /// one call, whether that was ready or not.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Makes the connection end in a reset when this is dropped: the transport discards the bytes
    /// that the peer has not taken by then. Has no effect in a transport that knows no such end.
    fn reset_on_drop(&self) {}

    /// Returns true if a byte waits to be read right now.
    fn has_input(&self) -> bool;

    /// Waits until the peer is gone: a reset or a hang-up, not a mere end of its direction.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Waits until the peer has ended its direction, or is gone. A transport that cannot tell waits
    /// until the peer is gone.
    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_closed(cx)
    }

    /// This end's address, if the transport knows addresses.
    fn local_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Returns the facts that the transport knows about the connection, for
    /// [`Request::connection`](crate::Request::connection). A connection with such facts always closes in
    /// stages. The server keeps the facts itself for a transport that
    /// [`Builder::transport`](crate::Builder::transport) makes, and does not call this.
    fn info(&self) -> Option<&TransportInfo> {
        None
    }

    /// Sends up to `count` bytes of a file from `offset`, which moves along, without copying them
    /// through this process; 0 is the end of the file.
    ///
    /// Returns `None` if the transport cannot do this. Then the core reads the file and writes it.
    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        let _ = (cx, file, offset, count);
        None
    }
}

impl<S: net::Connected + Unpin + 'static> Io for net::Stream<S> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, slices)
    }

    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, bytes)
    }

    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write_last(self, cx, bytes)
    }

    #[inline]
    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // the kernel holds nothing back
    }

    #[inline]
    fn poll_end(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }

    fn reset_on_drop(&self) {
        // Fails only on a connection that is gone already.
        drop(Self::reset_on_drop(self));
    }

    fn has_input(&self) -> bool {
        matches!(self.try_peek(&mut [0]), Ok(1..))
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_closed(self, cx)
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_read_closed(self, cx)
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        Some(Self::poll_send_file(self, cx, file, offset, count))
    }
}

/// A transport that is chosen at run time.
impl Io for Box<dyn Io> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        (**self).poll_write(cx, slices)
    }

    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        (**self).poll_write_one(cx, bytes)
    }

    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        (**self).poll_write_last(cx, bytes)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_flush(cx)
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_end(cx)
    }

    fn reset_on_drop(&self) {
        (**self).reset_on_drop();
    }

    fn has_input(&self) -> bool {
        (**self).has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_closed(cx)
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_read_closed(cx)
    }

    fn local_address(&self) -> Option<SocketAddr> {
        (**self).local_address()
    }

    fn info(&self) -> Option<&TransportInfo> {
        (**self).info()
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        (**self).poll_send_file(cx, file, offset, count)
    }
}
