//! The settings of a client.

use std::future::Future;
use std::io;
use std::path::Path;
#[cfg(feature = "tls-core")]
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::Client;
use super::connect::Dial;
use super::redirect::Redirects;
use crate::limits::Limits;
use crate::transport::io::Io;

/// The settings, as [`ClientBuilder`] has them.
#[derive(Clone, Debug)]
pub(super) struct ClientOptions {
    pub(super) connect_timeout: Duration,
    pub(super) head_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) total_timeout: Option<Duration>,
    pub(super) idle_timeout: Duration,
    pub(super) idle_per_host_max: usize,
    pub(super) body_bytes_max: u64,
    pub(super) limits: Limits,
    pub(super) redirects: Redirects,
    pub(super) route: Dial,
    #[cfg(feature = "tls-core")]
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            total_timeout: None,
            idle_timeout: Duration::from_secs(20),
            idle_per_host_max: 32,
            body_bytes_max: 8 * 1024 * 1024,
            limits: Limits {
                // A stream has no limit. The whole body has `body_bytes_max`.
                body_bytes_max: u64::MAX,
                ..Limits::DEFAULT
            },
            redirects: Redirects::none(),
            route: Dial::ByName,
            #[cfg(feature = "tls-core")]
            tls: None,
        }
    }
}

/// Makes a [`Client`] with other settings than the defaults.
///
/// | setting | default | what it does |
/// |---|---|---|
/// | [`connect_timeout`](Self::connect_timeout) | 10 s | limits name, connection and TLS handshake together |
/// | [`head_timeout`](Self::head_timeout) | 30 s | limits the wait for the head of an answer |
/// | [`body_timeout`](Self::body_timeout) | 30 s | limits the wait for the next bytes of a body |
/// | [`total_timeout`](Self::total_timeout) | none | limits an exchange from its begin to the end of its body |
/// | [`idle_timeout`](Self::idle_timeout) | 20 s | closes unused connections |
/// | [`idle_per_host_max`](Self::idle_per_host_max) | 32 | limits the unused connections to one host |
/// | [`body_bytes_max`](Self::body_bytes_max) | 8 MiB | limits `bytes`, `text` and `json` |
/// | [`limits`](Self::limits) | of [`Limits`] | limits heads, fields, chunk lines and trailers |
/// | [`redirects`](Self::redirects) | none | follows redirects |
/// | [`tls`](Self::tls) | none | the configuration for https |
/// | [`unix`](Self::unix), [`connector`](Self::connector) | by name | the way to the server |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::Limits;
/// use waterwheel::http::client::{Client, Redirects};
///
/// let client = Client::builder()
///     .connect_timeout(Duration::from_secs(3))
///     .head_timeout(Duration::from_secs(60))
///     .body_timeout(Duration::from_secs(10))
///     .total_timeout(Some(Duration::from_secs(300)))
///     .idle_timeout(Duration::from_secs(4)) // the server closes after five
///     .idle_per_host_max(8)
///     .body_bytes_max(64 * 1024 * 1024)
///     .limits(Limits::default().with(|limits| limits.fields_max = 200))
///     .redirects(Redirects::follow(10))
///     .build();
/// # drop(client);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ClientBuilder {
    options: ClientOptions,
}

