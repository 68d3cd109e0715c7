//! What stands around a handler: a handler goes in, a handler comes out.
//!
//! ```no_run
//! use std::time::Duration;
//! use waterwheel_http::web::middleware::{access_log, request_ids, time_limit};
//! use waterwheel_http::{Request, Responded, Result, Server, StatusCode};
//! use waterwheel_runtime::block_on;
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
//! [`access_log`] and [`request_ids`] tell of requests, [`time_limit`] and [`at_most`] hold handlers to
//! something, and [`blocking`] makes a handler of a plain function that may take its time.
//!
//! A wrapper does not see requests that the server refuses before a handler. For these, let
//! [`Server::on_refusal`](crate::Server::on_refusal) write to the same log.
//!
//! The outermost sees a request first and its answer last: ids outside the log, so that the log has
//! them; the log outside the limits, so that it has what they refuse.
//!
//! All of it rests on what any handler can do. Write your own the same way:
//!
//! ```
//! use waterwheel_http::{Handler, Request};
//!
//! fn unframed(handler: impl Handler) -> impl Handler {
//!     async move |request: Request<'_>| {
//!         request.add_header("x-frame-options", "deny")?;
//!         handler.call(request).await
//!     }
//! }
//! # drop(unframed(async |request: Request<'_>| Ok(request.abort())));
//! ```

mod blocking;
mod id;
mod limit;
mod log;
mod writer;

pub use blocking::{OwnedRequest, blocking, blocking_on};
pub use id::{REQUEST_ID, request_ids};
pub use limit::{at_most, time_limit};
pub use log::{CombinedLine, End, JsonLine, LogEntry, access_log};
pub use writer::LineWriter;
