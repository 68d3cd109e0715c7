//! axum on a current-thread tokio, as `axum::serve` has it.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, SERVER};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use std::error::Error;
use std::hint::black_box;
use tokio::net::TcpListener;

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
    let listener = listener::bind_deferred(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    println!("listening on http://{}", listener.local_addr()?);
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
