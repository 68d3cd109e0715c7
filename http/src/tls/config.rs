//! The settings of TLS.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ResolvesServerCert};
use rustls::{ServerConfig, version};

use crate::tls::client_auth::ClientAuth;
use crate::tls::error::{TlsConfigError, TlsFault};
use crate::tls::identity::{Identities, Identity};
use crate::tls::provider;

/// The settings of TLS for [`Builder::tls`](crate::Builder::tls). A clone shares them, and its sessions.
///
/// # Defaults
///
/// - TLS 1.3 and 1.2, with the cipher suites of the provider: AES-GCM and ChaCha20-Poly1305, each with forward
///   secrecy. rustls has no older protocol, no compression and no renegotiation.
/// - ALPN: `http/1.1`. A client that offers only other protocols fails its handshake (RFC 7301, 3.2).
/// - No certificates of clients.
/// - Sessions resume by tickets, whose key the server changes every six hours. Each clone of a configuration accepts
///   its tickets, and another configuration does not, also after a [reload](super::TlsReloader). With `tls-core`
///   alone there is no code that encrypts tickets, and the server keeps the last 256 sessions instead.
/// - Early data (0-RTT) is always off, because it can be replayed.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::tls::TlsConfig;
/// use waterwheel::http::Server;
///
/// let config = TlsConfig::from_pem_files("cert.pem", "key.pem")?;
/// let server = Server::builder().tls(config).bind("0.0.0.0:443")?;
/// # drop(server);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct TlsConfig(pub(super) Arc<ServerConfig>);

impl TlsConfig {
    /// Reads a chain of certificates and its key, as [`Identity::from_pem_files`] does, and takes the defaults.
    ///
    /// # Errors
    ///
    /// As [`TlsConfigBuilder::build`], and if a file cannot be read.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        let identity = Identity::from_pem_files(chain, key)?;
        Self::builder().identity(identity).build()
    }

    /// Takes the text of a chain and of a key, and the defaults.
    ///
    /// # Errors
    ///
    /// As [`TlsConfigBuilder::build`].
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::tls::TlsConfig;
    ///
    /// let fault = TlsConfig::from_pem("", "").unwrap_err();
    /// assert_eq!(fault.to_string(), "no certificate in the file: the file is empty");
    /// ```
    pub fn from_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsConfigError> {
        Self::builder()
            .identity(Identity::from_pem(chain, key))
            .build()
    }

    /// Begins with the defaults.
    pub fn builder() -> TlsConfigBuilder {
        TlsConfigBuilder::default()
    }
}

/// A configuration of rustls. Early data is turned off.
impl From<ServerConfig> for TlsConfig {
    fn from(mut config: ServerConfig) -> Self {
        // The server has no way to tell a handler that its request may be a replay (RFC 8470).
        config.max_early_data_size = 0;
        Self(Arc::new(config))
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
    }
}

/// Makes a [`TlsConfig`].
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::tls::{ClientAuth, Identity, TlsConfig};
///
/// let config = TlsConfig::builder()
///     .identity(Identity::from_pem_files("cert.pem", "key.pem")?)
///     .client_auth(ClientAuth::required_from_pem_file("clients-ca.pem")?)
///     .tls13_only(true)
///     .refuse_unknown_names(true)
///     .build()?;
/// # drop(config);
/// # std::io::Result::Ok(())
/// ```
///
/// # Examples
///
/// A certificate that is made at the start, a second protocol, and settings that few need:
///
/// ```
/// use std::sync::Arc;
/// use waterwheel::http::tls::rustls::crypto::ring;
/// use waterwheel::http::tls::{Identity, TlsConfig};
///
/// let made = rcgen::generate_simple_self_signed(["mill.example".to_owned()]).unwrap();
/// let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let config = TlsConfig::builder()
///     .identity(Identity::from_pem(certificate, key))
///     .alpn(["h2", "http/1.1"])
///     .provider(Arc::new(ring::default_provider()))
///     .session_tickets(false)
///     .build()?;
/// # drop(config);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
#[must_use = "build makes the configuration"]
pub struct TlsConfigBuilder {
    identities: Vec<Identity>,
    resolver: Option<Arc<dyn ResolvesServerCert>>,
    client_auth: Option<ClientAuth>,
    alpn: Vec<Vec<u8>>,
    provider: Option<Arc<CryptoProvider>>,
    is_tls13_only: bool,
    refuses_unknown_names: bool,
    has_tickets: bool,
}

