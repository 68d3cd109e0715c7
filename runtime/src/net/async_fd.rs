//! Foreign descriptors: pipes, eventfds, and all others that epoll accepts.
//!
//! # How it works
//!
//! An [`AsyncFd`] is a socket whose operations the user supplies. The runtime does not know if an operation has
//! been short, so only `WouldBlock` clears readiness.
//!
//! # Invariants
//!
//! - Always: a descriptor that an `AsyncFd` no longer watches is removed from epoll.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use super::socket::{Edge, Socket};
use crate::source::{Direction, Interest};

/// Waits for a descriptor of any type.
///
/// The descriptor must be non-blocking, and of a kind that epoll accepts (`epoll_ctl(2)`). A wait for a
/// regular file fails with `PermissionDenied` (`EPERM`); use [`spawn_blocking`](crate::spawn_blocking) for
/// files.
///
/// Any number of tasks may wait at once, in both directions, and an event wakes each of them. Dropping an
/// `AsyncFd`, or [`into_inner`](Self::into_inner), removes the descriptor from epoll on any thread. Then the
/// same runtime or another one can watch it again. A runtime can watch a descriptor through only one `AsyncFd`
/// at a time. A wait of a second one fails with `AlreadyExists` (`EEXIST`).
///
/// The caller supplies the operations. If an operation writes to a pipe or a socket whose reader is gone, the
/// kernel raises SIGPIPE. It does not if the operation has a flag against that (`MSG_NOSIGNAL`, `send(2)`), or
/// if the process ignores the signal, which is the default of Rust programs.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use waterwheel::runtime::{block_on, net::AsyncFd};
///
/// let (mut writer, reader) = UnixStream::pair()?;
/// reader.set_nonblocking(true)?;
/// block_on(async {
///     let reader = AsyncFd::new(reader);
///     writer.write_all(b"x")?;
///     let mut buffer = [0; 8];
///     let count = reader.read_with(|mut io| io.read(&mut buffer)).await?;
///     assert_eq!(buffer[..count], *b"x");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub struct AsyncFd<T: AsFd> {
    /// `None` only while `into_inner` or the drop runs.
    socket: Option<Socket<T>>,
}

impl<T: AsFd> AsyncFd<T> {
    /// Watches a descriptor that is in non-blocking mode.
    pub fn new(io: T) -> Self {
        Self {
            socket: Some(Socket::new(io)),
        }
    }

    /// Returns the socket, which is there until the end.
    fn socket(&self) -> &Socket<T> {
        self.socket
            .as_ref()
            .expect("only into_inner and drop take it out")
    }

    /// Returns the descriptor.
    pub fn io(&self) -> &T {
        self.socket().io()
    }

    /// Removes the descriptor from epoll, and returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use waterwheel::runtime::net::AsyncFd;
    ///
    /// let (end, _other) = UnixStream::pair()?;
    /// let watched = AsyncFd::new(end);
    /// let end: UnixStream = watched.into_inner(); // no runtime watches it any more
    /// # drop(end);
    /// # std::io::Result::Ok(())
    /// ```
    #[expect(
        clippy::missing_panics_doc,
        reason = "the socket is there while the caller has this value"
    )]
    pub fn into_inner(mut self) -> T {
        // A type with a drop cannot be taken apart. The drop of `self` finds `None`, and deregisters no second
        // time.
        let socket = self.socket.take();
        socket
            .expect("only into_inner and drop take it out")
            .into_io()
    }

    /// Calls `operation` when the descriptor is readable. If it returns
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), calls it again after the next event.
    ///
    /// # Errors
    ///
    /// Returns all other errors of `operation`, and the errors of `epoll_ctl(2)`: `PermissionDenied` for a
    /// regular file, `AlreadyExists` for a descriptor that this runtime watches already.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime, or inside another runtime than the first one.
    ///
    /// # Cancel safety
    ///
    /// Safe: a drop ends it only between two calls of `operation`.
    pub async fn read_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.with(Direction::Read, operation).await
    }

    /// Does the same as [`read_with`](Self::read_with), for writing.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    ///
    /// # Cancel safety
    ///
    /// Safe: a drop ends it only between two calls of `operation`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use waterwheel::runtime::{block_on, net::AsyncFd};
    ///
    /// let (writer, mut reader) = UnixStream::pair()?;
    /// writer.set_nonblocking(true)?;
    /// block_on(async {
    ///     let writer = AsyncFd::new(writer);
    ///     writer.write_with(|mut io| io.write(b"x")).await
    /// })?;
    /// assert_eq!(reader.read(&mut [0; 8])?, 1);
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn write_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.with(Direction::Write, operation).await
    }

    /// The poll function behind [`read_with`](Self::read_with).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use waterwheel::runtime::{block_on, net::AsyncFd};
    ///
    /// let (mut writer, reader) = UnixStream::pair()?;
    /// reader.set_nonblocking(true)?;
    /// let reader = AsyncFd::new(reader);
    /// writer.write_all(b"water")?;
    /// let mut buffer = [0; 8];
    /// let count = block_on(poll_fn(|cx| {
    ///     reader.poll_read_with(cx, |mut io| io.read(&mut buffer))
    /// }))?;
    /// assert_eq!(buffer[..count], *b"water");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        // The edge counts as kept: only the user knows if this operation was short.
        self.socket()
            .poll_io(cx, Interest::Read, 1, |io| Ok((operation(io)?, Edge::Kept)))
    }

    /// The future of both directions.
    async fn with<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        // The edge counts as kept, as in `poll_read_with`.
        self.socket()
            .perform(direction.into(), 1, |io| Ok((operation(io)?, Edge::Kept)))
            .await
    }

    /// Waits until the descriptor is readable. The result is exact, because this asks the kernel (`poll(2)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `epoll_ctl(2)`; see [`read_with`](Self::read_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use waterwheel::runtime::{block_on, net::AsyncFd};
    ///
    /// let (near, mut far) = UnixStream::pair()?;
    /// near.set_nonblocking(true)?;
    /// let near = AsyncFd::new(near);
    /// far.write_all(b"x")?;
    /// block_on(async {
    ///     poll_fn(|cx| near.poll_readable(cx)).await?;
    ///     assert_eq!(near.io().read(&mut [0; 8])?, 1);
    ///     poll_fn(|cx| near.poll_writable(cx)).await
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_ready(cx, Direction::Read)
    }

    /// Does the same as [`poll_readable`](Self::poll_readable), for writing.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_ready(cx, Direction::Write)
    }
}

impl<T: AsFd> Drop for AsyncFd<T> {
    fn drop(&mut self) {
        // `T` may be a reference or a duplicate. Then the descriptor stays open, and epoll would go on
        // watching it.
        if let Some(socket) = &self.socket {
            socket.deregister();
        }
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(self.io()).finish()
    }
}
