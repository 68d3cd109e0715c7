//! Facts that a transport knows about its connection.

use std::net::SocketAddr;

use http::Extensions;

/// Facts that a transport knows about its connection: the addresses, and the results of a handshake.
///
/// [`Builder::transport`](crate::Builder::transport) passes one to its hook, with the addresses of the
/// socket. The hook adds facts to it. Handlers read them through
/// [`Request::connection`](crate::Request::connection).
///
/// Each fact is a value of its own type, which must be `Clone + Send + Sync + 'static`
/// ([`http::Extensions::insert`]). Put a type that is not `Clone` into an `Arc`.
///
/// [`http::Extensions::insert`]: https://docs.rs/http/1/http/struct.Extensions.html#method.insert
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use waterwheel::http::TransportInfo;
///
/// /// Not `Clone`.
/// struct Certificate(Vec<u8>);
///
/// let mut info = TransportInfo::new();
/// info.extensions_mut().insert(Arc::new(Certificate(vec![0x30])));
/// let found = info.extensions().get::<Arc<Certificate>>();
/// assert_eq!(found.map(|certificate| certificate.0.len()), Some(1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TransportInfo {
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    extensions: Extensions,
}

impl TransportInfo {
    /// Makes one without facts and without addresses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the client's address. By default it is the address of the other end of the socket.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Sets the client's address, such as the one that the PROXY protocol announces.
    ///
    /// [`Request::peer_address`](crate::Request::peer_address), the access log and
    /// [`Refused::peer`](crate::Refused::peer) report this address. The limit
    /// [`connections_per_peer_max`](crate::Limits::connections_per_peer_max) does not use it: the server
    /// counts the address of the socket when it accepts the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::TransportInfo;
    ///
    /// // The hook has read the header of a proxy (PROXY TCP4 192.0.2.7 192.0.2.1 51000 443).
    /// let mut info = TransportInfo::new();
    /// info.set_peer_address(Some("192.0.2.7:51000".parse().unwrap()));
    /// info.set_local_address(Some("192.0.2.1:443".parse().unwrap()));
    /// assert_eq!(info.peer_address().unwrap().port(), 51000);
    /// assert_eq!(info.local_address().unwrap().port(), 443);
    /// ```
    pub fn set_peer_address(&mut self, address: Option<SocketAddr>) {
        self.peer = address;
    }

    /// Returns the address that the client has connected to. By default it is the address of this end of
    /// the socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Sets the address that the client has connected to.
    pub fn set_local_address(&mut self, address: Option<SocketAddr>) {
        self.local = address;
    }

    /// Returns the other facts, by their types, such as a client's certificate.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Returns the other facts, so that a hook can insert more.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}