impl ClientBuilder {
    /// Sets the time for the name, the connection and the TLS handshake together.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.options.connect_timeout = limit;
        self
    }

    /// Sets the time for the head of an answer. It begins again whenever the server accepts bytes of the request, and
    /// after each interim answer. The bytes of a head do not extend it.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.options.head_timeout = limit;
        self
    }

    /// Sets the time for the next bytes of a body. It runs only while the program waits for them.
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.options.body_timeout = limit;
        self
    }

    /// Sets the time for a whole exchange, with redirects, until the end of the body. `None` is no limit.
    pub fn total_timeout(mut self, limit: Option<Duration>) -> Self {
        self.options.total_timeout = limit;
        self
    }

    /// Sets the time after which the client closes a connection that is not used. 0 uses each connection once.
    ///
    /// It should be shorter than the time of the server, because a request that meets the close is lost. nginx waits
    /// 75 s, this crate's server 75 s, a load balancer often 60 s, Node and Apache 5 s. If a server announces its time
    /// (`Keep-Alive: timeout=5`, as Node and Apache do), the client closes one second before it.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.idle_timeout = limit;
        self
    }

    /// Sets how many unused connections to one host stay open. The number of connections in use has no limit.
    pub fn idle_per_host_max(mut self, count: usize) -> Self {
        self.options.idle_per_host_max = count;
        self
    }

    /// Sets the most bytes of a body that is read as a whole.
    pub fn body_bytes_max(mut self, bytes: u64) -> Self {
        self.options.body_bytes_max = bytes;
        self
    }

    /// Sets the limits on answers. The client uses those on field lines, fields, heads, chunk lines, chunk extensions
    /// and trailers. The limit on heads counts those of interim answers, too. It does not use `body_bytes_max`, because a
    /// stream has no limit.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = Limits {
            body_bytes_max: u64::MAX,
            ..limits
        };
        self
    }

    /// Sets the redirects that are followed.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.options.redirects = redirects;
        self
    }

    /// Sets the configuration for https, with the feature `tls`, `tls-aws-lc-rs` or `tls-core`. Without a
    /// configuration, an https URI is an error.
    ///
    /// The client brings no root certificates. Take those of Mozilla (`webpki-roots`), of the system
    /// (`rustls-native-certs`), or the verifier of the system (`rustls-platform-verifier`). If the configuration has
    /// no ALPN protocols, the client offers `http/1.1`.
    ///
    /// If both of the features `tls` and `tls-aws-lc-rs` are on, `rustls` knows no default cryptography, and
    /// `ClientConfig::builder` panics. Then name one with `ClientConfig::builder_with_provider`.
    ///
    /// # Examples
    ///
    /// The public web needs `roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())`. Servers of your own network
    /// need the certificate of your authority:
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use waterwheel::http::client::Client;
    /// use waterwheel::http::tls::rustls::pki_types::{CertificateDer, pem::PemObject};
    /// use waterwheel::http::tls::rustls::{ClientConfig, RootCertStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut roots = RootCertStore::empty();
    /// roots.add(CertificateDer::from_pem_file("authority.pem")?)?;
    /// let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    /// let client = Client::builder().tls(Arc::new(config)).build();
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls-core")]
    #[cfg_attr(
        docsrs,
        doc(cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-core")))
    )]
    pub fn tls(mut self, mut config: Arc<rustls::ClientConfig>) -> Self {
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        self.options.tls = Some(config);
        self
    }

    /// Makes all connections to a Unix socket. The URIs still need a host, which goes into the Host field.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    ///
    /// let docker = Client::builder().unix("/var/run/docker.sock").build();
    /// let request = docker.get("http://docker/version");
    /// # drop(request);
    /// ```
    pub fn unix(mut self, path: impl AsRef<Path>) -> Self {
        self.options.route = Dial::Unix(path.as_ref().to_owned());
        self
    }

    /// Makes each connection by a function of the application, which takes the URI of the request. TLS runs over it
    /// if the scheme is https.
    ///
    /// # Examples
    ///
    /// A client of a server in the same process:
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    /// use waterwheel::http::testing::MemoryStream;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let server = Server::builder().without_listener();
    ///     let client = Client::builder()
    ///         .connector(move |_uri| {
    ///             let (near, far) = MemoryStream::pair();
    ///             let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
    ///             spawn(server.connection(far, None).serve(hello)).detach();
    ///             async { Ok(near) }
    ///         })
    ///         .build();
    ///     assert_eq!(client.get("http://memory/").send().await?.text().await?, "hello");
    ///     Ok::<(), waterwheel::http::client::RequestError>(())
    /// })?;
    /// # Ok::<(), waterwheel::http::client::RequestError>(())
    /// ```
    pub fn connector<T: Io, F>(mut self, connect: impl Fn(&Uri) -> F + 'static) -> Self
    where
        F: Future<Output = io::Result<T>> + 'static,
    {
        self.options.route = Dial::hook(connect);
        self
    }

    /// Makes the client.
    #[must_use]
    pub fn build(self) -> Client {
        Client::with(self.options)
    }
}
