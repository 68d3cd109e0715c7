//! A connected stream socket of any family.
//!
//! # How it works
//!
//! [`Receive`] is the one system call that the families differ in. All other calls are the same for TCP and
//! Unix sockets. A method that waits comes as a future and as a poll function.
//!
//! # Invariants
//!
//! - Never: SIGPIPE, in any way of writing.

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

use super::socket::{Edge, Receive, Socket};
use crate::budget;
use crate::source::{Direction, Interest};
use crate::sys;

/// A kind of connected socket. Only types of this crate implement it.
#[doc(hidden)]
pub trait Connected: Receive {}

/// A connection: a [`TcpStream`](super::TcpStream) or a [`UnixStream`](super::UnixStream).
///
/// It reads and writes through the `futures-io` traits, which are implemented for the stream and for a
/// reference to it. Dropping the stream closes it, and the kernel still delivers the bytes that were written.
/// A write to a connection that is gone returns an error in every way of writing, and never raises a signal.
///
/// Any number of tasks may wait at once, also for the same event, and the event wakes all of them. A dropped
/// future removes its waiter. A poll function (`poll_read`, [`poll_closed`](Self::poll_closed) and so on) has
/// no drop: the runtime remembers its task until an event wakes the task or the task ends.
///
/// A stream is `Send` and `Sync`. It registers with the runtime in which it first has to wait, and stays there.
/// Another thread may call the methods that do not wait.
///
/// # Panics
///
/// A call that has to wait panics outside a runtime, and inside another runtime than the first one.
///
/// # Cancel safety
///
/// Each operation moves bytes only when it completes. So no bytes are lost if a future is dropped.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::net::{Stream, UnixStream};
/// use waterwheel::runtime::{block_on, join};
///
/// let (near, far) = std::os::unix::net::UnixStream::pair()?;
/// block_on(async {
///     let (near, far): (Stream<_>, Stream<_>) = (UnixStream::from_std(near)?, UnixStream::from_std(far)?);
///     // A reference reads while another one writes.
///     let (mut reader, mut writer) = (&near, &near);
///     let echo = futures_lite::io::copy(&far, &far);
///     let mut echoed = [0; 5];
///     let talk = async {
///         let (sent, received) = join(writer.write_all(b"water"), reader.read_exact(&mut echoed)).await;
///         writer.close().await?;
///         sent.and(received)
///     };
///     let (talked, copied) = join(talk, echo).await;
///     talked?;
///     assert_eq!((echoed, copied?), (*b"water", 5));
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub struct Stream<S> {
    socket: Socket<S>,
}

impl<S: AsFd> Stream<S> {
    /// Makes a stream of a non-blocking socket.
    pub(crate) fn from_nonblocking(io: S) -> Self {
        Self {
            socket: Socket::new(io),
        }
    }

    pub(crate) fn io(&self) -> &S {
        self.socket.io()
    }

    // hyper's reads need the socket itself, because their memory is not initialized.
    #[cfg(feature = "hyper")]
    pub(crate) fn socket(&self) -> &Socket<S> {
        &self.socket
    }

    /// Returns the socket of the standard library. It is still in non-blocking mode.
    ///
    /// The socket leaves its runtime, and this works on any thread. `from_std` makes a stream of it again, in
    /// this runtime or in another one.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    /// let stream = UnixStream::from_std(near)?;
    /// let near = stream.into_std();
    /// near.set_nonblocking(false)?; // for a thread that reads with blocking calls
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn into_std(self) -> S {
        self.socket.into_io()
    }

    /// Closes the read half, the write half (sends FIN), or both (`shutdown(2)`).
    ///
    /// # Errors
    ///
    /// Returns [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone, as the standard library
    /// does. `AsyncWrite::poll_close` succeeds in that case.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Shutdown;
    /// use waterwheel::runtime::net::UnixStream;
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// let stream = UnixStream::from_std(near)?;
    /// stream.try_write(b"the last word")?;
    /// stream.shutdown(Shutdown::Write)?; // the peer reads to the end, and can still answer
    /// assert_eq!(std::io::read_to_string(&far)?, "the last word");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // The call of rustix takes any descriptor, so TCP and Unix sockets share this method.
        let how = match how {
            Shutdown::Read => rustix::net::Shutdown::Read,
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        Ok(shutdown(self.io(), how)?)
    }

