//! Parts of a site. Each part is a feature.
//!
//! | feature | contents |
//! |---|---|
//! | `auth` | Basic and bearer authentication around a handler |
//! | `cgi` | programs as handlers, by CGI; not part of `web` |
//! | `client-address` | the client behind a proxy: PROXY protocol, `Forwarded`, `X-Forwarded-For` |
//! | `compress` | compression of answers; `compress-brotli` and `compress-zstd` add codings |
//! | `cookies` | `Set-Cookie` fields |
//! | `events` | server-sent events |
//! | `files` | folders of static files, with `range`, `coding` and `conditional` |
//! | `health` | `/healthz` and `/readyz` |
//! | `input`, `json` | queries, forms, JSON, cookies, credentials |
//! | `inspect` | a page that shows a runtime at work; not part of `web` |
//! | `middleware` | access log, request ids, limits, CORS, CSRF, security headers, handlers that block |
//! | `multipart` | forms with files |
//! | `proxy` | a reverse proxy; not part of `web` |
//! | `response` | responses as values, with `conditional` |
//! | `routes` | a router |
//! | `sessions` | sessions in a cookie or a store, and flash messages; not part of `web` |
//! | `templates` | pages |
//! | `tower` | services of tower, such as axum's, as handlers; not part of `web` |
//! | `trace` | a span of `tracing` for each request, with `traceparent` |
//! | `websocket` | WebSockets; not part of `web` |
//!
//! Begin with `routes`: its first page has a whole program. The arguments of its handlers lead to `input`,
//! and their values to `response`. `examples/site.rs` shows most parts together on one screen.
//!
//! The server knows none of these modules. A router is a [`Handler`](crate::Handler) like any other. A
//! response is sent through [`Request::respond`](crate::Request::respond).

#[cfg(feature = "auth")]
#[cfg_attr(docsrs, doc(cfg(feature = "auth")))]
pub mod auth;
#[cfg(feature = "cgi")]
#[cfg_attr(docsrs, doc(cfg(feature = "cgi")))]
pub mod cgi;
#[cfg(feature = "response")]
mod challenge;
#[cfg(feature = "client-address")]
#[cfg_attr(docsrs, doc(cfg(feature = "client-address")))]
pub mod client_address;
#[cfg(any(feature = "compress", feature = "files"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "compress", feature = "files"))))]
pub mod coding;
#[cfg(feature = "compress")]
#[cfg_attr(docsrs, doc(cfg(feature = "compress")))]
pub mod compress;
#[cfg(any(feature = "files", feature = "response"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "files", feature = "response"))))]
pub mod conditional;
#[cfg(any(feature = "files", feature = "response"))]
mod date;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod events;
#[cfg(feature = "files")]
#[cfg_attr(docsrs, doc(cfg(feature = "files")))]
pub mod files;
#[cfg(any(feature = "cgi", feature = "proxy"))]
mod gateway;
#[cfg(feature = "health")]
#[cfg_attr(docsrs, doc(cfg(feature = "health")))]
pub mod health;
#[cfg(any(feature = "files", feature = "response"))]
mod html;
#[cfg(feature = "input")]
#[cfg_attr(docsrs, doc(cfg(feature = "input")))]
pub mod input;
#[cfg(feature = "inspect")]
#[cfg_attr(docsrs, doc(cfg(feature = "inspect")))]
pub mod inspect;
#[cfg(feature = "middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "middleware")))]
pub mod middleware;
#[cfg(feature = "multipart")]
#[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
pub mod multipart;
#[cfg(any(
    feature = "cgi",
    feature = "files",
    feature = "proxy",
    feature = "routes"
))]
mod nested;
#[cfg(any(feature = "middleware", feature = "websocket"))]
mod origin;
#[cfg(any(feature = "client-address", feature = "input", feature = "multipart"))]
mod parameters;
#[cfg(any(feature = "cgi", feature = "files", feature = "routes"))]
mod percent;
#[cfg(feature = "proxy")]
#[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
pub mod proxy;
#[cfg(feature = "files")]
#[cfg_attr(docsrs, doc(cfg(feature = "files")))]
pub mod range;
#[cfg(feature = "response")]
#[cfg_attr(docsrs, doc(cfg(feature = "response")))]
pub mod response;
#[cfg(feature = "routes")]
#[cfg_attr(docsrs, doc(cfg(feature = "routes")))]
pub mod routes;
#[cfg(any(
    feature = "cgi",
    feature = "middleware",
    feature = "proxy",
    feature = "sessions",
    feature = "websocket"
))]
mod scheme;
#[cfg(feature = "sessions")]
#[cfg_attr(docsrs, doc(cfg(feature = "sessions")))]
pub mod session;
#[cfg(any(
    feature = "events",
    feature = "files",
    feature = "input",
    feature = "middleware",
    feature = "multipart",
    feature = "response",
    feature = "websocket"
))]
mod single;
#[cfg(feature = "templates")]
#[cfg_attr(docsrs, doc(cfg(feature = "templates")))]
pub mod templates;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub mod tower;
#[cfg(feature = "trace")]
#[cfg_attr(docsrs, doc(cfg(feature = "trace")))]
pub mod trace;
#[cfg(any(feature = "middleware", feature = "trace"))]
mod unique;
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub mod websocket;
#[cfg(any(feature = "compress", feature = "files", feature = "input"))]
mod weight;
