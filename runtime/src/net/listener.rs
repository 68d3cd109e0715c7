//! A socket of any family that accepts connections.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};

use super::socket::{Edge, Socket, is_ready};
use crate::source::{Direction, Interest};

/// The cost of an accept, in units of a task's budget. After 16 accepts, other tasks run.
const ACCEPT_COST: u32 = 4;

/// A kind of listening socket. Only types of this crate implement it.
pub trait Accept: AsFd + sealed::Sealed {
    /// The result of an accept: a stream, and for TCP the address of the peer.
    type Accepted;

    /// Takes the next connection, without waiting.
    ///
    /// # Errors
    ///
    /// The errors of `accept4(2)`.
    #[doc(hidden)]
    fn accept_one(&self) -> io::Result<Self::Accepted>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Accepts a connection. The new descriptor is non-blocking and close-on-exec from the start.
pub(crate) fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(acceptfrom_with(listener, flags)?)
}

/// A socket that accepts connections: a [`TcpListener`](super::TcpListener) or a
/// [`UnixListener`](super::UnixListener).
///
/// See [`Stream`](super::Stream) for what holds of all sockets.
pub struct Listener<L> {
    socket: Socket<L>,
}

impl<L: Accept> Listener<L> {
    /// Takes a socket that listens and is non-blocking already.
    pub(crate) fn from_nonblocking(io: L) -> Self {
        Self {
            socket: Socket::new(io),
        }
    }

    pub(crate) fn io(&self) -> &L {
        self.socket.io()
    }

    pub(crate) fn into_io(self) -> L {
        self.socket.into_io()
    }

    /// Takes the next connection: the stream, and for TCP the address of the peer.
    ///
    /// Any number of tasks may wait at once; each connection goes to one of them. After an error, call
    /// this again: the listener stays ready until its queue is empty.
    ///
    /// # Errors
    ///
    /// The errors of `accept4(2)`: of this connection (`ECONNABORTED`), or of this process
    /// (`EMFILE`).
    ///
    /// # Panics
    ///
    /// Outside a runtime, and under another runtime than the first.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection is taken only when this completes.
    pub async fn accept(&self) -> io::Result<L::Accepted> {
        self.socket
            .perform(Interest::Read, ACCEPT_COST, accept_one)
            .await
    }

    /// The poll function behind [`accept`](Self::accept). Any number of tasks may call it. The next
    /// connection wakes each of them once.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<L::Accepted>> {
        self.socket
            .poll_io(cx, Interest::Read, ACCEPT_COST, accept_one)
    }

    /// Waits until the queue has a connection, without accepting it.
    ///
    /// # Errors
    ///
    /// The errors of `poll(2)`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn pending(&self) -> io::Result<()> {
        self.socket
            .perform(Interest::Read, 1, |io| is_ready(io, Direction::Read))
            .await
    }

    /// The poll function behind [`pending`](Self::pending). It asks the kernel each time: the reactor's
    /// memory may be out of date once another task has accepted.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_pending(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket
            .poll_io(cx, Interest::Read, 1, |io| is_ready(io, Direction::Read))
    }

    /// Takes the next connection without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the queue is empty; else as [`accept`](Self::accept).
    pub fn try_accept(&self) -> io::Result<L::Accepted> {
        self.socket.try_io(Direction::Read, accept_one)
    }
}

/// Keeps the edge: the queue may hold more connections, also after an error such as EMFILE.
fn accept_one<L: Accept>(listener: &L) -> io::Result<(L::Accepted, Edge)> {
    Ok((listener.accept_one()?, Edge::Kept))
}

impl<L: AsFd> AsFd for Listener<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl<L: AsFd + fmt::Debug> fmt::Debug for Listener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.io().fmt(f)
    }
}
