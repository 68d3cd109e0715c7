//! axum on a current-thread tokio, as `axum::serve` has it.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, SERVER};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use std::error::Error;
use std::hint::black_box;
use tokio::net::TcpSocket;

/// The longest queue of connections not yet accepted.
const BACKLOG: u32 = 4096;

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.parse()?)?;
    let listener = socket.listen(BACKLOG)?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|socket| {
        socket.set_nodelay(true).ok();
    });
    let router = Router::new()
        .route("/plaintext", get(plaintext))
        .route("/json", get(json))
        .route("/large", get(large))
        .route("/echo", post(echo));
    Ok(axum::serve(listener, router).await?)
}

async fn plaintext() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain"), (SERVER, "axum")],
        "Hello, World!",
    )
}

/// The same with 4 KiB of its own, which the future holds while the answer is made.
async fn large() -> impl IntoResponse {
    let room = [0_u8; 4096];
    let answer = plaintext().await;
    black_box(&room);
    answer
}

async fn json() -> impl IntoResponse {
    (
        [(SERVER, "axum")],
        Json(Message {
            message: "Hello, World!",
        }),
    )
}

async fn echo(body: Bytes) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/octet-stream"), (SERVER, "axum")],
        body,
    )
}
