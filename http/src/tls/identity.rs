//! A certificate with its key, and the choice of one by the name that the client asks for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, DnsName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::log;
use crate::tls::error::{TlsConfigError, TlsFault};
use crate::tls::pem::PemText;

/// A certificate with its chain and its private key.
///
/// It serves the DNS names in the certificate, also wildcards such as `*.example.com`, unless
/// [`for_names`](Self::for_names) sets others.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::tls::{Identity, TlsConfig};
///
/// let config = TlsConfig::builder()
///     // The first one is also for clients that ask for no name, or for an unknown one.
///     .identity(Identity::from_pem_files("example.com.pem", "example.com.key")?)
///     .identity(Identity::from_pem_files("example.org.pem", "example.org.key")?)
///     .identity(Identity::from_pem_files("old.pem", "old.key")?.for_names(["old.example.com"]))
///     .build()?;
/// # drop(config);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Identity {
    chain: PemText,
    key: PemText,
    /// `None` for the names in the certificate.
    names: Option<Vec<String>>,
}

impl Identity {
    /// Reads a chain of certificates, the server's own first, and its private key. Both may be in one file. The key
    /// is PKCS#8, PKCS#1 or SEC1, and not encrypted.
    ///
    /// The contents are judged by [`TlsConfigBuilder::build`](super::TlsConfigBuilder::build). If the server's own
    /// certificate has expired or is not valid yet, that is no error but a line in the log, at the level warn: a server
    /// that starts can be reloaded.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        Ok(Self {
            chain: PemText::read(chain.as_ref())?,
            key: PemText::read(key.as_ref())?,
            names: None,
        })
    }

    /// Takes the text of a chain and of a key, as [`from_pem_files`](Self::from_pem_files) reads them.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::tls::{Identity, TlsConfig};
    ///
    /// let made = rcgen::generate_simple_self_signed(["mill.example".to_owned()]).unwrap();
    /// let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let identity = Identity::from_pem(certificate, key);
    /// let config = TlsConfig::builder().identity(identity).build()?;
    /// # drop(config);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        Self {
            chain: PemText::new(chain.as_ref()),
            key: PemText::new(key.as_ref()),
            names: None,
        }
    }

    /// Sets the names that this certificate serves. A wildcard stands for one label: `*.example.com` serves
    /// `a.example.com`, and neither `a.b.example.com` nor `example.com` (RFC 6125, 6.4.3).
    #[must_use]
    pub fn for_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Judges the contents. Returns the certificate and its names in lower case.
    fn load(
        &self,
        provider: &CryptoProvider,
    ) -> Result<(Arc<CertifiedKey>, Vec<String>), TlsConfigError> {
        let chain = self.chain.certificates()?;
        let der = self.key.private_key()?;
        let signing = provider.key_provider.load_private_key(der);
        let signing = signing.map_err(|error| {
            self.key
                .fault(TlsFault::Rustls("the private key cannot be used", error))
        })?;
        let own = CertifiedKey::new(chain, signing.clone());
        match own.keys_match() {
            // The key of a hardware module may not say.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                let is_first = |one: &CertificateDer<'static>| {
                    let one = CertifiedKey::new(vec![one.clone()], signing.clone());
                    one.keys_match().is_ok()
                };
                let chain = match &self.chain.file {
                    Some(file) => format!("the certificate in {}", file.display()),
                    None => "the certificate".to_owned(),
                };
                let text = if own.cert.iter().any(is_first) {
                    format!(
                        "the private key belongs to a later one than {chain}; the order is wrong"
                    )
                } else {
                    format!("the private key does not belong to {chain}")
                };
                return Err(self.key.fault(TlsFault::Text(text)));
            }
            Err(error) => {
                let text = "the certificate cannot be read";
                return Err(self.chain.fault(TlsFault::Rustls(text, error)));
            }
        }
        let names = match &self.names {
            Some(names) => names.clone(),
            // A certificate without names, such as one of version 1, can still be the default.
            None => match own.cert.first().map(webpki::EndEntityCert::try_from) {
                Some(Ok(leaf)) => leaf.valid_dns_names().map(str::to_owned).collect(),
                _ => Vec::new(),
            },
        };
        let names = names.into_iter().map(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let host = name.strip_prefix("*.").unwrap_or(&name);
            match DnsName::try_from(host.to_owned()) {
                Ok(_) => Ok(name),
                Err(_) => Err(self
                    .chain
                    .fault(TlsFault::Text(format!("not a DNS name: {name:?}")))),
            }
        });
        let names = names.collect::<Result<Vec<_>, _>>()?;
        if let Some(leaf) = own.cert.first() {
            report_time(leaf, self.chain.file.as_deref(), &names);
        }
        Ok((Arc::new(own), names))
    }
}

/// Logs a certificate whose time has passed or is to come: each handshake would succeed here and fail at the client.
fn report_time(leaf: &CertificateDer<'_>, file: Option<&Path>, names: &[String]) {
    let Ok(leaf) = webpki::EndEntityCert::try_from(leaf) else {
        return;
    };
    // webpki has no other function that shows the time. It judges the time before it looks for an anchor.
    let usage = webpki::KeyUsage::server_auth();
    let judged = leaf.verify_for_usage(&[], &[], &[], UnixTime::now(), usage, None, None);
    let (bound, is_over) = match judged.err() {
        Some(webpki::Error::CertExpired { not_after, .. }) => (not_after, true),
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => (not_before, false),
        _ => return,
    };
    let bound = SystemTime::UNIX_EPOCH + Duration::from_secs(bound.as_secs());
    log::certificate_out_of_time(file, names, bound, is_over);
}

/// Finds the certificate for a name.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// By their names in lower case. A name may have several certificates, with keys of different kinds.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// For clients without a name. Empty if unknown names are refused.
    default: Vec<Arc<CertifiedKey>>,
    refuses_unknown: bool,
}

impl Identities {
    pub(super) fn new(
        identities: &[Identity],
        refuses_unknown: bool,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsConfigError> {
        let mut all = Self {
            refuses_unknown,
            ..Self::default()
        };
        let mut default_names = Vec::new();
        for identity in identities {
            let (key, names) = identity.load(provider)?;
            // One of the same names with another kind of key is a default, too.
            if all.default.is_empty() || default_names == names {
                all.default.push(key.clone());
                default_names.clone_from(&names);
            }
            for name in names {
                all.by_name.entry(name).or_default().push(key.clone());
            }
        }
        if all.default.is_empty() {
            return Err(TlsFault::text("no certificate is set").into());
        }
        Ok(all)
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = match hello.server_name() {
            None => &self.default,
            Some(name) => {
                // Names are compared without case (RFC 6066, 3), and a final dot is the root.
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let wildcard = name
                    .split_once('.')
                    .map(|(_, parent)| format!("*.{parent}"));
                let exact = self.by_name.get(&name);
                match exact.or_else(|| self.by_name.get(&wildcard?)) {
                    Some(found) => found,
                    None if self.refuses_unknown => return None,
                    None => &self.default,
                }
            }
        };
        let fits =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        // Without a common kind of signature the handshake fails, and rustls names the reason.
        found.iter().find(fits).or(found.first()).cloned()
    }
}
