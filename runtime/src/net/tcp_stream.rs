//! A TCP connection: the part that only TCP has.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;

use rustix::net::{RecvFlags, recv};

use super::socket::{Edge, Receive};
use super::stream::{Connected, Stream};

/// A TCP connection.
///
/// See [`Stream`] for the methods and properties of all streams, and [`ConnectOptions`] for the options of a
/// connection.
///
/// [`ConnectOptions`]: super::ConnectOptions
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

    fn receive_uninit<'a>(
        &self,
        buffer: &'a mut [MaybeUninit<u8>],
    ) -> io::Result<(&'a [u8], Edge)> {
        let asked = buffer.len();
        let ((received, _), _) = recv(self, buffer, RecvFlags::empty())?;
        Ok((received, Edge::after(received.len(), asked)))
    }
}

impl Connected for std::net::TcpStream {}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<TcpStream>();
};

#[cfg(test)]
mod tests {
    #[test]
    fn a_stream_is_sixteen_bytes() {
        assert_eq!(size_of::<super::TcpStream>(), 16);
    }
}
