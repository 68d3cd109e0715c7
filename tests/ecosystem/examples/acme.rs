//! HTTPS with a certificate that the server orders by itself, from Let's Encrypt or another authority with ACME:
//!
//! ```sh
//! cargo run --manifest-path tests/ecosystem/Cargo.toml --example acme DOMAIN CACHE [ADDRESS] [DIRECTORY ROOT]
//! ```
//!
//! CACHE is a folder for the account and the certificates. The authority must reach port 443 of DOMAIN, so ADDRESS is
//! `0.0.0.0:443` unless another port is forwarded from there. DIRECTORY is the address of the authority's directory. The
//! default is the *test* authority of Let's Encrypt, whose certificates no browser trusts; its real one is
//! `https://acme-v02.api.letsencrypt.org/directory`. ROOT is a PEM file with the certificate that the directory's own
//! certificate comes from, for an authority inside a company.
//!
//! `waterwheel::guide::ecosystem` shows the part that connects the two libraries. `tests/libraries/acme.rs` runs this
//! program with an authority of its own.

use std::env;
use std::io;
use std::sync::Arc;

use rustls_acme::AcmeConfig;
use rustls_acme::caches::DirCache;
use waterwheel::http::tls::rustls::pki_types::CertificateDer;
use waterwheel::http::tls::rustls::pki_types::pem::PemObject;
use waterwheel::http::tls::rustls::{ClientConfig, RootCertStore};
use waterwheel::http::{Request, Responded, Result, StatusCode};
use waterwheel::runtime::block_on;
use waterwheel_ecosystem::acme;

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "hello\n", ()).await
}

/// Makes a client that trusts the root in a PEM file.
fn trusting(path: &str) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(path).map_err(io::Error::other)?;
    roots.add(root).map_err(io::Error::other)?;
    let client = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(client.with_no_client_auth()))
}

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(domain), Some(cache)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other(
            "usage: acme DOMAIN CACHE [ADDRESS] [DIRECTORY ROOT]",
        ));
    };
    let address = arguments.next().unwrap_or("0.0.0.0:443".to_owned());
    let mut config = AcmeConfig::new([domain]).cache(DirCache::new(cache));
    if let Some(directory) = arguments.next() {
        config = config.directory(directory);
    }
    if let Some(root) = arguments.next() {
        config = config.client_tls_config(trusting(&root)?);
    }
    block_on(async {
        let server = acme::bind(config, &address)?;
        println!("listening on {}", server.local_address());
        server.serve(hello).await
    })
}
