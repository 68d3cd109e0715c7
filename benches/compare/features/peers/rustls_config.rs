//! The configuration of rustls for the peers that use it.

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::arguments::Arguments;

/// Returns a configuration with the certificate in the folder, tickets and HTTP/1.1.
pub(crate) fn of(arguments: &Arguments) -> ServerConfig {
    let chain = CertificateDer::from_pem_file(arguments.file("cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(arguments.file("key.pem")).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![chain], key).expect("a pair");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new().expect("a key for tickets");
    config
}
