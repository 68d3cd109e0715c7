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
//! The errors of the service and of its body are any that become a `Box<dyn Error + Send + Sync>`, as those of tower's
//! middleware. With axum, `from_service(router)` is the whole of it. `tests/ecosystem/examples/axum_on_waterwheel.rs`
//! has such a router, with HTTP/2 by hyper on the same port.
//!
//! # What works
//!
//! | | |
//! |---|---|
//! | bodies | both directions stream, with back-pressure and trailers, at the same time |
//! | `Expect: 100-continue` | is answered when the service first polls the body |
//! | facts about the connection | are among the extensions of the request: [`ConnectionFacts`], and all that the transport has noted, such as `tls::TlsInfo` |
//! | a prefix ([`Router::nest`](crate::web::routes::Router::nest)) | the service receives the whole path, unlike a service of axum's `nest_service`. So nest the routes of an axum `Router` there, too |
//! | a client that leaves | drops the service's future, if [`OnDisconnect::DropHandler`](crate::OnDisconnect::DropHandler) is set |
//! | an error or a panic of the service | is that of a handler: 500, and a line in the log. An error of the request's body keeps its status, such as 413 |
//! | fields about another connection (Connection, Keep-Alive, Transfer-Encoding) | are removed, except `close` and `upgrade` |
//! | the Trailer field of an answer without a Content-Length | makes it chunked, so that its trailers are sent |
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

use std::error::Error as StdError;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tower_service::Service;

use crate::error::{Error, Result};
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::headers::white_space::members;

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
/// use waterwheel::http::Handler;
///
/// fn handler<S>(service: S) -> impl Handler
/// where
///     S: Service<http::Request<RequestBody>, Response = http::Response<String>> + Clone + 'static,
///     S::Error: Into<Box<dyn std::error::Error + Send + Sync>>, // as of most middleware of tower
/// {
///     from_service(service)
/// }
/// ```
pub fn from_service<S, B>(service: S) -> impl Handler
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
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
            pump.during(call).await.map_err(unboxed)?
        };
        answer(request, response, &mut pump).await
    }
}

/// The error of most middleware of tower. Each error that is `Send` becomes one.
type BoxError = Box<dyn StdError + Send + Sync>;

fn unboxed(error: impl Into<BoxError>) -> Error {
    Error::boxed(error.into())
}

/// Returns the request as one of the `http` crate.
fn converted(request: &Request<'_>, body: RequestBody) -> Result<http::Request<RequestBody>> {
    let uri = request.target().parse::<http::Uri>()?;
    let has_host = uri.authority().is_some();
    let mut converted = http::Request::new(body);
    *converted.method_mut() = request.method().clone();
    *converted.uri_mut() = uri;
    *converted.version_mut() = request.version();
    let headers = converted.headers_mut();
    *headers = request.headers().to_header_map();
    // The host of an absolute target takes the place of the field's (RFC 9112, 3.2.2).
    if let (true, Some(host)) = (has_host, request.host()) {
        headers.insert(HOST, host.parse()?);
    }
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
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = response.into_parts();
    let headers = &mut parts.headers;
    remove_hop_by_hop(headers);
    let length = body.size_hint().exact();
    announce_length(request.method(), parts.status, length, headers);
    let start = pin!(request.start(parts.status, parts.headers));
    let sending = pump.during(start).await?;
    let send = pin!(sending.send_body_or(body, unboxed));
    pump.during(send).await
}

/// Removes the fields that are about another connection (RFC 9110, 7.6.1). A service that passes the answer of
/// another server on has them among its own.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // How the end of the body is found is the server's decision.
    headers.remove(TRANSFER_ENCODING);
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    let values: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    headers.remove(CONNECTION);
    for member in values.iter().flat_map(|value| members(value.as_bytes())) {
        if member.eq_ignore_ascii_case(b"close") {
            headers.append(CONNECTION, HeaderValue::from_static("close"));
        } else if member.eq_ignore_ascii_case(UPGRADE.as_str().as_bytes()) {
            headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
        } else if let Ok(member) = str::from_utf8(member) {
            headers.remove(member);
        }
    }
}

/// Sets or removes the Content-Length of an answer.
fn announce_length(
    method: &Method,
    status: StatusCode,
    length: Option<u64>,
    headers: &mut HeaderMap,
) {
    match status {
        // axum sets the length of the empty body for all of these. They have none (RFC 9110, 8.6).
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => {
            headers.remove(CONTENT_LENGTH);
            headers.remove(TRAILER);
        }
        // A router has removed the body, so the length of the answer to GET is unknown.
        _ if *method == Method::HEAD && length == Some(0) => {}
        _ if status.is_informational() => {}
        _ => {
            // Trailers need chunks.
            let has_trailers = headers.contains_key(TRAILER);
            if let Some(length) = length
                && !has_trailers
            {
                headers.entry(CONTENT_LENGTH).or_insert(length.into());
            }
        }
    }
    if headers.contains_key(CONTENT_LENGTH) {
        headers.remove(TRAILER);
    }
}
