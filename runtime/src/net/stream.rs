//! A connected stream socket of any family.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::net::{RecvAncillaryBuffer, RecvFlags, recv, recvmsg, shutdown};
use socket2::SockRef;

use super::no_signal;
use super::socket::{Edge, Receive, Socket};
use crate::budget;
use crate::source::{Direction, Interest};

/// A kind of connected socket. This crate implements it for TCP and Unix sockets, and no other type can
/// implement it.
pub trait Connected: Receive {}

/// A connection: a [`TcpStream`](super::TcpStream) or a [`UnixStream`](super::UnixStream).
///
/// Reads and writes through the `futures-io` traits, which are implemented for the stream and for
/// a reference to it. Closed when dropped; data that was written is still delivered. Writing to a
/// connection that is gone is an error in every way of writing, and never a signal.
///
/// Any number of tasks may wait at once, also for the same thing; an event wakes all of them. A future
/// that is dropped removes its waiter. A poll function (`poll_read`, [`poll_closed`](Self::poll_closed)
/// and so on) cannot be dropped: its task is remembered until an event wakes it or it ends.
///
/// It is `Send`: it registers with the runtime in which it first has to wait, and stays there.
///
/// # Panics
///
/// A call that has to wait panics outside a runtime, and under another runtime than the first.
///
/// # Cancel safety
///
/// Each operation moves bytes only when it completes. So no bytes are lost if a future is dropped.
pub struct Stream<S> {
    socket: Socket<S>,
}

impl<S: AsFd> Stream<S> {
    /// Takes a socket that is non-blocking already.
    pub(crate) fn from_nonblocking(io: S) -> Self {
        Self {
            socket: Socket::new(io),
        }
    }

    pub(crate) fn io(&self) -> &S {
        self.socket.io()
    }

    /// Returns the connection as a socket of the standard library; it is still non-blocking. It leaves its
    /// runtime, on any thread. It can come back, or go to another runtime.
    #[must_use]
    pub fn into_std(self) -> S {
        self.socket.into_io()
    }

