//! Waterwheel: `tls`, `websocket`, or `gzip` at a level.

mod arguments;

use arguments::{Arguments, Part};
use waterwheel::http::tls::TlsConfig;
use waterwheel::http::web::compress::{Compress, Effort};
use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::block_on;

async fn hello(request: Request<'_>) -> Result<Responded> {
    let plain = [("content-type", "text/plain")];
    let answer = request.respond(StatusCode::OK, "Hello, World!", plain);
    answer.await
}

async fn echo(mut socket: WebSocket) -> Result<()> {
    while let Some(message) = socket.next().await? {
        socket.send(message).await?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::read();
    let bodies = arguments.bodies();
    let json = async move |request: Request<'_>| {
        let body = bodies[usize::from(request.path() == "/large")];
        let fields = [("content-type", "application/json")];
        request.respond(StatusCode::OK, body, fields).await
    };
    block_on(async {
        let mut builder = Server::builder();
        if let Part::Tls = arguments.part {
            builder = builder.tls(TlsConfig::from_pem_files(
                arguments.file("cert.pem"),
                arguments.file("key.pem"),
            )?);
        }
        let server = builder.bind(&arguments.address)?;
        match arguments.part {
            Part::Tls => server.serve(hello).await,
            Part::WebSocket => {
                let options = WebSocketOptions::new();
                let upgrade = async move |request: Request<'_>| {
                    websocket::upgrade(request, &options, echo).await
                };
                server.serve(upgrade).await
            }
            Part::Gzip(level) => {
                let effort = [Effort::Fast, Effort::Usual][usize::from(level > 1)];
                server
                    .serve(Compress::new().effort(effort).around(json))
                    .await
            }
        }
    })
}
