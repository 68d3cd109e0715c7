//! `tiny_http`, which reads on threads of its own and is answered from one, all pinned to one core.

use std::error::Error;
use tiny_http::{Header, Request, Response, Server};

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = Server::from_listener(listener::bind_deferred(address)?, None)
        .map_err(|error| error.to_string())?;
    println!("listening on http://{}", server.server_addr());
    for request in server.incoming_requests() {
        if let Err(error) = answer(request) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(mut request: Request) -> Result<(), Box<dyn Error>> {
    let (kind, body) = match request.url().split('?').next().unwrap_or_default() {
        "/plaintext" => ("text/plain", b"Hello, World!".to_vec()),
        "/json" => (
            "application/json",
            serde_json::to_vec(&Message {
                message: "Hello, World!",
            })?,
        ),
        "/echo" => {
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body)?;
            ("application/octet-stream", body)
        }
        _ => return Ok(request.respond(Response::empty(404))?),
    };
    let kind = Header::from_bytes("content-type", kind).map_err(|()| "not a header")?;
    Ok(request.respond(Response::from_data(body).with_header(kind))?)
}
