//! What a handler may ask about the connection of its request.

use std::fmt;
use std::net::SocketAddr;

use crate::transport::io::Io;

/// A look at the connection of a request: addresses, and what its transport knows of the client.
///
/// Made by [`Request::connection`](crate::Request::connection).
///
/// # Examples
///
/// ```
/// use waterwheel_http::{Request, Responded, Result, StatusCode};
///
/// /// Put there by the hook of `Builder::transport`.
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
    /// Over `io`, whose socket has that peer.
    pub(crate) fn new(io: &'c dyn Io, peer: Option<SocketAddr>) -> Self {
        Self { io, peer }
    }

    /// The client's address, if the transport knows addresses.
    pub fn peer_address(self) -> Option<SocketAddr> {
        match self.io.info() {
            Some(info) => info.peer_address(),
            None => self.peer,
        }
    }

    /// The address that the client has connected to, if the transport knows addresses. Over a plain
    /// socket, each call is a system call (`getsockname(2)`).
    pub fn local_address(self) -> Option<SocketAddr> {
        match self.io.info() {
            Some(info) => info.local_address(),
            None => self.io.local_address(),
        }
    }

    /// Returns a fact that the transport has found out, by its type.
    pub fn get<T: Send + Sync + 'static>(self) -> Option<&'c T> {
        self.io.info()?.extensions().get()
    }
}

impl fmt::Debug for ConnectionInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionInfo")
            .field("peer_address", &self.peer_address())
            .finish_non_exhaustive()
    }
}
