//! Facts about the connection of a request, for its handler.

use std::fmt;
use std::net::SocketAddr;

use crate::transport::io::Io;

/// A view of the connection of a request: its addresses, and facts that its transport knows.
///
/// Returned by [`Request::connection`](crate::Request::connection).
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// /// Inserted by the hook of `Builder::transport`.
/// #[derive(Clone)]
/// struct ServerName(String);
///
/// async fn handler(request: Request<'_>) -> Result<Responded> {
///     let name = request.connection().get::<ServerName>();
///     let name = name.map_or("none", |name| &name.0);
///     request.respond(StatusCode::OK, name, ()).await
/// }
/// ```
#[derive(Clone, Copy)]
pub struct ConnectionInfo<'c> {
    io: &'c dyn Io,
    peer: Option<SocketAddr>,
}

impl<'c> ConnectionInfo<'c> {
    /// Makes a view of `io`. `peer` is the other end of its socket.
    pub(crate) fn new(io: &'c dyn Io, peer: Option<SocketAddr>) -> Self {
        Self { io, peer }
    }

    /// Returns the client's address, or `None` if the transport has no addresses. A transport may report
    /// another address than that of its socket (see [`TransportInfo::set_peer_address`]).
    ///
    /// [`TransportInfo::set_peer_address`]: crate::TransportInfo::set_peer_address
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn addresses(request: Request<'_>) -> Result<Responded> {
    ///     let connection = request.connection();
    ///     let text = format!("{:?} to {:?}\n", connection.peer_address(), connection.local_address());
    ///     request.respond(StatusCode::OK, text, ()).await
    /// }
    /// # drop(waterwheel::http::shared(addresses));
    /// ```
    pub fn peer_address(self) -> Option<SocketAddr> {
        match self.io.info() {
            Some(info) => info.peer_address(),
            None => self.peer,
        }
    }

    /// Returns the address that the client has connected to, or `None` if the transport has no addresses.
    /// Over a plain socket, each call makes a system call (`getsockname(2)`).
    pub fn local_address(self) -> Option<SocketAddr> {
        match self.io.info() {
            Some(info) => info.local_address(),
            None => self.io.local_address(),
        }
    }

    /// Returns a fact that the transport has found, by its type.
    ///
    /// Returns `None` if the transport has no fact of this type. That includes each plain socket, because
    /// only [`Builder::transport`](crate::Builder::transport) and [`Io::info`] provide
    /// facts.
    pub fn get<T: Send + Sync + 'static>(self) -> Option<&'c T> {
        self.io.info()?.extensions().get()
    }

    /// Returns all facts that the transport has noted.
    #[cfg(feature = "tower")]
    pub(crate) fn extensions(self) -> Option<&'c http::Extensions> {
        Some(self.io.info()?.extensions())
    }
}

impl fmt::Debug for ConnectionInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionInfo")
            .field("peer_address", &self.peer_address())
            .finish_non_exhaustive()
    }
}
