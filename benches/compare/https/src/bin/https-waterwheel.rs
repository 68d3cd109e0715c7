//! Waterwheel over TLS.

use waterwheel::http::tls::TlsConfig;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};

async fn hello(request: Request<'_>) -> Result<Responded> {
    let plain = [("content-type", "text/plain")];
    request
        .respond(StatusCode::OK, "Hello, World!", plain)
        .await
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let config = TlsConfig::from_pem_files(&arguments[2], &arguments[3])?;
    waterwheel::runtime::block_on(async {
        let server = Server::builder().tls(config).bind(&arguments[1])?;
        server.serve(hello).await
    })
}
