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
//! # Order
//!
//! The outermost middleware sees a request first and its answer last. Begin with the innermost, and put each further
//! one around it:
//!
//! ```
//! use std::time::Duration;
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::web::middleware::{Cors, Csrf, RateLimit, SecurityHeaders};
//! use waterwheel::http::web::middleware::{access_log, request_ids};
//! use waterwheel::http::{Method, Request, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! const APP: [&str; 1] = ["https://app.example.org"];
//!
//! // A router is a handler, too.
//! let site = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
//! let site = Csrf::new().trust(APP).around(site);
//! let site = RateLimit::new(100, Duration::from_secs(60)).around(site);
//! let site = Cors::of(APP).around(site);
//! let site = SecurityHeaders::new().around(site);
//! let site = access_log(site, |entry| eprintln!("{}", entry.combined()));
//! let site = request_ids(site);
//! block_on(async {
//!     let page = [("origin", APP[0]), ("sec-fetch-site", "same-site")];
//!     let answer = TestClient::new(site).request(&Method::POST, "/", &page, b"").await;
//!     assert_eq!(answer.status, StatusCode::OK);
//!     assert_eq!(answer.headers["access-control-allow-origin"], APP[0]);
//! });
//! ```
//!
//! | outside | inside | because |
//! |---|---|---|
//! | [`TrustedProxies`](crate::web::client_address::TrustedProxies) | the log, the rate limit | both use the address of the client, not of the proxy |
//! | ids | the log | the log has the id of each request |
//! | the log | all that may refuse | the log has the refused requests |
//! | [`Cors`] | [`RateLimit`], [`csrf`](fn@csrf) | a page can read a refusal, and preflights do not count |
//! | `traces` (`web::trace`) | the log | the span is around the lines of the log, too |
//! | [`RateLimit`], [`csrf`](fn@csrf) | `Sessions` (`web::session`) | a refused request loads no session |
//!
//! [`Cors`] and [`Csrf`] do not know each other. An origin that may send POST, PUT or DELETE needs both: [`Cors::of`]
//! and [`Csrf::trust`].
//!
//! # Around one route
//!
//! Middleware takes a [`Handler`](crate::Handler). A function that borrows the request and returns a value becomes one by
//! [`handler`](crate::web::routes::handler). For a part of a site, put the middleware around a router of its own, and
//! [`nest`](crate::web::routes::Router::nest) that:
//!
//! ```
//! use std::time::Duration;
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::web::middleware::{Cors, RateLimit};
//! use waterwheel::http::web::routes::{Router, handler};
//! use waterwheel::http::{Request, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! async fn log_in(request: &Request<'_>) -> String {
//!     format!("good morning at {}", request.path())
//! }
//!
//! let limited = RateLimit::new(1, Duration::from_secs(60))
//!     .by(|_| Some("all")) // by default each address; a client in memory has none
//!     .around(handler(log_in));
//! let api = Router::new().get("/stock", async || "7 sacks");
//! let site = Router::new()
//!     .get("/", async || "the mill")
//!     .post("/login", limited)
//!     .nest("/api", Cors::any().around(api));
//! block_on(async {
//!     let mut client = TestClient::new(site);
//!     assert_eq!(client.post("/login", "").await.status, StatusCode::OK);
//!     assert_eq!(client.post("/login", "").await.status, StatusCode::TOO_MANY_REQUESTS);
//!     assert_eq!(client.get("/").await.status, StatusCode::OK);
//! });
//! ```
//!
//! # Your own
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
mod log_line;
mod rate_limit;
mod security_headers;
mod writer;

pub use blocking::{OwnedRequest, blocking, blocking_on};
pub use cors::Cors;
pub use csrf::{Csrf, csrf};
pub use id::{REQUEST_ID, request_ids};
pub use limit::{at_most, time_limit};
pub use log::{End, LogEntry, access_log};
pub use log_line::{CombinedLine, JsonLine};
pub use rate_limit::RateLimit;
pub use security_headers::SecurityHeaders;
pub use writer::LineWriter;
