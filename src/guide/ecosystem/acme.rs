use std::fmt::Debug;
use std::io;

use futures_lite::StreamExt;
use rustls_acme::AcmeConfig;
use waterwheel::http::Server;
use waterwheel::http::tls::TlsConfig;
use waterwheel::runtime::spawn;

/// Binds a server that orders its certificates. Call it inside of `block_on`, with a configuration such as this one:
///
/// ```ignore
/// AcmeConfig::new(["mill.example"])
///     .contact_push("mailto:miller@mill.example")
///     .cache(DirCache::new("/var/lib/mill/acme")) // accounts and certificates survive a restart
///     .directory_lets_encrypt(true) // false for its test authority
/// ```
pub fn bind<E: Debug + 'static>(config: AcmeConfig<E>, address: &str) -> io::Result<Server> {
    let mut state = config.state();
    let tls = TlsConfig::builder()
        .resolver(state.resolver())
        // The authority checks the name by a handshake with this protocol (RFC 8737).
        .alpn(["http/1.1", "acme-tls/1"])
        .build()?;
    let server = Server::builder().tls(tls).bind(address)?;
    // Orders the certificate, and orders again before it expires.
    spawn(async move {
        while let Some(event) = state.next().await {
            match event {
                Ok(done) => println!("{done:?}"),
                Err(error) => eprintln!("{error:?}"),
            }
        }
    })
    .detach();
    Ok(server)
}
