//! A single-threaded async runtime, and an async HTTP/1.1 server on top of it.
//!
//! Handlers are plain async functions, and their state need not be `Send`. The accept loop is yours: the server
//! tells you if the process has room for another connection, and you decide. Both crates have no `unsafe` code.
//!
//! ```no_run
//! use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
//! use waterwheel::runtime::{block_on, signal};
//!
//! async fn hello(request: Request<'_>) -> Result<Responded> {
//!     request.respond(StatusCode::OK, "Hello World", [("content-type", "text/plain")]).await
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     block_on(async {
//!         let server = Server::bind("127.0.0.1:8080")?;
//!         let shutdown = signal::shutdown(); // from here on, Ctrl-C and SIGTERM end the server well
//!         println!("listening on http://{}", server.local_address());
//!         println!("{}", server.serve_until(hello, shutdown).await?);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # Where to begin
//!
//! | to | read |
//! |---|---|
//! | serve requests | [`http`]: the tour, from `bind` to the end of a server |
//! | write the accept loop | [`Server`](http::Server) |
//! | build a site from parts | [`http::web`], above all [its router](http::web::routes) |
//! | limit what clients may use | [`Limits`](http::Limits), one table of all limits with their defaults |
//! | serve HTTPS | [`http::tls`] |
//! | send requests | [`http::client`] |
//! | pass requests on to other servers | [`http::web::proxy`] |
//! | put sessions, CORS, rate limits or a log around handlers | [`http::web::middleware`] and [`http::web::session`] |
//! | test handlers | [`http::testing`] |
//! | run a server on the internet | [`guide::production`] |
//! | run tasks, timers and sockets without HTTP | [`runtime`] |
//! | connect a database, tokio or axum | [`guide::ecosystem`] |
//! | understand a compile error | [`guide::compile_errors`] |
//! | choose a runtime | [`guide::comparison`] |
//!
//! # Features
//!
//! The default has none of these. The name of a feature goes into `features = […]` of the dependency `waterwheel`.
//!
//! | feature | adds |
//! |---|---|
//! | `web` | most parts of a site, which are the features from `auth` to `trace` below |
//! | `auth` | Basic and bearer authentication ([`http::web::auth`]) |
//! | `client-address` | the client behind a proxy: PROXY protocol, `Forwarded`, `X-Forwarded-For` ([`http::web::client_address`]) |
//! | `compress` | compressed answers: gzip and deflate ([`http::web::compress`]) |
//! | `cookies` | `Set-Cookie` ([`Response::with_cookie`](http::web::response::Response::with_cookie)) |
//! | `events` | server-sent events ([`http::web::events`]) |
//! | `files` | folders of static files ([`http::web::files`]) |
//! | `health` | `/healthz` and `/readyz` ([`http::web::health`]) |
//! | `input` | queries, forms, cookies, credentials ([`http::web::input`]) |
//! | `json` | JSON in and out ([`input::json`](http::web::input::json()), [`response::Json`](http::web::response::Json), and that of the client) |
//! | `middleware` | access log, request ids, limits on handlers and on clients, CORS, CSRF, security headers, handlers that block ([`http::web::middleware`]) |
//! | `multipart` | forms with files ([`http::web::multipart`]) |
//! | `response` | responses as values ([`http::web::response`]) |
//! | `routes` | a router ([`http::web::routes`]) |
//! | `templates` | pages from templates ([`http::web::templates`]) |
//! | `trace` | a span for each request, and W3C Trace Context ([`http::web::trace`]) |
//!
//! `web` does not contain these:
//!
//! | feature | adds |
//! |---|---|
//! | `client` | an HTTP/1.1 client ([`http::client`]); for https it needs a feature of TLS, too, and for queries and forms `input` |
//! | `proxy` | a reverse proxy ([`http::web::proxy`]) |
//! | `tls` | HTTPS by rustls and `ring` ([`http::tls`]): 9 more crates |
//! | `tls-aws-lc-rs` | HTTPS with the cryptography of `aws-lc-rs`; with `tls` beside it, this one is the default |
//! | `tls-core` | HTTPS with a `CryptoProvider` of yours |
//! | `sessions` | sessions and flash messages ([`http::web::session`]) |
//! | `websocket` | WebSockets, by tungstenite and flate2 ([`http::web::websocket`]) |
//! | `compress-brotli`, `compress-zstd` | more codings for `compress` |
//! | `cgi` | programs as handlers, by CGI ([`http::web::cgi`]) |
//! | `tower` | services of tower, such as a `Router` of axum, as handlers, and handlers as services ([`http::web::tower`]) |
//! | `systemd` | READY, STOPPING and WATCHDOG for systemd ([`http::Systemd`]) |
//! | `prometheus` | the page that Prometheus reads ([`Numbers::to_prometheus`](http::Numbers::to_prometheus)) |
//! | `inspect` | why each task waits, what is wrong, what has happened, and a page that shows it ([`inspect`]) |
//! | `watch` | reports of tasks that hold the thread, in release builds too ([`runtime::watch`]) |
//! | `hyper` | hyper over the runtime's sockets, timers and tasks ([`runtime::hyper_rt`]) |
//! | `tokio-io` | wrappers between the streams of futures-io and those of tokio ([`runtime::tokio_io`]) |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod http;
#[cfg(feature = "inspect")]
#[cfg_attr(docsrs, doc(cfg(feature = "inspect")))]
pub mod inspect;
pub mod runtime;

// The pages are for readers, so the compiled crate has no empty modules.
#[cfg(any(doc, doctest))]
pub mod guide;

/// The snippets of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
