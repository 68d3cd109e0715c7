//! What a transport knows of its connection.

use std::net::SocketAddr;

use http::Extensions;

/// The facts of a connection that its transport knows: addresses, and whatever a handshake has found.
///
/// [`Builder::transport`](crate::Builder::transport) gives one to its hook, with the addresses of the
/// socket. The hook adds to it; handlers read it through
/// [`Request::connection`](crate::Request::connection).
#[derive(Clone, Debug, Default)]
pub struct TransportInfo {
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    extensions: Extensions,
}

impl TransportInfo {
    /// Makes one without any facts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The client's address. At first that of the other end of the socket.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Sets the client's address, such as the PROXY protocol announces it. From then on
    /// [`Request::peer_address`](crate::Request::peer_address) and the log have this one. The limit on
    /// connections of one peer has counted the address of the socket.
    pub fn set_peer_address(&mut self, address: Option<SocketAddr>) {
        self.peer = address;
    }

    /// The address that the client has connected to. At first that of this end of the socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Sets the address that the client has connected to.
    pub fn set_local_address(&mut self, address: Option<SocketAddr>) {
        self.local = address;
    }

    /// Further facts by their types, such as a client's certificate.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Further facts, to add to.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}
