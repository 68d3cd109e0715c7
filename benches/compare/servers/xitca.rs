//! xitca-web with one server thread and one worker. Both run on one core.

mod contract;

use xitca_web::App;
use xitca_web::handler::body::Limit;
use xitca_web::handler::handler_service;
use xitca_web::handler::json::Json;
use xitca_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use xitca_web::route::{get, post};

/// The largest body that is echoed.
const ECHO_BYTES_MAX: usize = 64 * 1024;

type Field = (HeaderName, HeaderValue);

const NAME: Field = (SERVER, HeaderValue::from_static("xitca"));
const TEXT: Field = (CONTENT_TYPE, HeaderValue::from_static("text/plain"));
const BYTES: Field = (
    CONTENT_TYPE,
    HeaderValue::from_static("application/octet-stream"),
);

fn main() -> std::io::Result<()> {
    let listener = listener::bind_deferred(contract::address())?;
    let server = App::new()
        .at("/plaintext", get(handler_service(plaintext)))
        .at("/large", get(handler_service(large)))
        .at("/json", get(handler_service(json)))
        .at("/echo", post(handler_service(echo)))
        .serve();
    let server = server.server_threads(1).worker_threads(1);
    server.listen(listener)?.run().wait()
}

async fn plaintext() -> (Field, Field, &'static str) {
    (TEXT, NAME, contract::TEXT)
}

async fn large() -> (Field, Field, &'static str) {
    contract::large(plaintext()).await
}

async fn json() -> (Field, Json<contract::Message>) {
    (NAME, Json(contract::MESSAGE))
}

async fn echo((body, _): (Vec<u8>, Limit<ECHO_BYTES_MAX>)) -> (Field, Field, Vec<u8>) {
    (BYTES, NAME, body)
}
