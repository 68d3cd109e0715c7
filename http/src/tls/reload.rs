//! A configuration that can be replaced while the server runs.

use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;

use crate::tls::config::TlsConfig;
use crate::tls::error::TlsConfigError;

/// A handle that replaces the configuration of TLS without a restart.
///
/// New handshakes use the new configuration. Connections that are open, and handshakes that have begun, keep the old
/// one. So a reload loses no request. A client shakes hands in full once after a reload, because the new
/// configuration does not know the old tickets. A clone controls the same configuration, on any thread.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::tls::{TlsConfig, TlsReloader};
/// use waterwheel::http::{Request, Server, StatusCode};
/// use waterwheel::runtime::signal::{self, Signal};
/// use waterwheel::runtime::spawn;
///
/// # async fn example() -> std::io::Result<()> {
/// let tls = TlsReloader::new(|| TlsConfig::from_pem_files("cert.pem", "key.pem"))?;
/// let server = Server::builder().tls(tls.clone()).bind("0.0.0.0:443")?;
///
/// // As nginx does: `kill -HUP` after a new certificate has been written.
/// let mut hangups = signal::listen(&[Signal::HANGUP])?;
/// spawn(async move {
///     while hangups.recv().await.is_ok() {
///         // An error leaves the old configuration in use.
///         match tls.reload() {
///             Ok(()) => println!("new certificate"),
///             Err(error) => eprintln!("{error}"),
///         }
///     }
/// })
/// .detach();
/// # server.serve(async |request: Request<'_>| request.respond(StatusCode::OK, "", ()).await).await
/// # }
/// ```
#[derive(Clone)]
pub struct TlsReloader(Arc<Reloadable>);

struct Reloadable {
    /// Read once for each handshake, and never locked while other code runs.
    config: RwLock<Arc<ServerConfig>>,
    /// `None` if there is no source to load it from again.
    load: Option<Load>,
}

type Load = Box<dyn Fn() -> Result<TlsConfig, TlsConfigError> + Send + Sync>;

impl TlsReloader {
    /// Calls `load` for the first configuration, and again at each [`reload`](Self::reload).
    ///
    /// # Errors
    ///
    /// As `load`.
    pub fn new(
        load: impl Fn() -> Result<TlsConfig, TlsConfigError> + Send + Sync + 'static,
    ) -> Result<Self, TlsConfigError> {
        let TlsConfig(config) = load()?;
        Ok(Self(Arc::new(Reloadable {
            config: RwLock::new(config),
            load: Some(Box::new(load)),
        })))
    }

    /// Makes a new configuration by the function of [`new`](Self::new). It runs on this thread, and reads files. Has
    /// no effect on a reloader that was made from a [`TlsConfig`].
    ///
    /// # Errors
    ///
    /// As that function. The old configuration stays in use.
    pub fn reload(&self) -> Result<(), TlsConfigError> {
        if let Some(load) = &self.0.load {
            self.replace(load()?);
        }
        Ok(())
    }

    /// Replaces the configuration.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::tls::{TlsConfig, TlsReloader};
    ///
    /// fn make(name: &str) -> TlsConfig {
    ///     let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    ///     TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap()
    /// }
    ///
    /// let tls = TlsReloader::from(make("old.example"));
    /// let before = tls.config();
    /// tls.replace(make("new.example"));
    /// # drop(before);
    /// ```
    pub fn replace(&self, config: TlsConfig) {
        let place = self.0.config.write();
        let old = mem::replace(
            &mut *place.unwrap_or_else(PoisonError::into_inner),
            config.0,
        );
        // The lock has ended: the drop may run the destructor of a resolver of the user.
        drop(old);
    }

    /// Returns the present configuration.
    pub fn config(&self) -> TlsConfig {
        let place = self.0.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsConfig(place.clone())
    }
}

/// A configuration that only [`TlsReloader::replace`] changes.
impl From<TlsConfig> for TlsReloader {
    fn from(config: TlsConfig) -> Self {
        Self(Arc::new(Reloadable {
            config: RwLock::new(config.0),
            load: None,
        }))
    }
}

impl fmt::Debug for TlsReloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReloader").finish_non_exhaustive()
    }
}