    /// Makes the drop of this stream reset the connection (RST) instead of closing it (FIN). The kernel then
    /// discards the bytes that the peer has not received (`SO_LINGER` of 0, `socket(7)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `setsockopt(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::{TcpListener, TcpStream};
    /// use waterwheel::runtime::{block_on, join};
    ///
    /// block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let connect = TcpStream::connect(listener.local_address()?);
    ///     let (accepted, client) = join(listener.accept(), connect).await;
    ///     let (stream, _) = accepted?;
    ///     stream.reset_on_drop()?;
    ///     drop(stream);
    ///     client?.closed().await; // a reset ends both halves at once
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn reset_on_drop(&self) -> io::Result<()> {
        SockRef::from(self.io()).set_linger(Some(Duration::ZERO))
    }

    /// Writes the last bytes before the stream or its write half is closed. TCP may hold them back until then,
    /// so that it sends the bytes and the FIN in one segment (`MSG_MORE`, `send(2)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `send(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     let sent = poll_fn(|cx| stream.poll_write_last(cx, b"bye")).await?;
    ///     assert_eq!(sent, 3);
    ///     std::io::Result::Ok(()) // the drop closes the stream
    /// })?;
    /// assert_eq!(std::io::read_to_string(far)?, "bye");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write_last(cx, bytes)
    }

    /// Waits until a read would not have to wait: for bytes, the end of the stream, or an error.
    ///
    /// The result is exact, because this asks the kernel (`poll(2)`). But another task may read first.
    ///
    /// # Errors
    ///
    /// Fails if the connection cannot be registered (`epoll_ctl(2)`).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, mut far) = std::os::unix::net::UnixStream::pair()?;
    /// far.write_all(b"water")?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     stream.readable().await?; // no buffer is needed while the stream is idle
    ///     let mut buffer = [0; 16];
    ///     assert_eq!(stream.try_read(&mut buffer)?, 5);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until a write would not have to wait: for room in the buffer, or an error.
    ///
    /// The result is exact, because this asks the kernel (`poll(2)`). TCP reports room when a third of the
    /// buffer is free.
    ///
    /// # Errors
    ///
    /// Fails if the connection cannot be registered (`epoll_ctl(2)`).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     stream.writable().await?;
    ///     assert_eq!(stream.try_write(b"water")?, 5);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// Waits until a connection attempt has succeeded or failed.
    pub(crate) fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_event(cx, Interest::Write)
    }

    /// The poll function behind [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     poll_fn(|cx| stream.poll_writable(cx)).await?;
    ///     drop(far); // the end of the stream makes it readable
    ///     poll_fn(|cx| stream.poll_readable(cx)).await?;
    ///     assert_eq!(stream.try_read(&mut [0; 16])?, 0);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(cx, Direction::Read)
    }

    /// The poll function behind [`writable`](Self::writable).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(cx, Direction::Write)
    }

    /// Copies bytes into `buffer` without waiting, and leaves them in the stream. `Ok(0)` is the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there are no bytes, and else the errors of
    /// `recv(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, mut far) = std::os::unix::net::UnixStream::pair()?;
    /// far.write_all(&[0x16, 0x03, 0x01])?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     stream.readable().await?;
    ///     let mut first = [0];
    ///     stream.try_peek(&mut first)?;
    ///     assert_eq!(first, [0x16]); // a TLS handshake: the bytes are still there for rustls
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let seen = self.socket.try_io(Direction::Read, |io| {
            let (seen, _) = recv(io, &mut *buffer, RecvFlags::PEEK)?;
            Ok((seen, Edge::Kept))
        })?;
        if seen > 0 {
            // An earlier short read may have cleared the flag, but the kernel has bytes. Without the flag, the
            // next read would wait for an event that has come already.
            self.socket.note_ready(Direction::Read);
        }
        Ok(seen)
    }

    /// Waits until the connection is gone: it was reset, or both halves are closed.
    ///
    /// It does not complete if the peer only closes its write half (FIN); see
    /// [`read_closed`](Self::read_closed). Any number of tasks can wait, beside readers and writers.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    /// use waterwheel::runtime::{block_on, net::UnixStream, race};
    ///
    /// /// Works for as long as the client stays.
    /// async fn work(stream: &UnixStream) -> Option<u32> {
    ///     race(async { Some(pending().await) }, async {
    ///         stream.closed().await;
    ///         None
    ///     })
    ///     .await
    /// }
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// drop(far);
    /// assert_eq!(block_on(async { std::io::Result::Ok(work(&UnixStream::from_std(near)?).await) })?, None);
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn closed(&self) {
        self.gone(Interest::Closed).await;
    }

    /// Waits until the peer has closed its write half (FIN), or the connection is gone. A task can still read
    /// the bytes that came before.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Shutdown;
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     far.shutdown(Shutdown::Write)?;
    ///     stream.read_closed().await;
    ///     assert!(stream.is_read_closed());
    ///     stream.try_write(b"but it still reads")?;
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn read_closed(&self) {
        self.gone(Interest::ReadClosed).await;
    }

    /// Waits for an event that ends the connection or a half of it.
    async fn gone(&self, interest: Interest) {
        // A connection that cannot be registered cannot be used, so it counts as gone.
        drop(self.socket.event(interest).await);
    }

    /// The poll function behind [`closed`](Self::closed).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     drop(far);
    ///     poll_fn(|cx| stream.poll_read_closed(cx)).await;
    ///     poll_fn(|cx| stream.poll_closed(cx)).await;
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_event(cx, Interest::Closed).map(drop)
    }

    /// The poll function behind [`read_closed`](Self::read_closed).
    pub fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_event(cx, Interest::ReadClosed).map(drop)
    }

    /// Returns true if the reactor has reported that the peer has closed its write half (FIN), or that the
    /// connection is gone. It does not ask the kernel.
    #[must_use]
    pub fn is_read_closed(&self) -> bool {
        self.socket.is_ready(Interest::ReadClosed)
    }

    /// Sends up to `count` bytes of a file, without copying them through this process (`sendfile(2)`).
    ///
    /// It reads the file from `offset`, and adds the number of sent bytes to `offset`. `Ok(0)` is the end of
    /// the file. The kernel reads the file on this thread, so a file that is not in memory blocks the thread.
    ///
    /// # Errors
    ///
    /// Returns the errors of `sendfile(2)`, of the file or of the socket.
    ///
    /// # Cancel safety
    ///
    /// Safe: `offset` always includes all sent bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     let file = std::fs::File::open("Cargo.toml")?;
    ///     let mut offset = 1; // behind the first byte
    ///     while stream.send_file(&file, &mut offset, 8).await? > 0 && offset < 8 {}
    ///     std::io::Result::Ok(())
    /// })?;
    /// assert_eq!(std::io::read_to_string(far)?, "package]");
    /// # std::io::Result::Ok(())
    /// ```
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
    /// Returns the same errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::os::fd::AsFd;
    /// use waterwheel::runtime::{block_on, net::UnixStream};
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let stream = UnixStream::from_std(near)?;
    ///     let file = std::fs::File::open("Cargo.toml")?;
    ///     let mut offset = 0;
    ///     poll_fn(|cx| stream.poll_send_file(cx, file.as_fd(), &mut offset, 9)).await?;
    ///     assert_eq!(offset, 9);
    ///     std::io::Result::Ok(())
    /// })?;
    /// assert_eq!(std::io::read_to_string(far)?, "[package]");
    /// # std::io::Result::Ok(())
    /// ```
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

