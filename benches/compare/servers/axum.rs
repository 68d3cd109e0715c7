//! axum on a current-thread tokio, through `axum::serve`.

mod contract;

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, SERVER};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(async {
        let listener = listener::bind_deferred(contract::address())?;
        listener.set_nonblocking(true)?;
        let router = Router::new()
            .route("/plaintext", get(plaintext))
            .route("/large", get(|| contract::large(plaintext())))
            .route("/json", get(json))
            .route("/echo", post(echo));
        axum::serve(TcpListener::from_std(listener)?, router).await
    })
}

async fn plaintext() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/plain"), (SERVER, "axum")];
    (headers, contract::TEXT)
}

async fn json() -> impl IntoResponse {
    ([(SERVER, "axum")], Json(contract::MESSAGE))
}

async fn echo(body: Bytes) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (SERVER, "axum")];
    (headers, body)
}
