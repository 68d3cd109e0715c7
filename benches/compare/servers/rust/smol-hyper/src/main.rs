//! hyper, HTTP/1 only, on smol's executor and reactor.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, StatusCode};
use smol::{Async, LocalExecutor};
use smol_hyper::rt::FuturesIo;
use std::error::Error;
use std::hint::black_box;
use std::net::{TcpListener, TcpStream};

/// Why there is no answer; nothing in the contract fails.
type Failure = Box<dyn Error + Send + Sync>;

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
    let listener = Async::<TcpListener>::new(listener::bind_deferred(address)?)?;
    println!("listening on http://{}", listener.get_ref().local_addr()?);
    let is_large = std::env::args().nth(2).is_some_and(|word| word == "large");
    loop {
        let (socket, _) = listener.accept().await?;
        if is_large {
            let service = service_fn(large_answer);
            executor.spawn(connection(socket, service)).detach();
        } else {
            let service = service_fn(answer);
            executor.spawn(connection(socket, service)).detach();
        }
    }
}

/// What hyper asks of a service, for this contract.
trait Answers:
    HttpService<Incoming, ResBody = Full<Bytes>, Error = Failure, Future: 'static> + 'static
{
}

impl<S> Answers for S where
    S: HttpService<Incoming, ResBody = Full<Bytes>, Error = Failure, Future: 'static> + 'static
{
}

/// Serves one connection; one that fails concerns no other.
async fn connection(socket: Async<TcpStream>, service: impl Answers) {
    http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(FuturesIo::new(socket), service)
        .await
        .ok();
}

/// The same with 4 KiB of its own, which the future holds while the answer is made.
async fn large_answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
    let room = [0_u8; 4096];
    let answered = answer(request).await;
    black_box(&room);
    answered
}

/// The contract: fixed text, JSON rendered per request, and an echo.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
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