    /// Ends one direction, or both (`shutdown(2)`). The peer sees the end of the stream.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone already, as in the standard
    /// library. `AsyncWrite::poll_close`, which asks for no more than an end, succeeds then.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => rustix::net::Shutdown::Read,
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        Ok(shutdown(self.io(), how)?)
    }

    /// Makes the drop of this stream reset the connection, instead of closing it in good order. The kernel
    /// discards the bytes that the peer has not taken by then (`SO_LINGER` of 0, `socket(7)`).
    ///
    /// # Errors
    ///
    /// The errors of `setsockopt(2)`.
    pub fn reset_on_drop(&self) -> io::Result<()> {
        SockRef::from(self.io()).set_linger(Some(Duration::ZERO))
    }

    /// Writes the last bytes before the stream or its write half is closed. TCP may hold them back until
    /// then, so that both go out in one segment (`MSG_MORE`, `send(2)`).
    ///
    /// # Errors
    ///
    /// The errors of `send(2)`.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write_last(cx, bytes)
    }

    /// Waits until a read would not have to wait: for bytes, the end of the stream, or an error.
    ///
    /// Exact: the kernel is asked (`poll(2)`), so that an attempt to read would not have to wait when
    /// this completes. Another task may read first.
    ///
    /// # Errors
    ///
    /// When the connection cannot be registered.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until a write would not have to wait: for room in the buffer, or an error.
    ///
    /// Exact, as [`readable`](Self::readable) is. TCP reports room when a third of the buffer is free.
    ///
    /// # Errors
    ///
    /// When the connection cannot be registered.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// Waits until a connection attempt has succeeded or failed.
    pub(crate) async fn connected(&self) -> io::Result<()> {
        self.socket.event(Interest::Write).await
    }

    /// The poll function behind [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(cx, Direction::Read)
    }

    /// The poll function behind [`writable`](Self::writable).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(cx, Direction::Write)
    }

    /// Reads bytes without taking them from the stream, and without waiting. `Ok(0)` is the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there are no bytes; else the errors of `recv(2)`.
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let seen = self.socket.try_io(Direction::Read, |io| {
            let (seen, _) = recv(io, &mut *buffer, RecvFlags::PEEK)?;
            Ok((seen, Edge::Kept))
        })?;
        if seen > 0 {
            // A short read may have cleared the flag, but the kernel has bytes.
            self.socket.note_ready(Direction::Read);
        }
        Ok(seen)
    }

    /// Waits until the connection is gone: a reset, a hang-up, or both directions ended.
    ///
    /// A peer that only stops sending (FIN) does not complete it; see
    /// [`read_closed`](Self::read_closed). Any number of tasks can wait, beside readers and
    /// writers.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn closed(&self) {
        self.gone(Interest::Closed).await;
    }

    /// Waits until the peer has closed its write half (FIN), or the connection is gone. Bytes that came
    /// before can still be read.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn read_closed(&self) {
        self.gone(Interest::ReadClosed).await;
    }

    async fn gone(&self, interest: Interest) {
        // A connection that cannot be registered cannot be used either.
        drop(self.socket.event(interest).await);
    }

    /// The poll function behind [`closed`](Self::closed).
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_event(cx, Interest::Closed).map(drop)
    }

    /// The poll function behind [`read_closed`](Self::read_closed).
    pub fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_event(cx, Interest::ReadClosed).map(drop)
    }

    /// Returns true if the reactor has seen that the peer has closed its write half.
    #[must_use]
    pub fn is_read_closed(&self) -> bool {
        self.socket.is_ready(Interest::ReadClosed)
    }

    /// Sends up to `count` bytes of a file, without copying them through this process (`sendfile(2)`).
    ///
    /// It reads from `offset`, and adds the number of bytes that were sent to `offset`. `Ok(0)` is the end
    /// of the file. The file is read on this thread: a file that is not in memory blocks the thread.
    ///
    /// # Errors
    ///
    /// The errors of `sendfile(2)`, of the file or of the socket.
    ///
    /// # Cancel safety
    ///
    /// Safe: `offset` always counts the bytes that were sent.
    pub async fn send_file(
        &self,
        file: impl AsFd,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        let file = file.as_fd();
        self.socket
            .move_bytes(Direction::Write, |io| send_file(io, file, offset, count))
            .await
    }

    /// The poll function behind [`send_file`](Self::send_file).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_move(cx, Direction::Write, |io| {
            send_file(io, file, offset, count)
        })
    }
}

/// Calls `sendfile(2)`. It is also short at the end of the file, so a short one does not use the edge up.
fn send_file(
    io: &impl AsFd,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<(usize, Edge)> {
    let sent = no_signal::while_calling(|| rustix::fs::sendfile(io, file, Some(offset), count))?;
    Ok((sent, Edge::Kept))
}

impl<S: Connected> Stream<S> {
    /// Reads without waiting. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there are no bytes; else the errors of `recv(2)`.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_read(buffer)
    }

    /// Writes without waiting. Returns the number of bytes that there was room for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room; else the errors of `send(2)`.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.try_write(bytes)
    }
}

impl<S: Connected> AsyncRead for &Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_move(cx, Direction::Read, |io| {
            let nothing = &mut RecvAncillaryBuffer::default();
            let moved = recvmsg(io, buffers, nothing, RecvFlags::empty())?.bytes;
            Ok((moved, Edge::Kept))
        })
    }
}

impl<S: Connected> AsyncWrite for &Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write_vectored(cx, slices)
    }

    /// Completes at once: the kernel has all bytes that were written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the write half (sends FIN). Succeeds also if the peer has reset the connection.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(budget::poll_spend(cx, 1));
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            ended => ended,
        })
    }
}

impl<S: Connected + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(cx, buffers)
    }
}

impl<S: Connected + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(cx)
    }
}

impl<S: AsFd> AsFd for Stream<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for Stream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.io().fmt(f)
    }
}
