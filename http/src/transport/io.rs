//! The transport of a connection: TCP, or another byte stream such as TLS.
//!
//! # Invariants
//!
//! - Always: each call takes a shared reference, so that an answer can be written while a body is read.
//! - Always: the server flushes before it waits for the client.
//! - Always: the server closes the write half before it drops the transport of a finished answer, unless
//!   an error or a limit has ended the connection.

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
/// The runtime's streams implement it. Implement it for a transport of your own, and use that with
/// [`Builder::transport`](crate::Builder::transport) or
/// [`Server::connection`](crate::Server::connection).
/// [`testing::Torture`](crate::testing::Torture) wraps a transport and uses every delay that this contract
/// allows. Use it to test your transport and your handlers.
///
/// # Duties of an implementation
///
/// - **Wakers.** A call that returns `Pending` stores the waker of its caller, and wakes it when the call
///   can make progress. A later call of the same method replaces the waker of the earlier one. One task
///   may wait for several things at once: to read, to write, to flush, and for either end of the peer. So
///   each of these needs a waker of its own. An extra wake is harmless. A missing wake is a stall.
/// - **Reads.** A read that returns 0 has met the end of the stream, and each later read returns 0 too. A
///   read may produce bytes to send, such as an alert or a key update of TLS. The read sends these bytes
///   itself, because the server does not flush after a read.
/// - **Writes.** A write that returns `Ok(n)` has accepted n bytes. The transport may hold them back (a TLS
///   record, a buffer) until [`poll_flush`](Self::poll_flush) is called. It should hold at most about
///   64 KiB. The server measures progress by the bytes that the transport accepts and by
///   [`held_bytes`](Self::held_bytes). It resets the connection if it sees no progress for
///   [`Limits::write_stall_duration_max`](crate::Limits::write_stall_duration_max). A write of at least one
///   byte never returns `Ok(0)`: the server treats that as an error.
/// - **Flush.** The server calls [`poll_flush`](Self::poll_flush) when it has written all its bytes, and
///   again before each wait for the client, even if it has written no more bytes. While a connection
///   lingers, the server also calls it after [`poll_end`](Self::poll_end). So the call must be cheap if the
///   transport holds no bytes.
/// - **End.** [`poll_end`](Self::poll_end) flushes by itself. The server does not call `poll_flush` first.
/// - **Errors.** An error is final, whatever its kind. Each later read, write, flush and end must fail too,
///   because the server ignores some errors of a flush until its next call. The server treats an error as
///   the loss of the client: it sends no answer and logs no line.
///
/// # Promises of the server
///
/// - An answer is sent, and a connection is idle, only after a flush has returned `Ready(Ok(()))`.
/// - After a last answer, the server calls [`poll_end`](Self::poll_end) until it is ready or the time of a
///   stalled write is over. Then it writes no more bytes. It reads and discards until the end of the
///   stream, or until the limits of lingering are reached.
/// - A connection that ends while no answer is under way gets one call of `poll_end`: the client ends the
///   stream, or the server closes an idle connection. The server drops the transport right after that call,
///   even if the call has returned `Pending`.
/// - The server drops the transport without a call of `poll_end` after an error of the transport, at a
///   reset, when a handler aborts its connection or its client has left, and when a shutdown cuts the
///   connection.
/// - No call follows the drop.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::io::{self, IoSlice};
/// use std::task::{Context, Poll};
/// use waterwheel::http::testing::{MemoryStream, TestClient};
/// use waterwheel::http::{Io, Request, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// /// Counts the bytes that it reads.
/// struct Counting<T> {
///     inner: T,
///     read: Cell<usize>,
/// }
///
/// impl<T: Io> Io for Counting<T> {
///     fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
///         self.inner.poll_read(cx, buffer).map_ok(|count| {
///             self.read.set(self.read.get() + count);
///             count
///         })
///     }
///     fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
///         self.inner.poll_write(cx, slices)
///     }
///     fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
///         self.inner.poll_flush(cx)
///     }
///     fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
///         self.inner.poll_end(cx)
///     }
///     fn has_input(&self) -> bool {
///         self.inner.has_input()
///     }
///     fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
///         self.inner.poll_closed(cx)
///     }
/// }
///
/// let server = Server::builder().without_listener();
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// block_on(async {
///     let count = |inner: MemoryStream| Counting { inner, read: Cell::new(0) };
///     let mut client = TestClient::through(&server, hello, count);
///     assert_eq!(client.get("/").await.text(), "hello");
/// });
/// ```
pub trait Io: Any {
    /// Reads up to `buffer.len()` bytes into `buffer`, and returns their number. Returns 0 at the end of
    /// the stream.
    ///
    /// # Errors
    ///
    /// If the connection is lost or broken. An end of the stream that the transport can recognize as
    /// truncated (TLS without `close_notify`) may be an error.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes bytes from several slices, in their order, and returns how many bytes it has accepted.
    ///
    /// # Errors
    ///
    /// If the connection is lost or broken.
    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Writes bytes from one slice. Calls [`poll_write`](Self::poll_write) by default.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &[IoSlice::new(bytes)])
    }

    /// Writes bytes that [`poll_end`](Self::poll_end) follows. The transport may hold them back until
    /// then, so that the bytes and the end leave together. Calls
    /// [`poll_write_one`](Self::poll_write_one) by default.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_one(cx, bytes)
    }

    /// Passes on all bytes that the transport holds back. Returns `Ready(Ok(()))` when the transport holds
    /// no bytes.
    ///
    /// # Errors
    ///
    /// If the connection is lost or broken.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Closes the write half: flushes, then sends the end (a FIN over TCP; over TLS a `close_notify`, then
    /// the end of the stream below). Returns `Ready(Ok(()))` when both have left this transport. A call
    /// after that has no effect.
    ///
    /// # Errors
    ///
    /// If the connection is lost or broken.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Returns how many written bytes the transport holds back, before or after their encryption. The server
    /// asks while a write, a flush or the end is pending: fewer bytes than before mean that the client has
    /// received some. The default is 0. Then the whole of a flush has no more time than one byte.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Makes the drop of this transport reset the connection, and discard the bytes that the peer has not
    /// received. Has no effect by default.
    fn reset_on_drop(&self) {}

    /// Returns true if [`poll_read`](Self::poll_read) would find bytes now: in a buffer of the transport,
    /// or in the socket below. Returns false at the end of the stream and after an error.
    ///
    /// The server calls this before it closes an idle connection to make room, or because the server ends.
    /// True makes the server read once more. So this must not stay true after `poll_read` has returned
    /// `Pending`: the task would run again and again. False closes the connection, and a request that has
    /// arrived is lost.
    fn has_input(&self) -> bool;

    /// Waits until the peer is gone: a reset or a hang-up. The end of the peer's write half alone does not
    /// complete this wait.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Waits until the peer has closed its write half, or is gone. Calls
    /// [`poll_closed`](Self::poll_closed) by default, for a transport that cannot see the difference.
    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_closed(cx)
    }

    /// Returns the address of this end, or `None` (the default) if the transport has no addresses.
    ///
    /// The server does not call this on a transport that
    /// [`Builder::transport`](crate::Builder::transport) has made. It reads
    /// [`TransportInfo::local_address`] there.
    fn local_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Returns the facts that the transport knows about the connection, for
    /// [`Request::connection`](crate::Request::connection). Returns `None` by default.
    ///
    /// The server closes a connection with such facts always in stages. It does not call this on a
    /// transport that [`Builder::transport`](crate::Builder::transport) has made, because it keeps the
    /// facts of that one itself.
    fn info(&self) -> Option<&TransportInfo> {
        None
    }

    /// Sends up to `count` bytes of a file without copying them through this process, and returns their
    /// number. Reads from `offset`, and moves `offset` forward by that number. Returns 0 at the end of the
    /// file.
    ///
    /// Returns `None` (the default) if the transport cannot do this. Then the server reads the file and
    /// writes its bytes.
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
        Poll::Ready(Ok(())) // a socket holds no bytes back
    }

    #[inline]
    fn poll_end(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }

    fn reset_on_drop(&self) {
        // Fails only if the connection is gone already.
        drop(Self::reset_on_drop(self));
    }

    fn has_input(&self) -> bool {
        // Asks the kernel and not the runtime, whose readiness may be older than the last byte.
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

/// A transport whose type is chosen at run time.
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

    fn held_bytes(&self) -> usize {
        (**self).held_bytes()
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
