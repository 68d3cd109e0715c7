//! `mini_async_http` with one worker beside its event loop, both pinned to one core.

use mini_async_http::{AIOServer, Request, Response, ResponseBuilder};

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

fn main() {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let mut server = AIOServer::new(1, &address, answer);
    println!("listening on http://{address}");
    server.start();
}

fn answer(request: &Request) -> Response {
    let (kind, body) = match request.path().split('?').next().unwrap_or_default() {
        "/plaintext" => ("text/plain", b"Hello, World!".to_vec()),
        "/json" => match serde_json::to_vec(&Message {
            message: "Hello, World!",
        }) {
            Ok(body) => ("application/json", body),
            Err(_) => return rendered(ResponseBuilder::empty_500()),
        },
        "/echo" => (
            "application/octet-stream",
            request.body().cloned().unwrap_or_default(),
        ),
        _ => return rendered(ResponseBuilder::empty_400()),
    };
    rendered(
        ResponseBuilder::empty_200()
            .content_type(kind)
            .header("server", "mini")
            .body(&body),
    )
}

fn rendered(builder: ResponseBuilder) -> Response {
    builder
        .build()
        .unwrap_or_else(|_| panic!("a status was set"))
}
