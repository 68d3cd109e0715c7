//! Middleware: functions from a handler to a handler.
//!
//! ```no_run
//! use std::time::Duration;
//! use waterwheel::http::web::middleware::{access_log, request_ids, time_limit};
//! use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! async fn hello(request: Request<'_>) -> Result<Responded> {
//!     request.respond(StatusCode::OK, "Hello World", ()).await
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let patient = time_limit(Duration::from_secs(5), hello);
//! let logged = access_log(patient, |entry| eprintln!("{}", entry.combined()));
//! let known = request_ids(logged);
//! block_on(async { Server::bind("127.0.0.1:8080")?.serve(known).await })
//! # }
//! ```
//!
//! | | |
//! |---|---|
//! | reports | [`access_log`], [`request_ids`] |
//! | limits of a handler | [`time_limit`], [`at_most`], and of a client: [`RateLimit`] |
//! | pages of other sites | [`Cors`] lets them read answers, [`csrf`](fn@csrf) refuses their requests |
//! | more careful browsers | [`SecurityHeaders`] |
//! | functions that block | [`blocking`](fn@blocking) |
//!
//! Middleware does not see requests that the server refuses before it calls a handler. Let
//! [`Server::on_refusal`](crate::Server::on_refusal) write these to the same log.
//!
//! The outermost middleware sees a request first and its answer last. Put ids outside the log, so that the
//! log has them. Put the log outside the limits, so that it has the requests that they refuse.
//!
//! Middleware uses only the public API of handlers. Write your own in the same way:
//!
//! ```
//! use waterwheel::http::{Handler, Request};
//!
//! fn unframed(handler: impl Handler) -> impl Handler {
//!     async move |request: Request<'_>| {
//!         request.add_header("x-frame-options", "deny")?;
//!         handler.call(request).await
//!     }
//! }
//! # drop(unframed(async |request: Request<'_>| Ok(request.abort())));
//! ```
//!
//! [`Extensions`](crate::Extensions) hand a value from middleware to the handler, such as the authenticated user.
//! Middleware that refuses a request returns a [`ClientError`](crate::ClientError), which
//! [`error_responses`](crate::Builder::error_responses) can turn into JSON. `examples/middleware.rs` does both. A
//! router is a handler, so middleware can stand around it, also below a prefix
//! ([`Router::nest`](crate::web::routes::Router::nest)).

mod blocking;
mod cors;
mod csrf;
mod id;
mod limit;
mod log;
mod rate_limit;
mod security_headers;
mod writer;

pub use blocking::{OwnedRequest, blocking, blocking_on};
pub use cors::Cors;
pub use csrf::{Csrf, csrf};
pub use id::{REQUEST_ID, request_ids};
pub use limit::{at_most, time_limit};
pub use log::{CombinedLine, End, JsonLine, LogEntry, access_log};
pub use rate_limit::RateLimit;
pub use security_headers::SecurityHeaders;
pub use writer::LineWriter;
