//! Opening a connection: by name, to a Unix socket, or by a function of the application; then TLS.

#[cfg(not(feature = "tls-core"))]
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
#[cfg(feature = "tls-core")]
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use waterwheel_runtime::net::{ConnectOptions, UnixStream};
use waterwheel_runtime::time::timeout;

use super::error::{RequestError, RequestErrorKind};
use super::pool::{Link, Origin};
use super::{ClientOptions, ClientShared};
use crate::transport::io::Io;
use crate::transport::stream::Stream;

type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>>>>;

/// The place to which all connections of a client go.
#[derive(Clone, Default)]
pub(super) enum Dial {
    /// The host and port of each URI.
    #[default]
    ByName,
    Unix(PathBuf),
    Hook(Rc<dyn Fn(&Uri) -> Connecting>),
}

impl Dial {
    pub(super) fn hook<T: Io, F>(connect: impl Fn(&Uri) -> F + 'static) -> Self
    where
        F: Future<Output = io::Result<T>> + 'static,
    {
        Self::Hook(Rc::new(move |uri| {
            let connecting = connect(uri);
            Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn Io>) })
        }))
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByName => f.write_str("ByName"),
            Self::Unix(path) => write!(f, "Unix({})", path.display()),
            Self::Hook(_) => f.write_str("Hook"),
        }
    }
}

/// Opens a connection within `limit`.
pub(super) async fn connect(
    shared: &ClientShared,
    origin: &Origin,
    uri: &Uri,
    limit: Duration,
) -> Result<Link, RequestError> {
    // One limit for all steps: a name server that is slow and a server that is slow cost the same wait.
    let link = timeout(limit, open(&shared.options, origin, uri)).await;
    link.unwrap_or_else(|_| Err(RequestError::new(RequestErrorKind::ConnectTimeout)))
}

async fn open(options: &ClientOptions, origin: &Origin, uri: &Uri) -> Result<Link, RequestError> {
    // Before the connection, so that a dead server does not hide what is missing here.
    let encryption = encryption(options, origin)?;
    let cannot = |error| RequestError::of(RequestErrorKind::Connect, error);
    let (io, peer): (Box<dyn Io>, _) = match &options.route {
        Dial::ByName => {
            let host = origin.authority.host();
            // The brackets of a v6 address belong to the URI (RFC 3986, 3.2.2).
            let host = host.trim_start_matches('[').trim_end_matches(']');
            // Small writes leave at once: a head that waits for the answer to the last one costs 40 ms.
            let connecting = ConnectOptions::new().nodelay(true);
            let stream = connecting.connect((host, origin.port())).await;
            let stream = Stream::Tcp(stream.map_err(cannot)?);
            let peer = stream.peer_address();
            (Box::new(stream), peer)
        }
        Dial::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(cannot)?;
            (Box::new(Stream::Unix(stream)), None)
        }
        Dial::Hook(connect) => (connect(uri).await.map_err(cannot)?, None),
    };
    let io = match encryption {
        Some(encryption) => encrypt(encryption, origin, io).await?,
        None => io,
    };
    Ok(Link {
        io,
        peer,
        is_reused: false,
    })
}

/// The configuration of a connection of TLS.
#[cfg(feature = "tls-core")]
type Encryption = Arc<rustls::ClientConfig>;
/// There is none without the feature.
#[cfg(not(feature = "tls-core"))]
type Encryption = Infallible;

/// Returns the configuration for an origin of https, and `None` for one of http.
#[cfg_attr(
    not(feature = "tls-core"),
    expect(unused_variables, reason = "used with the feature")
)]
fn encryption(
    options: &ClientOptions,
    origin: &Origin,
) -> Result<Option<Encryption>, RequestError> {
    if !origin.is_tls {
        return Ok(None);
    }
    #[cfg(feature = "tls-core")]
    let (config, text) = (options.tls.clone(), "an https URI needs ClientBuilder::tls");
    #[cfg(not(feature = "tls-core"))]
    let (config, text) = (None::<Encryption>, "an https URI needs the feature `tls`");
    match config {
        Some(config) => Ok(Some(config)),
        None => Err(RequestError::with(RequestErrorKind::Request, text)),
    }
}

#[cfg(feature = "tls-core")]
async fn encrypt(
    config: Encryption,
    origin: &Origin,
    io: Box<dyn Io>,
) -> Result<Box<dyn Io>, RequestError> {
    let stream = super::tls::handshake(&config, origin.authority.host(), io).await?;
    Ok(Box::new(stream))
}

#[cfg(not(feature = "tls-core"))]
#[expect(clippy::unused_async, reason = "it waits with the feature")]
async fn encrypt(
    none: Encryption,
    _: &Origin,
    _: Box<dyn Io>,
) -> Result<Box<dyn Io>, RequestError> {
    match none {}
}
