//! What sites are made of, each piece behind a feature of its name.
//!
//! | feature | what it is |
//! |---|---|
//! | `middleware` | access log, request ids, limits, handlers that block |
//! | `cookies` | `Set-Cookie` fields |
//! | `events` | server-sent events |
//! | `files` | folders of static files; and `range`, `coding`, of which they are made |
//! | `input`, `json` | queries, forms, JSON, cookies, credentials |
//! | `multipart` | forms with files in them |
//! | `response` | responses as values; and, as for `files`, `conditional` requests |
//! | `routes` | which handler answers what |
//! | `templates` | pages |
//!
//! Begin with `routes`: its first page has a whole program, and what its handlers take and give back
//! leads to `input` and `response`. `examples/site.rs` has most of it together on one screen.
//!
//! None of it is known to the server: a router is a [`Handler`](crate::Handler) like any other, a
//! response sends itself through [`Request::respond`](crate::Request::respond), and what reads a
//! request reads what every handler can.

#[cfg(feature = "files")]
pub mod coding;
#[cfg(any(feature = "files", feature = "response"))]
pub mod conditional;
#[cfg(any(feature = "files", feature = "response"))]
mod date;
#[cfg(feature = "events")]
pub mod events;
#[cfg(feature = "files")]
pub mod files;
#[cfg(any(feature = "files", feature = "response"))]
mod html;
#[cfg(feature = "input")]
pub mod input;
#[cfg(feature = "middleware")]
pub mod middleware;
#[cfg(feature = "multipart")]
pub mod multipart;
#[cfg(any(feature = "input", feature = "multipart"))]
mod parameters;
#[cfg(any(feature = "files", feature = "routes"))]
mod percent;
#[cfg(feature = "files")]
pub mod range;
#[cfg(feature = "response")]
pub mod response;
#[cfg(feature = "routes")]
pub mod routes;
#[cfg(any(
    feature = "events",
    feature = "files",
    feature = "input",
    feature = "multipart",
    feature = "response"
))]
mod single;
#[cfg(feature = "templates")]
pub mod templates;
#[cfg(any(feature = "files", feature = "input"))]
mod weight;
