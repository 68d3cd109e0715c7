//! A datagram socket of any family.
//!
//! # How it works
//!
//! [`Datagram`] has the calls that the families differ in. A call moves one whole datagram. So a short read does
//! not prove that the queue is empty, and only `WouldBlock` clears readiness.
//!
//! An error of a datagram socket may be the late answer to an earlier datagram (ECONNREFUSED, `udp(7)`). The
//! kernel reports it once, and the socket works on.
//!
//! # Invariants
//!
//! - Always: one call, one datagram. An empty datagram is a datagram, and not an end.
//! - Never: a datagram that is cut without an error.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketAddrAny};

use super::listener::sealed::Sealed;
use super::socket::{Edge, Socket};
use crate::source::Direction;
use crate::sys;

/// A kind of datagram socket. Only types of this crate implement it.
#[doc(hidden)]
pub trait Datagram: AsFd + Sealed {
    /// The address of a peer.
    type Address;

    /// Converts the address of the sender of a datagram.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has returned an address of another family.
    #[doc(hidden)]
    fn address(from: Option<SocketAddrAny>) -> io::Result<Self::Address>;

    /// Sends a datagram to the connected peer, without waiting.
    ///
    /// # Errors
    ///
    /// Returns the errors of `send(2)`.
    #[doc(hidden)]
    fn send_one(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// A datagram socket: a [`UdpSocket`](super::UdpSocket) or a [`UnixDatagram`](super::UnixDatagram).
///
/// Each call sends or receives one whole datagram. Any number of tasks may send and receive at once, and each
/// datagram goes to one of them. The socket is `Send` and `Sync`, and registers with the runtime in which it
/// first has to wait.
///
/// If a datagram is longer than the buffer, the call returns an error ("message too long", EMSGSIZE) and
/// discards the datagram. The buffer then has its beginning. A UDP datagram has at most 65,507 bytes.
///
/// An error may belong to a datagram that was sent earlier: the peer's machine has answered that no process
/// receives there (`ConnectionRefused`). The socket can be used after any error.
///
/// # Panics
///
/// A call that has to wait panics outside a runtime, and inside another runtime than the first one.
///
/// # Cancel safety
///
/// Each operation moves a datagram only when it completes. So no datagram is lost if a future is dropped.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use waterwheel::runtime::{block_on, net::UnixDatagram};
///
/// block_on(async {
///     let (ours, theirs) = UnixDatagram::pair()?;
///     let mut buffer = [0; 8];
///     ours.writable().await?;
///     ours.send(b"one").await?;
///     theirs.readable().await?;
///     assert_eq!(theirs.peek_from(&mut buffer).await?.0, 3); // it stays in the queue
///     assert_eq!(theirs.recv(&mut buffer).await?, 3);
///
///     ours.try_send(b"longer than eight")?;
///     assert!(theirs.recv_from(&mut buffer).await.is_err());
///     assert!(theirs.try_recv_from(&mut buffer).is_err()); // the queue is empty
///
///     poll_fn(|cx| ours.poll_send(cx, b"last")).await?;
///     let (bytes, _sender) = poll_fn(|cx| theirs.poll_recv_from(cx, &mut buffer)).await?;
///     assert_eq!(&buffer[..bytes], b"last");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub struct DatagramSocket<S> {
    socket: Socket<S>,
}

impl<S: Datagram> DatagramSocket<S> {
    /// Makes a datagram socket of a non-blocking one.
    pub(super) fn from_nonblocking(io: S) -> Self {
        Self {
            socket: Socket::new(io),
        }
    }

    pub(super) fn io(&self) -> &S {
        self.socket.io()
    }

    pub(super) fn into_io(self) -> S {
        self.socket.into_io()
    }

