//! A TCP connection.

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
/// See [`Stream`] for what holds of all streams.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel_runtime::net::{TcpListener, TcpStream};
/// use waterwheel_runtime::{block_on, join};
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
    /// The errors of `connect(2)`: refused, unreachable, no descriptor left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the connection attempt.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        poll_fn(|cx| budget::poll_spend(cx, 1)).await;
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        match socket.connect(&address.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        let stream = Self::from_nonblocking(socket.into());
        stream.connected().await?;
        match stream.io().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Takes over a connection from the standard library, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// The errors of `fcntl(2)`.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::from_nonblocking(stream))
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    ///
    /// The errors of `getpeername(2)`: not connected any more.
    #[doc(alias = "peer_addr")]
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    ///
    /// The errors of `getsockname(2)`.
    #[doc(alias = "local_addr")]
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// Returns true if small writes are sent at once (`TCP_NODELAY`, `tcp(7)`).
    ///
    /// # Errors
    ///
    /// The errors of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io().nodelay()
    }

    /// Sends small writes at once, or waits for more to send with them.
    ///
    /// # Errors
    ///
    /// The errors of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io().set_nodelay(nodelay)
    }
}

impl Receive for std::net::TcpStream {
    /// Calls `recv(2)`. A short read has emptied the buffer, unless it ended at an urgent byte, for which
    /// there is an event of its own.
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
