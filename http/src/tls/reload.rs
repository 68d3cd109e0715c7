//! A configuration that can be replaced while the server runs.

use std::fmt;
use std::mem;
#[cfg(feature = "systemd")]
use std::sync::OnceLock;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;

#[cfg(feature = "systemd")]
use crate::server::systemd::Systemd;
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
    observer: Observer,
}

/// The systemd that is told about reloads.
#[derive(Default)]
struct Observer {
    #[cfg(feature = "systemd")]
    systemd: OnceLock<Systemd>,
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
            observer: Observer::default(),
        })))
    }

    /// Tells systemd about each [`reload`](Self::reload), for a unit with `Type=notify-reload` or
    /// `ExecReload=kill -HUP $MAINPID`. So `systemctl reload` waits until the new certificate is in use. Calling this
    /// again, also on a clone, has no effect.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use waterwheel::http::Systemd;
    /// use waterwheel::http::tls::{TlsConfig, TlsReloader};
    ///
    /// let systemd = Systemd::from_env()?;
    /// let tls = TlsReloader::new(|| TlsConfig::from_pem_files("cert.pem", "key.pem"))?.with_systemd(&systemd);
    /// # drop(tls);
    /// # std::io::Result::Ok(())
    /// ```
    #[cfg(feature = "systemd")]
    #[cfg_attr(docsrs, doc(cfg(feature = "systemd")))]
    #[must_use]
    pub fn with_systemd(self, systemd: &Systemd) -> Self {
        self.0.observer.systemd.get_or_init(|| systemd.clone());
        self
    }

    /// Makes a new configuration by the function of [`new`](Self::new). It runs on this thread, and reads files. Has
    /// no effect on a reloader that was made from a [`TlsConfig`].
    ///
    /// # Errors
    ///
    /// As that function. The old configuration stays in use.
    pub fn reload(&self) -> Result<(), TlsConfigError> {
        let Some(load) = &self.0.load else {
            return Ok(());
        };
        self.0.observer.reload(|| {
            self.replace(load()?);
            Ok(())
        })
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
            observer: Observer::default(),
        }))
    }
}

impl Observer {
    #[cfg(feature = "systemd")]
    fn reload<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.systemd.get() {
            Some(systemd) => systemd.reload(work),
            None => work(),
        }
    }

    #[cfg(not(feature = "systemd"))]
    #[expect(clippy::unused_self, reason = "no systemd is told")]
    fn reload<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl fmt::Debug for TlsReloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReloader").finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "systemd", feature = "tls"))]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn made() -> Result<TlsConfig, TlsConfigError> {
        let made = rcgen::generate_simple_self_signed(["mill.example".to_owned()]).unwrap();
        TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn systemd_learns_of_each_reload_also_of_one_that_fails() {
        let name = format!("waterwheel-tls-reload-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let kinds = || {
            let mut buffer = [0; 256];
            let mut all = Vec::new();
            while let Ok(len) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                all.push(text.split('=').next().unwrap().to_owned());
            }
            all
        };
        let systemd = Systemd::connected(&format!("@{name}")).unwrap();
        let fails = Arc::new(AtomicBool::new(false));
        let source = fails.clone();
        let load = move || {
            if source.load(Ordering::Relaxed) {
                TlsConfig::from_pem("", "")
            } else {
                made()
            }
        };
        let tls = TlsReloader::new(load).unwrap().with_systemd(&systemd);
        systemd.ready().unwrap();
        assert_eq!(kinds(), ["READY"]);
        tls.clone().reload().unwrap();
        assert_eq!(kinds(), ["RELOADING", "READY"]);
        fails.store(true, Ordering::Relaxed);
        tls.reload().unwrap_err();
        assert_eq!(kinds(), ["RELOADING", "READY"]);
    }
}
