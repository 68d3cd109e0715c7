//! ntex on tokio with one worker.

use ntex::http::header::{CONTENT_TYPE, SERVER};
use ntex::util::Bytes;
use ntex::web::{self, App, HttpResponse, HttpServer};
use std::hint::black_box;

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = HttpServer::new(async || {
        App::new()
            .route("/plaintext", web::get().to(plaintext))
            .route("/json", web::get().to(json))
            .route("/large", web::get().to(large))
            .route("/echo", web::post().to(echo))
    });
    let server = server
        .workers(1)
        .listen(listener::bind_deferred(&address)?)?;
    println!("listening on http://{address}");
    server.run().await
}

async fn plaintext() -> HttpResponse {
    HttpResponse::Ok()
        .header(CONTENT_TYPE, "text/plain")
        .header(SERVER, "ntex")
        .body("Hello, World!")
}

/// The same with 4 KiB of its own, which the future holds while the answer is made.
async fn large() -> HttpResponse {
    let room = [0_u8; 4096];
    let answer = plaintext().await;
    black_box(&room);
    answer
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().header(SERVER, "ntex").json(&Message {
        message: "Hello, World!",
    })
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(SERVER, "ntex")
        .body(body)
}
