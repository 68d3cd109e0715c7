//! The handshake, and the answer to clients that do not speak TLS.

use std::any::Any;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::time::Duration;

use waterwheel_runtime::time::timeout;

use crate::server::builder::Builder;
use crate::tls::info::TlsInfo;
use crate::tls::reload::TlsReloader;
use crate::tls::stream::TlsStream;
use crate::transport::io::Io;
use crate::transport::stream::Stream;
use crate::transport::transport_info::TransportInfo;

/// How long and how far a refused client is read, so that it receives the reason and not a reset.
const LINGER_DURATION_MAX: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 64 * 1024;

/// The answer to a client that speaks HTTP on the port of HTTPS. nginx sends the same status.
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 58\r\n\
    connection: close\r\n\r\n\
    This port speaks HTTPS. Begin the address with https://.\r\n";

/// Makes TLS connections out of streams. [`Builder::tls`](crate::Builder::tls) has one.
///
/// Use it for an accept loop of your own: behind a hook that reads a PROXY header first, or to serve `h2` beside
/// HTTP/1.1 on one port.
///
/// # Examples
///
/// ```no_run
/// use std::rc::Rc;
/// use waterwheel::http::tls::{Identity, TlsAcceptor, TlsConfig};
/// use waterwheel::http::{Request, Server, StatusCode, Stream};
/// use waterwheel::runtime::net::TcpListener;
/// use waterwheel::runtime::spawn;
///
/// # async fn example() -> std::io::Result<()> {
/// let config = TlsConfig::builder()
///     .identity(Identity::from_pem_files("cert.pem", "key.pem")?)
///     .alpn(["h2", "http/1.1"])
///     .build()?;
/// let acceptor = TlsAcceptor::new(config);
/// let server = Rc::new(Server::builder().without_listener());
/// let listener = TcpListener::bind("0.0.0.0:443")?;
/// loop {
///     let (stream, peer) = listener.accept().await?;
///     let (acceptor, server) = (acceptor.clone(), server.clone());
///     spawn(async move {
///         // A deadline of your own belongs here. `Builder::tls` has one.
///         let Ok(stream) = acceptor.accept(Stream::from(stream)).await else { return };
///         match stream.tls_info().alpn() {
///             Some(b"h2") => { /* hyper serves the stream */ }
///             _ => {
///                 let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
///                 server.connection(stream, Some(peer)).serve(hello).await;
///             }
///         }
///     })
///     .detach();
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TlsAcceptor(TlsReloader);

impl TlsAcceptor {
    /// Takes the settings: a [`TlsConfig`](super::TlsConfig), or a [`TlsReloader`] that can replace it.
    pub fn new(config: impl Into<TlsReloader>) -> Self {
        Self(config.into())
    }

    /// Does the handshake. [`TlsStream::tls_info`] has its results, and so has [`Io::info`] of the stream, beside
    /// the facts of the stream below.
    ///
    /// This has no deadline. [`Builder::tls`](crate::Builder::tls) has that of
    /// [`Limits::handshake_duration_max`](crate::Limits::handshake_duration_max).
    ///
    /// # Errors
    ///
    /// If the handshake fails. The client has been sent the alert that names the reason. If the client speaks HTTP, it
    /// has been sent 400.
    ///
    /// # Cancel safety
    ///
    /// The stream is dropped with the future.
    pub async fn accept<T: Io>(&self, stream: T) -> io::Result<TlsStream<T>> {
        let mut info = stream.info().cloned().unwrap_or_default();
        if info.local_address().is_none() {
            info.set_local_address(stream.local_address());
        }
        // An `Io` does not tell its peer, because `Server::connection` takes that beside it.
        let any: &dyn Any = &stream;
        let socket = any.downcast_ref::<Stream>();
        if info.peer_address().is_none() {
            info.set_peer_address(socket.and_then(Stream::peer_address));
        }
        let mut stream = self.accept_with(stream, &mut info).await?;
        stream.set_info(info);
        Ok(stream)
    }

