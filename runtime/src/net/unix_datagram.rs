//! Unix datagrams: the part of a datagram socket that only Unix sockets have.
//!
//! # How it works
//!
//! The kernel reports room in the queue of a *connected* peer. It reports no room in the queue of any other
//! peer. So a send to an address tries again after 1 ms, 2 ms and so on, up to 64 ms.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{self as std_unix, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustix::net::SocketAddrAny;
use socket2::{Domain, SockAddr, SockRef, Type};

use super::datagram::{Datagram, DatagramSocket};
use super::listener::sealed::Sealed;
use super::socket_file::SocketFile;
use crate::budget;
use crate::sys;
use crate::time::sleep;

/// A Unix datagram socket. Its drop removes its file.
///
/// See [`DatagramSocket`] for the methods and properties of all datagram sockets. No datagram is lost or
/// reordered: if the queue of the peer is full, the sender waits (`unix(7)`).
///
/// A sender without a path has an address without a name. So has one whose path has 108 bytes, the most that the kernel
/// accepts, because a [`SocketAddr`] cannot be made of it. Its datagrams arrive like others.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, net::UnixDatagram};
///
/// block_on(async {
///     let (ours, theirs) = UnixDatagram::pair()?;
///     ours.send(b"water").await?;
///     let mut buffer = [0; 1500];
///     assert_eq!(theirs.recv(&mut buffer).await?, 5);
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
///
/// Addresses:
///
/// ```
/// use waterwheel::runtime::{block_on, net::UnixDatagram};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-datagram-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// block_on(async {
///     let server = UnixDatagram::bind(folder.join("server"))?;
///     let client = UnixDatagram::bind(folder.join("client"))?;
///     client.send_to(b"question", server.path().unwrap()).await?;
///     let mut buffer = [0; 64];
///     let (_, from) = server.recv_from(&mut buffer).await?;
///     server.send_to_address(b"answer", &from).await?;
///     assert_eq!(client.recv(&mut buffer).await?, 6);
///
///     let nameless = UnixDatagram::unbound()?;
///     nameless.connect(folder.join("server"))?;
///     nameless.send(b"no answer, please").await?;
///
///     let name = format!("waterwheel-{}", std::process::id());
///     let abstract_name = UnixDatagram::bind_abstract(&name)?;
///     nameless.connect_abstract(&name)?;
///     # drop(abstract_name);
///
///     let std = std::os::unix::net::UnixDatagram::unbound()?;
///     let adopted = UnixDatagram::from_std(std)?;
///     # drop(adopted);
///     std::io::Result::Ok(())
/// })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub type UnixDatagram = DatagramSocket<BoundDatagram>;

/// The type parameter of a [`UnixDatagram`]: the socket and its file. It has no methods of its own.
#[doc(hidden)]
#[derive(Debug)]
pub struct BoundDatagram {
    socket: std_unix::UnixDatagram,
    /// `None` without a path, and for a socket of the standard library.
    file: Option<SocketFile>,
}

/// The shortest and the longest pause between two attempts to send to a full queue.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

impl UnixDatagram {
    /// Binds a path. Replaces a socket file at which no process answers.
    ///
    /// # Errors
    ///
    /// Returns `AddrInUse` if a process answers at the path, and `AlreadyExists` if the path names a file that
    /// is not a socket. Returns all other errors of `bind(2)`. A path has at most 107 bytes.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let (socket, file) = SocketFile::make(path.as_ref(), Type::DGRAM, bind_to)?;
        Ok(Self::of(socket, Some(file)))
    }

    /// Binds an abstract name (`unix(7)`). Linux only.
    ///
    /// # Errors
    ///
    /// Returns the errors of `bind(2)`, for example `AddrInUse`.
    pub fn bind_abstract(name: impl AsRef<[u8]>) -> io::Result<Self> {
        Ok(Self::of(
            bind_to(&sys::abstract_address(name.as_ref())?)?,
            None,
        ))
    }

    /// Makes a socket without an address. It can send, and its peers cannot answer.
    ///
    /// # Errors
    ///
    /// Returns the errors of `socket(2)`.
    pub fn unbound() -> io::Result<Self> {
        let socket = sys::open(Domain::UNIX, Type::DGRAM, None)?;
        Ok(Self::of(socket.into(), None))
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Returns the errors of `socketpair(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (ours, theirs) = std_unix::UnixDatagram::pair()?;
        Ok((Self::from_std(ours)?, Self::from_std(theirs)?))
    }

    /// Makes a socket of one of the standard library, and sets it to non-blocking mode. Its drop does not
    /// remove the file.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    pub fn from_std(socket: std_unix::UnixDatagram) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::of(socket, None))
    }

    fn of(socket: std_unix::UnixDatagram, file: Option<SocketFile>) -> Self {
        Self::from_nonblocking(BoundDatagram { socket, file })
    }

    /// Returns the absolute path of the file that it has made. Returns `None` if it has made no file.
    pub fn path(&self) -> Option<&Path> {
        self.io().file.as_ref().map(SocketFile::path)
    }

    /// Sets the peer to which [`send`](Self::send) sends. From then on, the socket receives only datagrams of
    /// that peer.
    ///
    /// # Errors
    ///
    /// Returns the errors of `connect(2)`: no such path, no socket, no permission.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.io().socket.connect(path)
    }

    /// Sets the peer by its abstract name; see [`connect`](Self::connect). Linux only.
    ///
    /// # Errors
    ///
    /// Returns the errors of `connect(2)`.
    pub fn connect_abstract(&self, name: impl AsRef<[u8]>) -> io::Result<()> {
        SockRef::from(&self.io().socket).connect(&sys::abstract_address(name.as_ref())?)
    }

    /// Sends a datagram to the socket at a path. Returns its length. Waits while the queue of that socket is
    /// full.
    ///
    /// # Errors
    ///
    /// Returns the errors of `sendto(2)`.
    pub async fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_address(bytes, &SocketAddr::from_pathname(path)?)
            .await
    }

    /// Sends a datagram to the sender of another one, as [`recv_from`](Self::recv_from) has returned it.
    ///
    /// # Errors
    ///
    /// Returns the errors of `sendto(2)`, and `InvalidInput` if the sender has no address.
    pub async fn send_to_address(&self, bytes: &[u8], to: &SocketAddr) -> io::Result<usize> {
        // The kernel would report that the socket is not connected, which is no help.
        if to.is_unnamed() {
            let text = "a socket without a name cannot be sent to";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut pause = PAUSE_MIN;
        loop {
            // The call usually succeeds at once, as a write of a socket does, and has the same cost.
            poll_fn(|cx| budget::poll_spend(cx, 1)).await;
            // Not through the readiness of this socket: the full queue is that of the peer.
            match self.io().socket.send_to_addr(bytes, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
                sent => return sent,
            }
            pause = PAUSE_MAX.min(pause * 2);
        }
    }
}

/// Binds an address.
fn bind_to(address: &SockAddr) -> io::Result<std_unix::UnixDatagram> {
    let socket = sys::open(Domain::UNIX, Type::DGRAM, None)?;
    socket.bind(address)?;
    Ok(socket.into())
}

impl AsFd for BoundDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Sealed for BoundDatagram {}

impl Datagram for BoundDatagram {
    type Address = SocketAddr;

    fn address(from: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
        sys::unix_address(from)
    }

    fn send_one(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(bytes)
    }
}
