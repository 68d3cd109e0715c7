//! `mini_async_http` with one worker beside its event loop. Both threads run on one core.

mod contract;

use mini_async_http::{AIOServer, Request, Response, ResponseBuilder};

fn main() {
    AIOServer::new(1, &contract::address(), answer).start();
}

fn answer(request: &Request) -> Response {
    let (kind, body) = match request.path().split('?').next().unwrap_or_default() {
        "/plaintext" => ("text/plain", contract::TEXT.into()),
        "/json" => ("application/json", contract::json()),
        "/echo" => {
            let body = request.body().cloned();
            ("application/octet-stream", body.unwrap_or_default())
        }
        _ => return rendered(ResponseBuilder::empty_400()),
    };
    let answer = ResponseBuilder::empty_200().content_type(kind);
    rendered(answer.header("server", "mini").body(&body))
}

fn rendered(builder: ResponseBuilder) -> Response {
    let answer = builder.build();
    answer.unwrap_or_else(|_| panic!("the builder has a status"))
}
