//! The scheme by which a client reaches this server.

use crate::exchange::request::Request;

/// Returns true if the client of a request uses TLS.
#[cfg(feature = "tls-core")]
pub(super) fn is_https(request: &Request<'_>) -> bool {
    request.connection().get::<crate::tls::TlsInfo>().is_some()
}

/// Returns false: without its feature, there is no TLS.
#[cfg(not(feature = "tls-core"))]
pub(super) fn is_https(_: &Request<'_>) -> bool {
    false
}