    /// Receives a datagram. Returns its length, which may be zero.
    ///
    /// # Errors
    ///
    /// Returns "message too long" (EMSGSIZE) if the datagram is longer than the buffer. Otherwise returns the
    /// errors of `recv(2)`.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .move_bytes(Direction::Read, |io| {
                let (bytes, is_cut) = sys::receive(io, buffer)?;
                // More datagrams may wait in the queue, and no event reports them again.
                Ok((whole(bytes, is_cut)?, Edge::Kept))
            })
            .await
    }

    /// Receives a datagram. Returns its length, which may be zero, and the address of the sender.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv`](Self::recv).
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        // The address leaves the closure beside the count, which the budget needs.
        let mut from = None;
        let bytes = self
            .socket
            .move_bytes(Direction::Read, |io| {
                let (bytes, address) = receive_from(io, buffer)?;
                from = address;
                Ok((bytes, Edge::Kept))
            })
            .await?;
        Ok((bytes, S::address(from)?))
    }

    /// The poll function behind [`recv_from`](Self::recv_from).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        let mut from = None;
        let received = self.socket.poll_move(cx, Direction::Read, |io| {
            let (bytes, address) = receive_from(io, buffer)?;
            from = address;
            Ok((bytes, Edge::Kept))
        });
        received.map(|bytes| Ok((bytes?, S::address(from)?)))
    }

    /// Receives a datagram without waiting; see [`recv_from`](Self::recv_from).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no datagram, and else the same errors.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let (bytes, from) = self.socket.try_io(Direction::Read, |io| {
            Ok((receive_from(io, buffer)?, Edge::Kept))
        })?;
        Ok((bytes, S::address(from)?))
    }

    /// Copies the next datagram into the buffer and leaves it in the queue. Returns the number of copied bytes
    /// and the sender. A longer datagram is cut, and this is not an error here.
    ///
    /// # Errors
    ///
    /// Returns the errors of `recv(2)`.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let mut from = None;
        let bytes = self
            .socket
            .move_bytes(Direction::Read, |io| {
                // A caller that peeks often wants only the beginning.
                let (bytes, address, _) = sys::receive_from(io, buffer, RecvFlags::PEEK)?;
                from = address;
                Ok((bytes, Edge::Kept))
            })
            .await?;
        Ok((bytes, S::address(from)?))
    }

    /// Sends a datagram to the connected peer. Returns its length.
    ///
    /// # Errors
    ///
    /// Returns the errors of `send(2)`: the socket is not connected, or the datagram is too long.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // A datagram is sent whole or not at all, so a success does not show that the buffer is full.
        self.socket
            .move_bytes(Direction::Write, |io| Ok((io.send_one(bytes)?, Edge::Kept)))
            .await
    }

    /// The poll function behind [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_move(cx, Direction::Write, |io| {
            Ok((io.send_one(bytes)?, Edge::Kept))
        })
    }

    /// Sends a datagram to the connected peer without waiting; see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and else the same errors.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(|io| io.send_one(bytes))
    }

    /// Waits until a datagram or an error has come. Another task may receive it first.
    ///
    /// # Errors
    ///
    /// Fails if the socket cannot be registered (`epoll_ctl(2)`).
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until there is room for a datagram.
    ///
    /// # Errors
    ///
    /// Fails if the socket cannot be registered (`epoll_ctl(2)`).
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// Calls `send` when there is room.
    pub(super) async fn write(
        &self,
        mut send: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.socket
            .move_bytes(Direction::Write, |io| Ok((send(io)?, Edge::Kept)))
            .await
    }

    /// Calls `send` now.
    pub(super) fn try_write(
        &self,
        mut send: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.socket
            .try_io(Direction::Write, |io| Ok((send(io)?, Edge::Kept)))
    }
}

/// Returns an error if a datagram was cut. A caller that takes the beginning for the whole would go on with wrong
/// data.
fn whole(bytes: usize, is_cut: bool) -> io::Result<usize> {
    if is_cut {
        return Err(Errno::MSGSIZE.into());
    }
    Ok(bytes)
}

/// Receives a datagram with the address of its sender, and refuses one that is longer than the buffer.
fn receive_from(io: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddrAny>)> {
    let (bytes, from, is_cut) = sys::receive_from(io, buffer, RecvFlags::empty())?;
    Ok((whole(bytes, is_cut)?, from))
}

impl<S: AsFd> AsFd for DatagramSocket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for DatagramSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.io().fmt(f)
    }
}
