//! UDP: the part of a datagram socket that only UDP has.

use std::future::poll_fn;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use rustix::net::SocketAddrAny;

use super::datagram::{Datagram, DatagramSocket};
use super::destination::Destination;
use super::listener::sealed::Sealed;
use crate::budget;
use crate::nodes;

/// A UDP socket.
///
/// See [`DatagramSocket`] for the methods and properties of all datagram sockets. socket2's `SockRef` sets the
/// options that have no method here.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, net::UdpSocket};
///
/// block_on(async {
///     let server = UdpSocket::bind("127.0.0.1:0")?;
///     let client = UdpSocket::bind("127.0.0.1:0")?;
///     client.connect(server.local_address()?).await?;
///     client.send(b"water").await?;
///     let mut buffer = [0; 1500];
///     let (bytes, from) = server.recv_from(&mut buffer).await?;
///     server.send_to(&buffer[..bytes], from).await?;
///     assert_eq!(client.recv(&mut buffer).await?, 5);
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
///
/// Options, and the socket of the standard library:
///
/// ```
/// use std::net::Ipv4Addr;
/// use waterwheel::runtime::{block_on, net::UdpSocket};
///
/// block_on(async {
///     let socket = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
///     socket.set_broadcast(true)?;
///     socket.join_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::LOCALHOST)?;
///     socket.connect(("localhost", socket.local_address()?.port())).await?;
///     assert_eq!(socket.peer_address()?, socket.local_address()?);
///     assert_eq!(socket.try_send_to(b"myself", socket.local_address()?)?, 6);
///     let socket = socket.into_std();
///     # drop(socket);
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub type UdpSocket = DatagramSocket<net::UdpSocket>;

impl UdpSocket {
    /// Binds the first address that succeeds. Port 0 means any free port. A name is resolved on this thread,
    /// which blocks meanwhile.
    ///
    /// # Errors
    ///
    /// Returns the error of `bind(2)` for the last address.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        // One call more than with the flag for non-blocking, but the same on all systems.
        Self::from_std(net::UdpSocket::bind(address)?)
    }

    /// Makes a socket of one of the standard library, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    pub fn from_std(socket: net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::from_nonblocking(socket))
    }

    /// Returns the socket of the standard library. It is still in non-blocking mode.
    #[must_use]
    pub fn into_std(self) -> net::UdpSocket {
        self.into_io()
    }

    /// Sets the peer to which [`send`](Self::send) sends. From then on, the socket receives only datagrams of
    /// that peer. No datagram is sent. If a name has several addresses, the first one with a route is taken.
    ///
    /// # Errors
    ///
    /// Fails if the name does not resolve. Otherwise returns the error of `connect(2)` for the last address.
    ///
    /// # Cancel safety
    ///
    /// Safe: it sets the peer only when it completes.
    pub async fn connect(&self, to: impl Into<Destination>) -> io::Result<()> {
        let to = to.into();
        // An address needs no wait, so without a cost a loop of connects would keep the thread.
        poll_fn(|cx| budget::poll_spend(cx, 1)).await;
        let addresses = to.addresses().await?;
        // The call only looks for a route, so it does not block.
        self.io().connect(&*addresses)?;
        // A dump shows the peer from now on.
        nodes::registered(self.io());
        Ok(())
    }

    /// Sends a datagram to an address. Returns its length.
    ///
    /// # Errors
    ///
    /// Returns the errors of `sendto(2)`.
    pub async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        // An `impl Into<Destination>` here would allocate for each datagram.
        self.write(|io| io.send_to(bytes, to)).await
    }

    /// Sends a datagram to an address without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and else the errors of
    /// `sendto(2)`.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.try_write(|io| io.send_to(bytes, to))
    }

    /// Returns the address to which it is bound.
    ///
    /// # Errors
    ///
    /// Returns the errors of `getsockname(2)`.
    #[doc(alias = "local_addr")]
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// Returns the address of the connected peer.
    ///
    /// # Errors
    ///
    /// Returns the errors of `getpeername(2)`: the socket is not connected.
    #[doc(alias = "peer_addr")]
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
    }

    /// Allows datagrams to a broadcast address (`SO_BROADCAST`). Off by default.
    ///
    /// # Errors
    ///
    /// Returns the errors of `setsockopt(2)`.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.io().set_broadcast(broadcast)
    }

    /// Joins a multicast group on the interface with this address; the unspecified address means any interface
    /// (`IP_ADD_MEMBERSHIP`, `ip(7)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `setsockopt(2)`.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io().join_multicast_v4(&group, &interface)
    }

    /// Joins a multicast group on the interface with this index; 0 means any interface
    /// (`IPV6_ADD_MEMBERSHIP`, `ipv6(7)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `setsockopt(2)`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use waterwheel::runtime::net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("[::]:5353")?;
    /// socket.join_multicast_v6("ff02::fb".parse().unwrap(), 0)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io().join_multicast_v6(&group, interface)
    }
}

impl Sealed for net::UdpSocket {}

impl Datagram for net::UdpSocket {
    type Address = SocketAddr;

    fn address(from: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
        let from = from.and_then(|from| from.try_into().ok());
        from.ok_or_else(|| io::Error::other("the sender has no internet address"))
    }

    fn send_one(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }
}
