//! A connected stream socket, of whatever family.

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
use super::socket::{Left, Receive, Socket};
use crate::budget;
use crate::source::{Direction, Interest};

/// A kind of connected socket. Only this crate's kinds implement it.
pub trait Connected: Receive {}

/// A connection: a [`TcpStream`](super::TcpStream) or a [`UnixStream`](super::UnixStream).
///
/// Reads and writes through the `futures-io` traits, which are implemented for the stream and for
/// a reference to it. Closed when dropped; data that was written is still delivered. Writing to a
/// connection that is gone is an error in every way of writing, and never a signal.
///
/// Any number of tasks may wait at once, also for the same thing; an event wakes all of them. A future
/// that is dropped leaves nothing behind. A poll function (`poll_read`, [`poll_closed`](Self::poll_closed)
/// and so on) cannot be dropped: its task is remembered until an event wakes it or it ends.
///
/// It is `Send`: it registers with the runtime it first has to wait in, and stays there.
///
/// # Panics
///
/// All that waits panics outside a runtime, and under another runtime than the first.
///
/// # Cancel safety
///
/// Everything here moves bytes only when it completes: nothing is lost by dropping a future.
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

    /// Hands the connection to the standard library; it is still non-blocking. It leaves its runtime, on
    /// any thread, and can come back or go to another one.
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

    /// Lets the connection end in a reset when this is dropped, instead of in good order: what the
    /// peer has not taken by then is thrown away, not kept in the kernel for it (`SO_LINGER` of 0,
    /// `socket(7)`).
    ///
    /// # Errors
    ///
    /// The errors of `setsockopt(2)`.
    pub fn reset_on_drop(&self) -> io::Result<()> {
        SockRef::from(self.io()).set_linger(Some(Duration::ZERO))
    }

    /// Writes what comes right before the end, of this or of the writing direction: TCP may hold it
    /// back until then, so that both go out in one segment (`MSG_MORE`, `send(2)`).
    ///
    /// # Errors
    ///
    /// The errors of `send(2)`.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write_last(cx, bytes)
    }

    /// Waits until there is something to read: bytes, the end, or an error.
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

    /// Waits until there is room to write, or an error to be seen by writing.
    ///
    /// Exact, as [`readable`](Self::readable) is. TCP counts as having room once a third of the buffer
    /// is free.
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

    /// Waits until a connection that was begun is made, or has failed.
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

    /// Looks at what is there without taking it; `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there; else the errors of `recv(2)`.
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let seen = self.socket.try_io(Direction::Read, |io| {
            let (seen, _) = recv(io, &mut *buffer, RecvFlags::PEEK)?;
            Ok((seen, Left::Perhaps))
        })?;
        if seen > 0 {
            // The kernel knows better than a conclusion from a short read.
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

    /// Waits until the peer has ended its direction (FIN), or the connection is gone. Bytes that
    /// came before are still there to be read.
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

    /// Whether the peer has ended its direction, as far as the reactor has been told.
    #[must_use]
    pub fn is_read_closed(&self) -> bool {
        self.socket.is_ready(Interest::ReadClosed)
    }

    /// Sends from a file without copying through this process (`sendfile(2)`): up to `count`
    /// bytes from `offset`, which moves along. `Ok(0)` is the end of the file.
    ///
    /// The file is read on this thread: a file that is not in memory blocks it.
    ///
    /// # Errors
    ///
    /// The errors of `sendfile(2)`, of either end.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was sent is in `offset`, or nothing was.
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

/// Short at the end of the file as well: no proof that the edge is used up.
fn send_file(
    io: &impl AsFd,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<(usize, Left)> {
    let sent = no_signal::while_calling(|| rustix::fs::sendfile(io, file, Some(offset), count))?;
    Ok((sent, Left::Perhaps))
}

impl<S: Connected> Stream<S> {
    /// Reads what is there, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is; else the errors of `recv(2)`.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_read(buffer)
    }

    /// Writes what there is room for, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; else the errors of `send(2)`.
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
            Ok((moved, Left::Perhaps))
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

    /// There is nothing to flush: what was written is with the kernel.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the writing direction. A connection that the peer has reset has ended already: no error.
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
