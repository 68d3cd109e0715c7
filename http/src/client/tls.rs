//! The handshake of the client's connections. [`TlsStream`] is the connection afterwards.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error};

use super::error::{RequestError, RequestErrorKind};
use crate::tls::TlsStream;
use crate::transport::io::Io;

/// Does the handshake with the server `host`.
pub(super) async fn handshake(
    config: &Arc<ClientConfig>,
    host: &str,
    io: Box<dyn Io>,
) -> Result<TlsStream<Box<dyn Io>>, RequestError> {
    // The certificate must have the name of the URI, and not that of an address to which the name resolves.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| RequestError::of(RequestErrorKind::Tls, error))?;
    let stream = TlsStream::to_server(io, config, name)
        .map_err(|error| RequestError::of(RequestErrorKind::Tls, error))?;
    let shaken = poll_fn(|cx| {
        let shaken = stream.poll_handshake(cx);
        if let Poll::Ready(Err(_)) = shaken {
            stream.dismiss_without_waiting(cx);
        }
        shaken
    });
    shaken.await.map_err(|error| {
        let remedy = remedy(&error);
        RequestError::of(RequestErrorKind::Tls, error).detailed(remedy)
    })?;
    // A server that chooses another protocol would answer in frames.
    let info = stream.tls_info();
    if info.alpn().is_some_and(|chosen| chosen != b"http/1.1") {
        let text = "the server has chosen another protocol than http/1.1";
        return Err(RequestError::with(RequestErrorKind::Tls, text));
    }
    Ok(stream)
}

/// Returns the remedy of the two faults that certificates of one's own have most often, or an empty text.
fn remedy(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "no root certificate of ClientBuilder::tls has issued the server's"
        }
        // This error has no variant of its own in rustls.
        Some(Error::InvalidCertificate(CertificateError::Other(error)))
            if format!("{error:?}").contains("CaUsedAsEndEntity") =>
        {
            "the server's certificate is one of an authority; make it with basicConstraints=CA:FALSE"
        }
        _ => "",
    }
}
