//! Services of the tower ecosystem as handlers, such as a `Router` of axum, and handlers as services.
//!
//! ```
//! use std::convert::Infallible;
//! use std::future::{Ready, ready};
//! use std::task::{Context, Poll};
//!
//! use tower_service::Service;
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::web::tower::{RequestBody, from_service};
//! use waterwheel::runtime::block_on;
//!
//! #[derive(Clone)]
//! struct Hello;
//!
//! impl Service<http::Request<RequestBody>> for Hello {
//!     type Response = http::Response<String>; // any `http_body::Body`
//!     type Error = Infallible;
//!     type Future = Ready<Result<Self::Response, Infallible>>;
//!
//!     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
//!         ready(Ok(http::Response::new(format!("hello from {}", request.uri()))))
//!     }
//! }
//!
//! block_on(async {
//!     let mut client = TestClient::new(from_service(Hello));
//!     assert_eq!(client.get("/mill").await.text(), "hello from /mill");
//! });
//! ```
//!
//! With axum, `from_service(router)` is the whole of it. `tests/ecosystem/examples/axum_on_waterwheel.rs` has such a
//! router, with HTTP/2 by hyper on the same port. `examples/axum_on_waterwheel` has such a router, with HTTP/2
//! on the same port.
//!
//! # What works
//!
//! | | |
//! |---|---|
//! | bodies | both directions stream, with back-pressure and trailers, at the same time |
//! | `Expect: 100-continue` | is answered when the service first polls the body |
//! | facts about the connection | are among the extensions of the request: [`ConnectionFacts`], and all that the transport has noted, such as `tls::TlsInfo` |
//! | a client that leaves | drops the service's future, if [`OnDisconnect::DropHandler`](crate::OnDisconnect::DropHandler) is set |
//! | an error or a panic of the service | is that of a handler: 500, and a line in the log |
//! | `hyper::upgrade::on`, and so axum's `ws` | does not work; use [`Request::upgrade`](crate::Request::upgrade) |
//! | `tokio::spawn`, tokio's timers and sockets | need tokio's runtime; see `waterwheel::guide::ecosystem` |
//!
//! # How it works
//!
//! The body of our request is borrowed from its connection. A service needs one of its own that is `Send`. So one
//! future drives the service and also moves pieces of the body into a slot that both share. A piece moves only when the
//! service asks for one.
//!
//! # Invariants
//!
//! - Always: the body is pumped while the service runs, and while its answer is written.
//! - Never: more than one piece of the body in memory.

mod body;
mod service;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tower_service::Service;

use crate::error::{Error, Result};
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;

pub use body::RequestBody;
pub use service::{AnswerStream, HandlerService, into_service};

/// The addresses of a connection, among the extensions of a service's request.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::tower::ConnectionFacts;
///
/// fn peer<B>(request: &http::Request<B>) -> Option<std::net::SocketAddr> {
///     request.extensions().get::<ConnectionFacts>()?.peer
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionFacts {
    /// The address of the client, if the transport has addresses.
    pub peer: Option<SocketAddr>,
    /// The address of the server's end, if the transport has addresses.
    pub local: Option<SocketAddr>,
}

/// Makes a handler of a service. Each request gets a clone of the service, and waits until that is ready.
///
/// # Examples
///
/// ```
/// use tower_service::Service;
/// use waterwheel::http::web::tower::{RequestBody, from_service};
/// use waterwheel::http::{Error, Handler};
///
/// fn handler<S>(service: S) -> impl Handler
/// where
///     S: Service<http::Request<RequestBody>, Response = http::Response<String>> + Clone + 'static,
///     S::Error: Into<Error>,
/// {
///     from_service(service)
/// }
/// ```
pub fn from_service<S, B>(service: S) -> impl Handler
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>> + Clone + 'static,
    S::Error: Into<Error>,
    B: http_body::Body,
    B::Error: Into<Error>,
{
    async move |request: Request<'_>| {
        let mut service = service.clone();
        let (body, mut pump) = body::pair(request.body());
        let converted = converted(&request, body)?;
        let response = {
            let call = pin!(async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(converted).await
            });
            pump.during(call).await.map_err(Into::into)?
        };
        answer(request, response, &mut pump).await
    }
}

/// Returns the request as one of the `http` crate.
fn converted(request: &Request<'_>, body: RequestBody) -> Result<http::Request<RequestBody>> {
    let uri = request.target().parse::<http::Uri>()?;
    let mut converted = http::Request::new(body);
    *converted.method_mut() = request.method().clone();
    *converted.uri_mut() = uri;
    *converted.version_mut() = request.version();
    *converted.headers_mut() = request.headers().to_header_map();
    let connection = request.connection();
    if let Some(facts) = connection.extensions() {
        *converted.extensions_mut() = facts.clone();
    }
    converted.extensions_mut().insert(ConnectionFacts {
        peer: connection.peer_address(),
        local: connection.local_address(),
    });
    Ok(converted)
}

/// Sends the answer of a service.
async fn answer<B>(
    request: Request<'_>,
    response: http::Response<B>,
    pump: &mut body::Pump<'_>,
) -> Result<Responded>
where
    B: http_body::Body,
    B::Error: Into<Error>,
{
    let (mut parts, body) = response.into_parts();
    // How the end of the body is found is the server's decision.
    parts.headers.remove(TRANSFER_ENCODING);
    if let Some(length) = body.size_hint().exact()
        && !parts.status.is_informational()
        && parts.status != http::StatusCode::NO_CONTENT
        && parts.status != http::StatusCode::NOT_MODIFIED
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    let start = pin!(request.start(parts.status, parts.headers));
    let sending = pump.during(start).await?;
    let send = pin!(sending.send_body(body));
    pump.during(send).await
}
