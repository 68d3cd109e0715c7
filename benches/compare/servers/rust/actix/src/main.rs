//! actix-web with one worker.

use actix_web::http::header::{ContentType, SERVER};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use std::hint::black_box;

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = HttpServer::new(|| {
        App::new()
            .route("/plaintext", web::get().to(plaintext))
            .route("/json", web::get().to(json))
            .route("/large", web::get().to(large))
            .route("/echo", web::post().to(echo))
    });
    let server = server
        .workers(1)
        .max_connections(25_000)
        .listen(listener::bind_deferred(address)?)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    server.run().await
}

async fn plaintext() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header(ContentType::plaintext())
        .insert_header((SERVER, "actix"))
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
    HttpResponse::Ok()
        .insert_header((SERVER, "actix"))
        .json(Message {
            message: "Hello, World!",
        })
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::octet_stream())
        .insert_header((SERVER, "actix"))
        .body(body)
}