impl Default for TlsConfigBuilder {
    fn default() -> Self {
        Self {
            identities: Vec::new(),
            resolver: None,
            client_auth: None,
            alpn: vec![b"http/1.1".to_vec()],
            provider: None,
            is_tls13_only: false,
            refuses_unknown_names: false,
            has_tickets: true,
        }
    }
}

impl TlsConfigBuilder {
    /// Adds a certificate with its key. The first one is the default. Several certificates may have one name, such as
    /// one with an RSA key and one with an ECDSA key: the server sends the first one that the client can verify.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// Sets code of your own that finds the certificate for a client, such as that of an ACME library. It takes the
    /// place of all [identities](Self::identity).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use waterwheel::http::tls::TlsConfig;
    /// use waterwheel::http::tls::rustls::server::{ClientHello, ResolvesServerCert};
    /// use waterwheel::http::tls::rustls::sign::CertifiedKey;
    ///
    /// /// Has no certificate yet, so each handshake fails.
    /// #[derive(Debug)]
    /// struct Soon;
    ///
    /// impl ResolvesServerCert for Soon {
    ///     fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
    ///         None
    ///     }
    /// }
    ///
    /// let config = TlsConfig::builder().resolver(Arc::new(Soon)).build()?;
    /// # drop(config);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn resolver(mut self, resolver: Arc<dyn ResolvesServerCert>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Sets whether clients need a certificate. They need none by default.
    pub fn client_auth(mut self, auth: ClientAuth) -> Self {
        self.client_auth = Some(auth);
        self
    }

    /// Sets the protocols of ALPN, the preferred one first. Only `http/1.1` by default.
    ///
    /// [`Builder::tls`](crate::Builder::tls) closes a connection with another protocol than HTTP/1 after its
    /// handshake. To serve others, such as `h2`, use a [`TlsAcceptor`](super::TlsAcceptor).
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the cryptography. The default is the provider that the process has installed
    /// ([`CryptoProvider::install_default`]), or else that of the feature: `aws-lc-rs` if `tls-aws-lc-rs` is on, and
    /// `ring` if not.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Sets whether TLS 1.2 is refused. Off by default.
    pub fn tls13_only(mut self, only: bool) -> Self {
        self.is_tls13_only = only;
        self
    }

    /// Sets whether the handshake fails if the client asks for a name of no certificate. Off by default: the client
    /// receives the first certificate. A client that asks for no name always receives that one.
    pub fn refuse_unknown_names(mut self, refuse: bool) -> Self {
        self.refuses_unknown_names = refuse;
        self
    }

    /// Sets whether clients may resume sessions. On by default. If it is off, each connection needs a full handshake.
    pub fn session_tickets(mut self, tickets: bool) -> Self {
        self.has_tickets = tickets;
        self
    }

    /// Makes the configuration. An expired certificate is not an error: the server sends it, and clients refuse it.
    ///
    /// # Errors
    ///
    /// If no certificate is set, if a file has no certificate or no key, if a key is encrypted, of an unknown kind or
    /// of another certificate, if a name is not a DNS name, or if there is no provider.
    pub fn build(self) -> Result<TlsConfig, TlsConfigError> {
        let provider = self
            .provider
            .or_else(|| CryptoProvider::get_default().cloned())
            .or_else(provider::default_provider)
            .ok_or_else(|| TlsFault::text("no provider of cryptography is set"))?;
        let versions: &[_] = if self.is_tls13_only {
            &[&version::TLS13]
        } else {
            &[&version::TLS13, &version::TLS12]
        };
        let resolver = match self.resolver {
            Some(resolver) => resolver,
            None => Arc::new(Identities::new(
                &self.identities,
                self.refuses_unknown_names,
                &provider,
            )?),
        };
        let verifier = match &self.client_auth {
            Some(auth) => auth.verifier(&provider)?,
            None => Arc::new(NoClientAuth),
        };
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config
            .with_protocol_versions(versions)
            .map_err(|error| TlsFault::Rustls("the provider does not fit", error))?;
        let mut config = config
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = self.alpn;
        if self.has_tickets {
            let ticketer = provider::ticketer()
                .map_err(|error| TlsFault::Rustls("no key for tickets", error))?;
            if let Some(ticketer) = ticketer {
                config.ticketer = ticketer;
            }
        } else {
            // Else rustls would keep the sessions in memory, and send their numbers as tickets.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(config.into())
    }
}

impl fmt::Debug for TlsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigBuilder")
            .field("identities", &self.identities.len())
            .finish_non_exhaustive()
    }
}
