//! The reverse proxy: a client and an origin of literal bytes, and the proxy between them.

mod bodies;
mod failures;
mod fields;
mod nginx;
mod origin;
mod places;
mod secure;
mod tunnel;
mod upstreams;

use std::time::Duration;

use waterwheel::http::web::proxy::ReverseProxy;
use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
use waterwheel::http::{Builder, Limits, Request, Server, shared};

use self::origin::Origin;
use crate::support::server::TestServer;

/// A proxy in front of an origin.
fn proxy(origin: &Origin) -> TestServer {
    proxy_with(origin, |proxy| proxy)
}

fn proxy_with(
    origin: &Origin,
    set: impl FnOnce(ReverseProxy) -> ReverseProxy + Send + 'static,
) -> TestServer {
    let url = origin.url();
    TestServer::start(builder(), move || shared(set(ReverseProxy::to(&url))))
}

fn builder() -> Builder {
    let limits = Limits::default().with(|limits| limits.body_bytes_max = 1 << 30);
    Server::builder().limits(limits)
}

/// Our own server behind the proxy, which sends each message of a WebSocket back.
fn websocket_echo(builder: Builder) -> TestServer {
    TestServer::start_plain(builder, || {
        shared(async |request: Request<'_>| {
            let options = WebSocketOptions::new();
            websocket::upgrade(request, &options, async |mut socket: WebSocket| {
                while let Some(message) = socket.next().await? {
                    socket.send(&message).await?;
                }
                Ok(())
            })
            .await
        })
    })
}

/// A time in which an event on loopback has happened, if it happens at all.
const SOON: Duration = Duration::from_millis(300);

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
