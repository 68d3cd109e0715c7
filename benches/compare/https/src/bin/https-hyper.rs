//! hyper, HTTP/1 only, over tokio-rustls on a current-thread tokio.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = Response::builder().header("content-type", "text/plain");
    Ok(answer
        .body(Full::from("Hello, World!"))
        .expect("the field is valid"))
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let chain = CertificateDer::from_pem_file(&arguments[2]).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&arguments[3]).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![chain], key).expect("a pair");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::ring::Ticketer::new().expect("a key for tickets");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = listener::bind(arguments[1].as_str())?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (socket, _) = listener.accept().await?;
            let acceptor = acceptor.clone();
            spawn_local(async move {
                let Ok(stream) = acceptor.accept(socket).await else {
                    return;
                };
                let mut http = hyper::server::conn::http1::Builder::new();
                let served = http.pipeline_flush(true);
                _ = served
                    .serve_connection(TokioIo::new(stream), service_fn(hello))
                    .await;
            });
        }
    })
}
