//! A socket that accepts TCP connections: the part that only TCP has.

use std::io;
use std::net::SocketAddr;

use super::listener::{Accept, Listener, sealed};
use super::tcp_stream::TcpStream;
use crate::sys;

/// A socket that accepts TCP connections.
///
/// See [`TcpStream`] for an example, and [`Listener`] for how to accept.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::net::TcpListener;
///
/// let inherited = std::net::TcpListener::bind("127.0.0.1:0")?; // for example from a supervisor
/// let listener = TcpListener::from_std(inherited)?;
/// println!("listening on {}", listener.local_address()?);
/// let inherited = listener.into_std(); // for a successor
/// # drop(inherited);
/// # drop(TcpListener::bind("127.0.0.1:0")?);
/// # std::io::Result::Ok(())
/// ```
pub type TcpListener = Listener<std::net::TcpListener>;

impl TcpListener {
    /// Makes a listener of one of the standard library, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::from_nonblocking(listener))
    }

    /// Returns the socket of the standard library. It is still in non-blocking mode.
    #[must_use]
    pub fn into_std(self) -> std::net::TcpListener {
        self.into_io()
    }

    /// Returns the address on which it listens. If it was bound to port 0, this is the port that the kernel has
    /// chosen.
    ///
    /// # Errors
    ///
    /// Returns the errors of `getsockname(2)`.
    #[doc(alias = "local_addr")]
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }
}

impl sealed::Sealed for std::net::TcpListener {}

impl Accept for std::net::TcpListener {
    type Accepted = (TcpStream, SocketAddr);

    fn accept_one(&self) -> io::Result<Self::Accepted> {
        let (descriptor, peer) = sys::accept(self)?;
        let peer = peer.and_then(|peer| peer.try_into().ok());
        let peer = peer.ok_or_else(|| {
            io::Error::other("accept returned a peer without an internet address")
        })?;
        Ok((TcpStream::from_nonblocking(descriptor.into()), peer))
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<TcpListener>();
};
