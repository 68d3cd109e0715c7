use futures_lite::StreamExt;
use rustls_acme::AcmeConfig;
use rustls_acme::caches::DirCache;
use waterwheel::http::tls::TlsConfig;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, spawn};

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "hello", ()).await
}

fn main() -> std::io::Result<()> {
    let mut state = AcmeConfig::new(["mill.example"])
        .contact_push("mailto:miller@mill.example")
        .cache(DirCache::new("/var/lib/mill/acme")) // accounts and certificates survive a restart
        .directory_lets_encrypt(true) // false for its test authority
        .state();
    let config = TlsConfig::builder()
        .resolver(state.resolver())
        // The authority checks the name by a handshake with this protocol (RFC 8737).
        .alpn(["http/1.1", "acme-tls/1"])
        .build()?;
    block_on(async {
        let server = Server::builder().tls(config).bind("0.0.0.0:443")?;
        // Orders the certificate, and orders again before it expires.
        spawn(async move {
            while let Some(event) = state.next().await {
                match event {
                    Ok(done) => println!("{done:?}"),
                    Err(error) => eprintln!("{error}"),
                }
            }
        })
        .detach();
        server.serve(hello).await
    })
}
