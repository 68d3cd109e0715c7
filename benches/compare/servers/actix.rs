//! actix-web with one worker.

mod contract;

use actix_web::http::header::{ContentType, SERVER};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let server = HttpServer::new(|| {
        App::new()
            .route("/plaintext", web::get().to(plaintext))
            .route("/large", web::get().to(|| contract::large(plaintext())))
            .route("/json", web::get().to(json))
            .route("/echo", web::post().to(echo))
    });
    let listener = listener::bind_deferred(contract::address())?;
    let server = server.workers(1).max_connections(25_000);
    server.listen(listener)?.run().await
}

async fn plaintext() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header(ContentType::plaintext());
    answer.insert_header((SERVER, "actix")).body(contract::TEXT)
}

async fn json() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((SERVER, "actix"))
        .json(contract::MESSAGE)
}

async fn echo(body: Bytes) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header(ContentType::octet_stream());
    answer.insert_header((SERVER, "actix")).body(body)
}
