//! ntex on tokio with one worker.

mod contract;

use ntex::http::header::{CONTENT_TYPE, SERVER};
use ntex::util::Bytes;
use ntex::web::{self, App, HttpResponse, HttpServer};

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let server = HttpServer::new(async || {
        App::new()
            .route("/plaintext", web::get().to(plaintext))
            .route("/large", web::get().to(|| contract::large(plaintext())))
            .route("/json", web::get().to(json))
            .route("/echo", web::post().to(echo))
    });
    let listener = listener::bind_deferred(contract::address())?;
    server.workers(1).listen(listener)?.run().await
}

async fn plaintext() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.header(CONTENT_TYPE, "text/plain");
    answer.header(SERVER, "ntex").body(contract::TEXT)
}

async fn json() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.header(SERVER, "ntex").json(&contract::MESSAGE)
}

async fn echo(body: Bytes) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.header(CONTENT_TYPE, "application/octet-stream");
    answer.header(SERVER, "ntex").body(body)
}
