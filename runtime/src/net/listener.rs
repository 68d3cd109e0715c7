//! A socket of any family that accepts connections.
//!
//! # How it works
//!
//! [`Accept`] is the one system call that the families differ in. An accept never clears readiness, because its
//! edge is used up only when the queue is empty, and then the kernel returns `WouldBlock`.
//!
//! # Invariants
//!
//! - Always: after an error, the listener is still ready.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use super::socket::{Edge, Socket, is_ready};
use crate::causes::Call;
use crate::points;
use crate::source::{Direction, Interest};

/// The units of a task's budget that an accept costs. After 16 accepts, other tasks run.
const ACCEPT_COST: u32 = 4;

/// A kind of listening socket. Only types of this crate implement it.
#[doc(hidden)]
pub trait Accept: AsFd + sealed::Sealed {
    /// The value of an accept: a stream, and for TCP also the address of the peer.
    type Accepted;

    /// Accepts the next connection, without waiting.
    ///
    /// # Errors
    ///
    /// Returns the errors of `accept4(2)`.
    #[doc(hidden)]
    fn accept_one(&self) -> io::Result<Self::Accepted>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A socket that accepts connections: a [`TcpListener`](super::TcpListener) or a
/// [`UnixListener`](super::UnixListener).
///
/// See [`Stream`](super::Stream) for the properties of all sockets.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::io::ErrorKind;
/// use waterwheel::runtime::net::{Listener, TcpListener, TcpStream};
/// use waterwheel::runtime::{block_on, spawn};
///
/// block_on(async {
///     let listener: Listener<_> = TcpListener::bind("127.0.0.1:0")?;
///     assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
///
///     let clients = spawn({
///         let address = listener.local_address()?;
///         async move { (TcpStream::connect(address).await, TcpStream::connect(address).await) }
///     });
///     listener.pending().await?; // the queue has a connection, and keeps it
///     let (first, peer) = listener.accept().await?;
///     assert_eq!(first.peer_address()?, peer);
///
///     // The same with poll functions, for futures of one's own.
///     poll_fn(|cx| listener.poll_pending(cx)).await?;
///     let (second, _) = poll_fn(|cx| listener.poll_accept(cx)).await?;
///     # drop((second, clients.await?));
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub struct Listener<L> {
    socket: Socket<L>,
}

impl<L: Accept> Listener<L> {
    /// Makes a listener of a non-blocking socket that listens.
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

    /// Accepts the next connection. Returns the stream, and for TCP also the address of the peer.
    ///
    /// Any number of tasks may wait at once, and each connection goes to one of them. After an error, call this
    /// again: the listener stays ready until its queue is empty.
    ///
    /// # Errors
    ///
    /// Returns the errors of `accept4(2)`: those of this connection (`ECONNABORTED`), and those of this process
    /// (`EMFILE`).
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime, or inside another runtime than the first one.
    ///
    /// # Cancel safety
    ///
    /// Safe: it accepts a connection only when it completes.
    pub async fn accept(&self) -> io::Result<L::Accepted> {
        self.socket
            .perform(Interest::Read, ACCEPT_COST, accept_one)
            .await
    }

    /// The poll function behind [`accept`](Self::accept). Any number of tasks may call it, and the next
    /// connection wakes each of them once.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<L::Accepted>> {
        self.socket
            .poll_io(cx, Interest::Read, ACCEPT_COST, accept_one)
    }

    /// Waits until the queue has a connection, and does not accept it.
    ///
    /// # Errors
    ///
    /// Returns the errors of `poll(2)`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn pending(&self) -> io::Result<()> {
        self.socket
            .perform(Interest::Read, 1, |io| is_ready(io, Direction::Read))
            .await
    }

    /// The poll function behind [`pending`](Self::pending). It asks the kernel each time, because another task
    /// may have accepted since the last event.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn poll_pending(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket
            .poll_io(cx, Interest::Read, 1, |io| is_ready(io, Direction::Read))
    }

    /// Accepts the next connection without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if the queue is empty, and else the errors of
    /// [`accept`](Self::accept).
    pub fn try_accept(&self) -> io::Result<L::Accepted> {
        self.socket.try_io(Direction::Read, accept_one)
    }
}

/// Keeps the edge: the queue may hold more connections, also after an error such as EMFILE.
fn accept_one<L: Accept>(listener: &L) -> io::Result<(L::Accepted, Edge)> {
    // More connections may wait in the queue, and no event reports them again.
    let accepted = listener.accept_one();
    points::call(Call::Accept, listener, &accepted, |_| 0);
    Ok((accepted?, Edge::Kept))
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
