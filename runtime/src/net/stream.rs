//! A connected stream socket, of whatever family.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::net::{RecvFlags, recv, shutdown};
use socket2::SockRef;

use super::socket::{Left, Socket};
use crate::source::{Direction, Interest};

/// A connection: a [`TcpStream`](super::TcpStream) or a [`UnixStream`](super::UnixStream).
///
/// Reads and writes through the `futures-io` traits, which are implemented for the stream and for
/// a reference to it. Closed when dropped; data that was written is still delivered.
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

    /// Hands the connection to the standard library; it is still non-blocking.
    #[must_use]
    pub fn into_std(self) -> S {
        self.socket.into_io()
    }

    /// Ends one direction, or both (`shutdown(2)`). The peer sees the end of the stream.
    ///
    /// # Errors
    ///
    /// When the connection is gone already.
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
    /// What `setsockopt(2)` says.
    pub fn reset_on_drop(&self) -> io::Result<()> {
        SockRef::from(self.io()).set_linger(Some(Duration::ZERO))
    }

    /// Writes what comes right before the end, of this or of the writing direction: TCP may hold it
    /// back until then, so that both go out in one segment (`MSG_MORE`, `send(2)`).
    ///
    /// # Errors
    ///
    /// What `send(2)` says.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write_last(cx, bytes)
    }

    /// Waits until there is something to read: bytes, the end, or an error.
    ///
    /// # Errors
    ///
    /// When the connection cannot be registered.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// Waits until there is room to write, or an error to be seen by writing.
    ///
    /// # Errors
    ///
    /// When the connection cannot be registered.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_writable(cx)).await
    }

    /// The poll behind [`readable`](Self::readable). One task can wait for it at a time.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(cx, Interest::Read)
    }

    /// The poll behind [`writable`](Self::writable). One task can wait for it at a time.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(cx, Interest::Write)
    }

    /// Looks at what is there without taking it; `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there; else what `recv(2)` says.
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let seen = self.socket.try_io(Direction::Read, |io| {
            let (seen, _) = recv(io, &mut *buffer, RecvFlags::PEEK)?;
            Ok((seen, Left::Perhaps))
        })?;
        if seen > 0 {
            // Whatever was concluded from a short read: an urgent byte cuts one short as well.
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
        drop(poll_fn(|cx| self.socket.poll_ready(cx, interest)).await);
    }

    /// The poll behind [`closed`](Self::closed).
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_ready(cx, Interest::Closed).map(drop)
    }

    /// The poll behind [`read_closed`](Self::read_closed).
    pub fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_ready(cx, Interest::ReadClosed).map(drop)
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
    /// What `sendfile(2)` says, of either end.
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
        poll_fn(|cx| self.poll_send_file(cx, file, offset, count)).await
    }

    /// The poll behind [`send_file`](Self::send_file).
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
            // Short at the end of the file as well: no proof that the edge is used up.
            let sent = rustix::fs::sendfile(io, file, Some(&mut *offset), count)?;
            Ok((sent, Left::Perhaps))
        })
    }
}

impl<S: AsFd> Stream<S>
where
    for<'a> &'a S: Read + Write,
{
    /// Reads what is there, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is; else what `recv(2)` says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_read(buffer)
    }

    /// Writes what there is room for, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; else what `send(2)` says.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.try_write(bytes)
    }
}

impl<S: AsFd> AsyncRead for &Stream<S>
where
    for<'a> &'a S: Read,
{
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
        self.socket.poll_move(cx, Direction::Read, |mut io| {
            Ok((io.read_vectored(buffers)?, Left::Perhaps))
        })
    }
}

impl<S: AsFd> AsyncWrite for &Stream<S>
where
    for<'a> &'a S: Write,
{
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

    /// Ends the writing direction.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }
}

impl<S: AsFd + Unpin> AsyncRead for Stream<S>
where
    for<'a> &'a S: Read,
{
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

impl<S: AsFd + Unpin> AsyncWrite for Stream<S>
where
    for<'a> &'a S: Write,
{
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
