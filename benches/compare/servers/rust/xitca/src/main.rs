//! xitca-web with one server thread and one worker, both pinned to one core.

use std::hint::black_box;
use xitca_web::App;
use xitca_web::handler::body::Limit;
use xitca_web::handler::handler_service;
use xitca_web::handler::json::Json;
use xitca_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use xitca_web::route::{get, post};

/// The largest body that is echoed.
const ECHO_BYTES_MAX: usize = 64 * 1024;

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

type Field = (HeaderName, HeaderValue);

const NAME: Field = (SERVER, HeaderValue::from_static("xitca"));

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = App::new()
        .at("/plaintext", get(handler_service(plaintext)))
        .at("/large", get(handler_service(large)))
        .at("/json", get(handler_service(json)))
        .at("/echo", post(handler_service(echo)))
        .serve()
        .server_threads(1)
        .worker_threads(1)
        .listen(listener::bind_deferred(&address)?)?;
    println!("listening on http://{address}");
    server.run().wait()
}

async fn plaintext() -> (Field, Field, &'static str) {
    (
        (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        NAME,
        "Hello, World!",
    )
}

/// The same with 4 KiB of its own, which the future holds while the answer is made.
async fn large() -> (Field, Field, &'static str) {
    let room = [0_u8; 4096];
    let answer = plaintext().await;
    black_box(&room);
    answer
}

async fn json() -> (Field, Json<Message>) {
    (
        NAME,
        Json(Message {
            message: "Hello, World!",
        }),
    )
}

async fn echo((body, _): (Vec<u8>, Limit<ECHO_BYTES_MAX>)) -> (Field, Field, Vec<u8>) {
    (
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        NAME,
        body,
    )
}
