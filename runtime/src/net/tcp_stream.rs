//! A TCP connection: the part that only TCP has.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, Type};

use super::socket::{Edge, Receive};
use super::stream::{Connected, Stream};
use crate::budget;

/// A TCP connection.
///
/// See [`Stream`] for the methods and properties of all streams.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::net::{TcpListener, TcpStream};
/// use waterwheel::runtime::{block_on, join};
///
/// block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let connect = TcpStream::connect(listener.local_address()?);
///     let (accepted, connected) = join(listener.accept(), connect).await;
///     let (mut server, mut client) = (accepted?.0, connected?);
///     client.write_all(b"water").await?;
///     let mut received = [0; 5];
///     server.read_exact(&mut received).await?;
///     assert_eq!(received, *b"water");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub type TcpStream = Stream<std::net::TcpStream>;

impl TcpStream {
    /// Opens a connection to an address. Use [`lookup_host`](super::lookup_host) for a name.
    ///
    /// # Errors
    ///
    /// Returns the errors of `connect(2)`: the peer refuses, it is unreachable, or no descriptor is left.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        poll_fn(|cx| budget::poll_spend(cx, 1)).await;
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        // A non-blocking `connect` usually returns EINPROGRESS. On the own machine it may succeed at once.
        match socket.connect(&address.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        // The socket is writable when the attempt has ended, and `SO_ERROR` has its result (`connect(2)`).
        let stream = Self::from_nonblocking(socket.into());
        stream.connected().await?;
        match stream.io().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Makes a stream of one of the standard library, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::TcpStream;
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let connected = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let stream = TcpStream::from_std(connected)?;
    /// assert_eq!(stream.peer_address()?, listener.local_addr()?);
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::from_nonblocking(stream))
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    ///
    /// Returns the errors of `getpeername(2)`: the connection is gone.
    #[doc(alias = "peer_addr")]
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    ///
    /// Returns the errors of `getsockname(2)`.
    #[doc(alias = "local_addr")]
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// Returns true if small writes are sent at once (`TCP_NODELAY`, `tcp(7)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io().nodelay()
    }

    /// Makes the kernel send small writes at once, or hold them back for more bytes (`TCP_NODELAY`, `tcp(7)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io().set_nodelay(nodelay)
    }
}

impl Receive for std::net::TcpStream {
    /// Calls `recv(2)` (LOG R7). A short read has emptied the kernel's buffer, except if it has ended at an
    /// urgent byte. That byte has an event of its own.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Edge)> {
        let asked = buffer.len();
        let (moved, _) = recv(self, buffer, RecvFlags::empty())?;
        Ok((moved, Edge::after(moved, asked)))
    }
}

impl Connected for std::net::TcpStream {}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<TcpStream>();
};

#[cfg(test)]
mod tests {
    #[test]
    fn a_stream_is_sixteen_bytes() {
        assert_eq!(size_of::<super::TcpStream>(), 16);
    }
}
