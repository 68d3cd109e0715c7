//! hyper, HTTP/1 only, over tokio-rustls on a current-thread tokio.

mod arguments;
mod rustls_config;

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
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
    let arguments = arguments::Arguments::read();
    let acceptor = TlsAcceptor::from(Arc::new(rustls_config::of(&arguments)));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = listener::bind(&*arguments.address)?;
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
