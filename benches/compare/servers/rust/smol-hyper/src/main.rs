//! hyper, HTTP/1 only, on smol's executor and reactor.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use smol::{Async, LocalExecutor};
use smol_hyper::rt::FuturesIo;
use std::error::Error;
use std::net::{TcpListener, TcpStream};

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(serve(&executor)))
}

async fn serve(executor: &LocalExecutor<'_>) -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = Async::<TcpListener>::bind(address.parse::<std::net::SocketAddr>()?)?;
    println!("listening on http://{}", listener.get_ref().local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        executor.spawn(connection(socket)).detach();
    }
}

/// Serves one connection; one that fails concerns no other.
async fn connection(socket: Async<TcpStream>) {
    socket.get_ref().set_nodelay(true).ok();
    http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(FuturesIo::new(socket), service_fn(answer))
        .await
        .ok();
}

/// The contract: fixed text, JSON rendered per request, and an echo.
async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
    let (kind, body) = match request.uri().path() {
        "/plaintext" => ("text/plain", Bytes::from_static(b"Hello, World!")),
        "/json" => (
            "application/json",
            serde_json::to_vec(&Message {
                message: "Hello, World!",
            })?
            .into(),
        ),
        "/echo" => (
            "application/octet-stream",
            request.into_body().collect().await?.to_bytes(),
        ),
        _ => {
            return Ok(Response::builder()
                .status(StatusCode::NOT_FOUND)
                .body(Full::default())?);
        }
    };
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
        .headers_mut()
        .insert(SERVER, HeaderValue::from_static("hyper"));
    Ok(response)
}
