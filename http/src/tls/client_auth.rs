//! The certificates that clients need.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::tls::error::{TlsConfigError, TlsFault};
use crate::tls::pem::PemText;

/// The certificates that clients need, or may have.
///
/// The handshake verifies a certificate: its signature, its issuers up to one of the roots, its time, and its purpose.
/// It does not judge the names in the certificate. That is the handler's task, with
/// [`TlsInfo::client_certificates`](super::TlsInfo::client_certificates). If the client has no valid certificate, its
/// handshake fails with an alert, and no handler runs.
///
/// A client that resumes a session is not verified again, so its certificate may have expired meanwhile.
/// [`TlsConfigBuilder::session_tickets`](super::TlsConfigBuilder::session_tickets) can switch that off.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::tls::{ClientAuth, Identity, TlsConfig};
///
/// let clients = ClientAuth::optional_from_pem_file("clients-ca.pem")?.revoked_in_pem_file("revoked.pem")?;
/// let config = TlsConfig::builder()
///     .identity(Identity::from_pem_files("cert.pem", "key.pem")?)
///     .client_auth(clients)
///     .build()?;
/// # drop(config);
/// # std::io::Result::Ok(())
/// ```
///
/// # Examples
///
/// Other ways to make one:
///
/// ```
/// use std::sync::Arc;
/// use waterwheel::http::tls::ClientAuth;
/// use waterwheel::http::tls::rustls::server::NoClientAuth;
///
/// let made = rcgen::generate_simple_self_signed(["authority.example".to_owned()]).unwrap();
/// let root = made.cert.pem();
/// let required = ClientAuth::required_from_pem(&root)?;
/// let optional = ClientAuth::optional_from_pem(&root)?;
/// let own = ClientAuth::of_verifier(Arc::new(NoClientAuth)); // any code of yours
/// assert!(ClientAuth::required_from_pem_file("missing.pem").is_err());
/// # drop((required, optional, own));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct ClientAuth {
    verification: Verification,
    is_required: bool,
    revoked: Vec<CertificateRevocationListDer<'static>>,
}

#[derive(Clone)]
enum Verification {
    Roots(Arc<RootCertStore>),
    Own(Arc<dyn ClientCertVerifier>),
}

impl ClientAuth {
    /// Each client must have a certificate that one of these roots has issued. Each certificate of the file is a root.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has no certificate.
    pub fn required_from_pem_file(roots: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        Self::of_pem(&PemText::read(roots.as_ref())?, true)
    }

    /// As [`required_from_pem_file`](Self::required_from_pem_file), but a client may have no certificate. A client
    /// with an invalid one is still refused.
    ///
    /// # Errors
    ///
    /// As [`required_from_pem_file`](Self::required_from_pem_file).
    pub fn optional_from_pem_file(roots: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        Self::of_pem(&PemText::read(roots.as_ref())?, false)
    }

    /// As [`required_from_pem_file`](Self::required_from_pem_file), with the text itself.
    ///
    /// # Errors
    ///
    /// If the text has no certificate.
    pub fn required_from_pem(roots: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        Self::of_pem(&PemText::new(roots.as_ref()), true)
    }

    /// As [`optional_from_pem_file`](Self::optional_from_pem_file), with the text itself.
    ///
    /// # Errors
    ///
    /// If the text has no certificate.
    pub fn optional_from_pem(roots: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        Self::of_pem(&PemText::new(roots.as_ref()), false)
    }

    /// Takes a verifier of your own.
    pub fn of_verifier(verifier: Arc<dyn ClientCertVerifier>) -> Self {
        Self {
            verification: Verification::Own(verifier),
            is_required: true,
            revoked: Vec::new(),
        }
    }

    fn of_pem(text: &PemText, is_required: bool) -> Result<Self, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        for root in text.certificates()? {
            roots.add(root).map_err(|error| {
                text.fault(TlsFault::Rustls("a certificate cannot be a root", error))
            })?;
        }
        Ok(Self {
            verification: Verification::Roots(Arc::new(roots)),
            is_required,
            revoked: Vec::new(),
        })
    }

    /// Adds lists of revoked certificates. Then each certificate of a chain needs a list of its issuer, and a
    /// certificate without one is refused. Has no effect on a verifier of your own.
    ///
    /// A session that resumes is not verified again. Its ticket ends with a reload of the configuration.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has no list.
    pub fn revoked_in_pem_file(mut self, lists: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        let text = PemText::read(lists.as_ref())?;
        self.revoked.extend(text.revocation_lists()?);
        Ok(self)
    }

    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsConfigError> {
        let roots = match &self.verification {
            Verification::Roots(roots) => roots.clone(),
            Verification::Own(verifier) => return Ok(verifier.clone()),
        };
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let verifier = verifier.with_crls(self.revoked.iter().cloned());
        let verifier = if self.is_required {
            verifier
        } else {
            verifier.allow_unauthenticated()
        };
        verifier
            .build()
            .map_err(|error| TlsFault::Text(format!("clients cannot be verified: {error}")).into())
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth")
            .field("is_required", &self.is_required)
            .field("revoked", &self.revoked.len())
            .finish_non_exhaustive()
    }
}
