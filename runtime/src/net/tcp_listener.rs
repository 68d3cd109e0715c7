//! A socket that accepts TCP connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Type};

use super::socket::{Left, Socket};
use super::tcp_stream::TcpStream;
use crate::source::{Direction, Interest};

/// What an accept costs of a task's budget: 16 of them, then everybody else has a turn.
const ACCEPT_COST: u32 = 4;

/// How to listen: the options that are set before the socket is bound.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::net::ListenOptions;
///
/// let listener = ListenOptions::new().backlog(64).bind("127.0.0.1:0")?;
/// assert_ne!(listener.local_address()?.port(), 0);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct ListenOptions {
    reuse_address: bool,
    reuse_port: bool,
    nodelay: bool,
    backlog: i32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            reuse_address: true,
            reuse_port: false,
            nodelay: true,
            backlog: 4096,
        }
    }
}

impl ListenOptions {
    /// The defaults: address reused, port not shared, no delay, a backlog of 4,096.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a port can be bound again right after its last owner went (`SO_REUSEADDR`).
    #[must_use]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Whether others may bind the same port, to share its connections (`SO_REUSEPORT`).
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether connections send small writes at once (`TCP_NODELAY`). They inherit it, so it
    /// costs nothing per connection.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// How many connections may wait to be accepted; the kernel caps it at
    /// `net.core.somaxconn`.
    #[must_use]
    pub fn backlog(mut self, connections: i32) -> Self {
        self.backlog = connections;
        self
    }

    /// Binds and listens. The first address that can be bound is taken; a name is resolved on
    /// this thread. Port 0 means any free one. A v6 wildcard takes v4 as well where the system
    /// is set so (`net.ipv6.bindv6only`).
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `PermissionDenied`, and whatever else `bind(2)` says of the last address
    /// tried; `InvalidInput` if there is none.
    pub fn bind(&self, address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let mut last = io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name resolves to no address",
        );
        for address in address.to_socket_addrs()? {
            match self.listen(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = naming(address, &error),
            }
        }
        Err(last)
    }

    fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = socket2::Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        socket.set_reuse_address(self.reuse_address)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.set_tcp_nodelay(self.nodelay)?;
        socket.bind(&address.into())?;
        socket.listen(self.backlog)?;
        Ok(TcpListener {
            socket: Socket::new(socket.into()),
        })
    }
}

/// The same error, saying where.
fn naming(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

/// A socket that accepts TCP connections.
///
/// See [`TcpStream`] for an example, and for what holds of all sockets.
pub struct TcpListener {
    socket: Socket<std::net::TcpListener>,
}

impl TcpListener {
    /// Binds and listens with the defaults of [`ListenOptions`].
    ///
    /// # Errors
    ///
    /// As [`ListenOptions::bind`].
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        ListenOptions::new().bind(address)
    }

    /// Takes over a listener from the standard library, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` says.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            socket: Socket::new(listener),
        })
    }

    /// Hands the listener to the standard library; it is still non-blocking.
    #[must_use]
    pub fn into_std(self) -> std::net::TcpListener {
        self.socket.into_io()
    }

    /// Where it listens; the answer when port 0 was asked for.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    #[doc(alias = "local_addr")]
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }

    /// Takes the next connection, and says from where it comes.
    ///
    /// Any number of tasks may wait at once; each connection goes to one of them. After an error
    /// it can be tried again at once: a queue that is not empty is not forgotten.
    ///
    /// # Errors
    ///
    /// What `accept4(2)` says: of this connection (`ECONNABORTED`), or of this process
    /// (`EMFILE`).
    ///
    /// # Panics
    ///
    /// Outside a runtime, and under another runtime than the first.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection is taken only when this completes.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// The poll behind [`accept`](Self::accept).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.socket
            .poll_io(cx, Interest::AnyReader, ACCEPT_COST, |io| {
                Ok((accept(io)?, Left::Perhaps))
            })
    }

    /// Waits until a connection is there to be accepted, without accepting it.
    ///
    /// # Errors
    ///
    /// What `poll(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn pending(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_pending(cx)).await
    }

    /// The poll behind [`pending`](Self::pending). It asks the kernel each time: what the reactor
    /// remembers may be out of date once somebody else has accepted.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_pending(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_io(cx, Interest::AnyReader, 1, |io| {
            let mut wanted = [PollFd::new(io, PollFlags::IN)];
            match poll(&mut wanted, Some(&Timespec::default()))? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(((), Left::Perhaps)),
            }
        })
    }

    /// Takes the next connection if one waits.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if none does; else as [`accept`](Self::accept).
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket
            .try_io(Direction::Read, |io| Ok((accept(io)?, Left::Perhaps)))
    }
}

/// One call: the new descriptor is non-blocking and close-on-exec from the start.
fn accept(listener: &std::net::TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (descriptor, peer) = acceptfrom_with(listener, flags)?;
    let peer = peer.and_then(|peer| peer.try_into().ok());
    let peer =
        peer.ok_or_else(|| io::Error::other("accept gave a peer that has no internet address"))?;
    Ok((TcpStream::from_nonblocking(descriptor.into()), peer))
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.io().fmt(f)
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<TcpListener>();
};
