//! `tiny_http`, which reads on threads of its own. One thread answers; all of them run on one core here.

mod contract;

use std::io;
use tiny_http::{Header, Request, Response, Server};

fn main() {
    let listener = listener::bind_deferred(contract::address()).expect("the address is free");
    let server = Server::from_listener(listener, None).expect("threads can be started");
    for request in server.incoming_requests() {
        if let Err(error) = answer(request) {
            eprintln!("{error}");
        }
    }
}

fn answer(mut request: Request) -> io::Result<()> {
    let (kind, body) = match request.url().split('?').next().unwrap_or_default() {
        "/plaintext" => ("text/plain", contract::TEXT.into()),
        "/json" => ("application/json", contract::json()),
        "/echo" => {
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body)?;
            ("application/octet-stream", body)
        }
        _ => return request.respond(Response::empty(404)),
    };
    let kind = Header::from_bytes("content-type", kind).expect("the type is text");
    request.respond(Response::from_data(body).with_header(kind))
}