/// Sends bytes of a file.
fn send_file(
    io: &impl AsFd,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<(usize, Edge)> {
    let sent = sys::send_file(io, file, offset, count)?;
    // A short call does not prove that the socket is full, because a call is also short at the end of the file.
    Ok((sent, Edge::Kept))
}

impl<S: Connected> Stream<S> {
    /// Reads without waiting. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there are no bytes, and else the errors of
    /// `recv(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{ErrorKind, Write};
    /// use waterwheel::runtime::net::UnixStream;
    ///
    /// let (near, mut far) = std::os::unix::net::UnixStream::pair()?;
    /// let stream = UnixStream::from_std(near)?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(stream.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// far.write_all(b"water")?;
    /// assert_eq!(stream.try_read(&mut buffer)?, 5);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_read(buffer)
    }

    /// Writes without waiting. Returns the number of bytes that the kernel has taken.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and else the errors of `send(2)`.
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
            // The edge counts as kept. A vectored read is rare, and a needless try costs less than the sum of
            // lengths.
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

    /// Completes at once, because the kernel has all bytes that were written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the write half (sends FIN). It also succeeds if the peer has reset the connection.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The call is ready each time. Without a cost, a loop of closes would keep the thread.
        std::task::ready!(budget::poll_spend(cx, 1));
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            // A peer that has reset the connection gets no FIN, and the caller has nothing left to do.
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
