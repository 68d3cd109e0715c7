use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio_util::compat::FuturesAsyncReadCompatExt;
use waterwheel::runtime::{net::TcpListener, spawn};

/// hyper as the server, over sockets of this runtime. Its services need not be `Send`.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let visits = Rc::new(Cell::new(0));
    loop {
        let (stream, _) = listener.accept().await?;
        let visits = visits.clone();
        let service = service_fn(move |_| {
            visits.set(visits.get() + 1);
            let body = Full::<Bytes>::from(format!("visit {}", visits.get()));
            async { Ok::<_, Infallible>(hyper::Response::new(body)) }
        });
        let io = TokioIo::new(stream.compat());
        let serve = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
        spawn(async move {
            if let Err(error) = serve.await {
                eprintln!("{error}");
            }
        })
        .detach();
    }
}
