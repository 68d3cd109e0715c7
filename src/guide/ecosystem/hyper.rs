use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use waterwheel::runtime::{hyper_rt::RuntimeTimer, net::TcpListener, spawn};

/// hyper as the server, over sockets of this runtime (the feature `hyper`). Its services need not be `Send`.
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
        let mut builder = hyper::server::conn::http1::Builder::new();
        let serve = builder
            .timer(RuntimeTimer)
            .serve_connection(stream, service);
        spawn(async move {
            if let Err(error) = serve.await {
                eprintln!("{error}");
            }
        })
        .detach();
    }
}
