//! The results of a handshake, for handlers.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, HandshakeKind, ProtocolVersion};

/// The results of a TLS handshake.
///
/// Handlers get it by [`Request::connection`](crate::Request::connection). A clone shares the values.
///
/// # Examples
///
/// ```
/// use waterwheel::http::tls::TlsInfo;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn who(request: Request<'_>) -> Result<Responded> {
///     let text = match request.connection().get::<TlsInfo>() {
///         None => "not over TLS".to_owned(),
///         Some(tls) => format!(
///             "{} for {}, a certificate of {} bytes\n",
///             tls.protocol(),                        // "TLSv1.3"
///             tls.server_name().unwrap_or("no name"), // "localhost"
///             tls.client_certificates().first().map_or(0, |leaf| leaf.len()),
///         ),
///     };
///     request.respond(StatusCode::OK, text, ()).await
/// }
/// # drop(waterwheel::http::shared(who));
/// ```
///
/// # Examples
///
/// ```
/// use waterwheel::http::tls::TlsInfo;
///
/// /// A line for a log.
/// fn line(tls: &TlsInfo) -> String {
///     let alpn = tls.alpn().unwrap_or_default().escape_ascii();
///     let kind = if tls.is_resumed() { "resumed" } else { "full" };
///     format!("{} {} {alpn} {kind}", tls.protocol(), tls.cipher_suite())
/// }
/// # drop(line as fn(&TlsInfo) -> String);
/// ```
#[derive(Clone, Debug)]
pub struct TlsInfo(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    protocol: &'static str,
    cipher_suite: &'static str,
    server_name: Option<Box<str>>,
    alpn: Option<Box<[u8]>>,
    is_resumed: bool,
    client_certificates: Vec<CertificateDer<'static>>,
}

impl TlsInfo {
    pub(super) fn new(state: &CommonState, server_name: Option<&str>) -> Self {
        let suite = state.negotiated_cipher_suite();
        let chain = state.peer_certificates().unwrap_or_default();
        Self(Arc::new(Facts {
            protocol: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "unknown",
            },
            cipher_suite: suite
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown"),
            server_name: server_name.map(Box::from),
            alpn: state.alpn_protocol().map(Box::from),
            is_resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            client_certificates: chain.iter().map(|one| one.clone().into_owned()).collect(),
        }))
    }

    /// Returns the version of the protocol: `TLSv1.2` or `TLSv1.3`.
    pub fn protocol(&self) -> &'static str {
        self.0.protocol
    }

    /// Returns the name of the cipher suite in the registry of IANA, such as `TLS13_AES_128_GCM_SHA256`.
    pub fn cipher_suite(&self) -> &'static str {
        self.0.cipher_suite
    }

    /// Returns the name that the client has asked for (SNI, RFC 6066, 3). It has no port, and no client has to send
    /// it. It may differ from the `host` of a request: a handler that trusts the name compares the two, and answers 421
    /// (RFC 9110, 15.5.20) if they differ.
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    /// Returns the protocol that the two ends have agreed on (ALPN, RFC 7301), such as `http/1.1`. Returns `None` if
    /// the client has offered none.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.alpn.as_deref()
    }

    /// Returns true if the client has resumed an earlier session, with a short handshake.
    pub fn is_resumed(&self) -> bool {
        self.0.is_resumed
    }

    /// Returns the client's certificates as DER, its own first. The server has verified them. Empty if the client
    /// has sent none. A resumed session has those of its first handshake.
    ///
    /// This crate does not parse them. A crate such as `x509-parser` reads the names in them.
    pub fn client_certificates(&self) -> &[CertificateDer<'static>] {
        &self.0.client_certificates
    }
}

/// The protocol and the cipher suite, as for a log line.
impl fmt::Display for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol(), self.cipher_suite())
    }
}
