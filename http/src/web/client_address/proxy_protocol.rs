//! The PROXY protocol before the connections of a server.
//!
//! # How it works
//!
//! The header comes before all other bytes, also before a TLS handshake. So it is read as the first part of a
//! connection's handshake, with the deadline and the limit of that. The bytes are looked at in the kernel's
//! buffer, and only those of the header are taken out. The stream behind it is then as that of a client.
//!
//! # Invariants
//!
//! - Never: a byte behind the header is taken.
//! - Never: a header from a peer outside the networks is believed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use waterwheel_runtime::time::sleep;

use super::header::{FirstBytes, ProxyHeader, parse};
use super::networks::Networks;
use crate::server::builder::Builder;
use crate::shared::handshakes::Preamble;
use crate::transport::stream::Stream;
use crate::transport::transport_info::TransportInfo;

/// The peers that send a header of the PROXY protocol (version 1 or 2) before their connections.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::web::client_address::{Networks, ProxyProtocol};
/// use waterwheel::http::{Request, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let proxies: Networks = "10.0.0.0/8".parse()?;
/// let show = async |request: Request<'_>| {
///     let client = format!("{:?}", request.peer_address()); // the proxy's client
///     request.respond(StatusCode::OK, client, ()).await
/// };
/// block_on(async {
///     let builder = Server::builder().proxy_protocol(ProxyProtocol::required_from(proxies));
///     builder.bind("0.0.0.0:8080")?.serve(show).await
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProxyProtocol {
    /// `None` for all peers.
    networks: Option<Networks>,
    is_required: bool,
    /// `None` for all listeners.
    port: Option<u16>,
}

impl ProxyProtocol {
    /// Expects a header on each connection. Use this only if no client can reach the listener directly: any peer can
    /// then claim any address.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    /// use waterwheel::http::web::client_address::{Networks, ProxyProtocol};
    ///
    /// let settings = ProxyProtocol::required();
    /// let server = Server::builder().proxy_protocol(settings).bind("127.0.0.1:0")?;
    /// # drop((server, Networks::loopback()));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn required() -> Self {
        Self {
            networks: None,
            is_required: true,
            port: None,
        }
    }

    /// Expects a header on each connection from `proxies`, and closes each connection from another network.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    /// use waterwheel::http::web::client_address::{Networks, ProxyProtocol};
    ///
    /// let settings = ProxyProtocol::required_from(Networks::loopback());
    /// let server = Server::builder().proxy_protocol(settings).bind("127.0.0.1:0")?;
    /// # drop((server, Networks::loopback()));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn required_from(proxies: Networks) -> Self {
        Self {
            networks: Some(proxies),
            ..Self::required()
        }
    }

    /// Takes a header from `proxies` if one comes. The bytes of all other peers are HTTP from the start, so a header
    /// from them is a malformed request.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    /// use waterwheel::http::web::client_address::{Networks, ProxyProtocol};
    ///
    /// let settings = ProxyProtocol::optional_from(Networks::loopback());
    /// let server = Server::builder().proxy_protocol(settings).bind("127.0.0.1:0")?;
    /// # drop((server, Networks::loopback()));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn optional_from(proxies: Networks) -> Self {
        Self {
            is_required: false,
            ..Self::required_from(proxies)
        }
    }

    /// Reads headers only on connections to this port, if the server has several listeners.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    /// use waterwheel::http::web::client_address::{Networks, ProxyProtocol};
    ///
    /// let settings = ProxyProtocol::required().on_port(8443);
    /// let server = Server::builder().proxy_protocol(settings).bind("127.0.0.1:0")?;
    /// # drop((server, Networks::loopback()));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }
}

impl Builder {
    /// Makes the server read a header of the PROXY protocol before each connection. The header's address is then that
    /// of [`Request::peer_address`](crate::Request::peer_address) and of the access log, and
    /// [`ConnectionInfo::get`](crate::ConnectionInfo::get) finds the [`ProxyHeader`].
    ///
    /// The header comes before a TLS handshake, and counts as a part of it:
    /// [`Limits::handshake_duration_max`](crate::Limits::handshake_duration_max) is its deadline. A peer with a missing
    /// or malformed header is closed without an answer.
    ///
    /// [`Limits::connections_per_peer_max`](crate::Limits::connections_per_peer_max) counts by the address of the proxy.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    /// use waterwheel::http::web::client_address::{Networks, ProxyProtocol};
    ///
    /// let proxy = ProxyProtocol::required_from(Networks::loopback());
    /// let server = Server::builder().proxy_protocol(proxy).bind("127.0.0.1:0")?;
    /// # drop(server);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn proxy_protocol(mut self, proxy_protocol: ProxyProtocol) -> Self {
        self.settings.preamble = Some(Preamble::new(
            async move |stream: &Stream, info: &mut TransportInfo| {
                read_header(&proxy_protocol, stream, info).await
            },
        ));
        self
    }
}

/// Reads the header of one connection, and notes its facts.
async fn read_header(
    settings: &ProxyProtocol,
    stream: &Stream,
    info: &mut TransportInfo,
) -> io::Result<()> {
    let is_here = |port| {
        info.local_address()
            .is_none_or(|local| local.port() == port)
    };
    if !settings.port.is_none_or(is_here) {
        return Ok(());
    }
    // A peer of a Unix socket has no address. The permissions of the socket's path decide who it is.
    let is_known = |peer: SocketAddr| match &settings.networks {
        Some(networks) => networks.contain(peer.ip()),
        None => true,
    };
    if !info.peer_address().is_none_or(is_known) {
        return if settings.is_required {
            Err(invalid("a peer outside the networks of the proxies"))
        } else {
            Ok(())
        };
    }
    let Some(header) = take_header(stream).await? else {
        return if settings.is_required {
            Err(invalid("no header of the PROXY protocol"))
        } else {
            Ok(())
        };
    };
    if let Some(source) = header.source() {
        info.set_peer_address(Some(source));
        info.set_local_address(header.destination());
    }
    info.extensions_mut().insert(header);
    Ok(())
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// So long the first bytes may be ambiguous before they are looked at again.
const AMBIGUOUS: Duration = Duration::from_millis(5);

/// Takes the header out of the stream. Returns `None` if the first bytes are not those of a header.
async fn take_header(stream: &Stream) -> io::Result<Option<ProxyHeader>> {
    let mut bytes = Vec::new();
    loop {
        stream.readable().await?;
        let taken = bytes.len();
        bytes.resize(taken + 1024, 0);
        let seen = match stream.try_peek(&mut bytes[taken..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        bytes.truncate(taken + seen);
        let (of_header, header) = match parse(&bytes) {
            FirstBytes::Incomplete(of_header) => (of_header, None),
            FirstBytes::Complete(header, length) => (length, Some(header)),
            FirstBytes::Absent => return Ok(None),
            FirstBytes::Malformed(text) => return Err(invalid(text)),
        };
        bytes.truncate(of_header.max(taken));
        // These bytes are in the kernel's buffer, so the read returns all of them.
        let read = &mut bytes[taken..];
        if !read.is_empty() && stream.try_read(read)? != read.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if header.is_some() {
            return Ok(header);
        }
        // Bytes that stay in the buffer cause no event.
        if of_header == 0 && seen > 0 {
            sleep(AMBIGUOUS).await;
        }
    }
}