    /// As [`accept`](Self::accept), for a hook of [`Builder::transport`](crate::Builder::transport): inserts the
    /// [`TlsInfo`] into the facts that the hook has.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use futures_lite::AsyncReadExt;
    /// use waterwheel::http::tls::{TlsAcceptor, TlsConfig};
    /// use waterwheel::http::{Server, Stream, TransportInfo};
    ///
    /// let acceptor = TlsAcceptor::new(TlsConfig::from_pem_files("cert.pem", "key.pem")?);
    /// let server = Server::builder()
    ///     .transport(async move |mut stream: Stream, info: &mut TransportInfo| {
    ///         let mut line = [0; 32]; // a header of a proxy, before the handshake
    ///         stream.read_exact(&mut line).await?;
    ///         acceptor.accept_with(stream, info).await
    ///     })
    ///     .bind("0.0.0.0:443")?;
    /// # drop(server);
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn accept_with<T: Io>(
        &self,
        stream: T,
        info: &mut TransportInfo,
    ) -> io::Result<TlsStream<T>> {
        // One byte decides, before rustls sees any: its alert would be noise to a client of HTTP.
        let mut first = [0];
        if poll_fn(|cx| stream.poll_read(cx, &mut first)).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // A method has capital letters, and a handshake begins with 22 (RFC 8446, 5.1).
        if first[0].is_ascii_uppercase() {
            let mut left = PLAIN_HTTP_ANSWER;
            let sent = async {
                while !left.is_empty() {
                    let count = poll_fn(|cx| stream.poll_write_one(cx, left)).await?;
                    left = left.get(count.max(1)..).unwrap_or_default();
                }
                poll_fn(|cx| stream.poll_end(cx)).await
            };
            linger(&stream, sent).await;
            let text = "the client speaks HTTP, and the port HTTPS";
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        let stream = TlsStream::to_client(stream, &self.0.config().0)?;
        stream.receive(&first)?;
        if let Err(error) = poll_fn(|cx| stream.poll_handshake(cx)).await {
            if error.kind() == ErrorKind::InvalidData {
                let sent = poll_fn(|cx| stream.poll_dismiss(cx));
                linger(stream.get_ref(), sent).await;
            }
            return Err(error);
        }
        info.extensions_mut().insert(stream.tls_info());
        Ok(stream)
    }
}

/// Waits until the last bytes are sent, then reads and discards. A close with unread bytes would reset the
/// connection, and the client would lose those last bytes.
async fn linger(stream: &impl Io, sent: impl Future<Output = io::Result<()>>) {
    let ended = async {
        sent.await?;
        let (mut buffer, mut left) = ([0; 1024], LINGER_BYTES_MAX);
        loop {
            let count = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await?;
            left = left.saturating_sub(count);
            if count == 0 || left == 0 {
                return io::Result::Ok(());
            }
        }
    };
    // Whether it ends well or not, the connection is over.
    drop(timeout(LINGER_DURATION_MAX, ended).await);
}

/// HTTPS.
impl Builder {
    /// Serves HTTPS: puts TLS under each accepted connection. Takes a [`TlsConfig`](crate::tls::TlsConfig), or a
    /// [`TlsReloader`] that can replace it while the server runs.
    ///
    /// This sets the hook of [`transport`](Self::transport), whose duties and counters apply. The handshake has the
    /// limits [`handshake_duration_max`](crate::Limits::handshake_duration_max) and
    /// [`handshakes_max`](crate::Limits::handshakes_max). Handlers find a [`TlsInfo`] by
    /// [`Request::connection`](crate::Request::connection).
    ///
    /// A client that speaks HTTP on this port receives 400. Serve [`redirect_to_https`](crate::tls::redirect_to_https)
    /// on port 80, so that it does not come here.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use waterwheel::http::tls::TlsConfig;
    /// use waterwheel::http::{Request, Server, StatusCode};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let config = TlsConfig::from_pem_files("cert.pem", "key.pem")?;
    /// let server = Server::builder().tls(config).bind("0.0.0.0:443")?;
    /// server.serve(async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await).await
    /// # }
    /// ```
    #[doc(alias = "https")]
    #[doc(alias = "ssl")]
    pub fn tls(self, config: impl Into<TlsReloader>) -> Self {
        let acceptor = TlsAcceptor::new(config);
        self.transport(async move |stream: Stream, info: &mut TransportInfo| {
            let stream = acceptor.accept_with(stream, info).await?;
            let tls = info.extensions().get().and_then(TlsInfo::alpn);
            if let Some(protocol) = tls.filter(|protocol| !protocol.starts_with(b"http/1.")) {
                // The challenge of ACME by ALPN ends here, too: its handshake is all that counts (RFC 8737, 3).
                let error = format!("the client speaks {}", protocol.escape_ascii());
                linger(stream.get_ref(), poll_fn(|cx| stream.poll_end(cx))).await;
                return Err(io::Error::new(ErrorKind::Unsupported, error));
            }
            Ok(stream)
        })
    }
}
