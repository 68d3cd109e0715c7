//! hyper, HTTP/1 only, on a current-thread tokio.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::hint::black_box;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Why there is no answer; nothing in the contract fails.
type Failure = Box<dyn Error + Send + Sync>;

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    LocalSet::new().block_on(&runtime, serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = listener::bind_deferred(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    println!("listening on http://{}", listener.local_addr()?);
    let is_large = std::env::args().nth(2).is_some_and(|word| word == "large");
    loop {
        let (socket, _) = listener.accept().await?;
        if is_large {
            tokio::task::spawn_local(connection(socket, service_fn(large_answer)));
        } else {
            tokio::task::spawn_local(connection(socket, service_fn(answer)));
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
async fn connection(socket: TcpStream, service: impl Answers) {
    http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(socket), service)
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
