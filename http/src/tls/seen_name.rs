//! The name that a client asks for. rustls passes it only to the code that finds the certificate.

use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The place for the name of one handshake. It stays empty if this side is the client.
#[derive(Debug, Default)]
pub(super) struct SeenName(Arc<OnceLock<Box<str>>>);

/// Notes the name, and lets the resolver of the configuration find the certificate.
#[derive(Debug)]
struct Noting {
    name: Arc<OnceLock<Box<str>>>,
    resolver: Arc<dyn ResolvesServerCert>,
}

impl ResolvesServerCert for Noting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            self.name.get_or_init(|| name.into());
        }
        self.resolver.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.resolver.only_raw_public_keys()
    }
}

impl SeenName {
    /// Returns a configuration for one handshake, and the place for its name. The configuration shares all that is
    /// large. rustls drops it with the handshake.
    pub(super) fn of_handshake(config: &ServerConfig) -> (Arc<ServerConfig>, Self) {
        let name = Arc::default();
        let mut config = config.clone();
        config.cert_resolver = Arc::new(Noting {
            name: Arc::clone(&name),
            resolver: config.cert_resolver,
        });
        (Arc::new(config), Self(name))
    }

    pub(super) fn get(&self) -> Option<&str> {
        self.0.get().map(|name| &**name)
    }
}
