//! Claims about the `web` parts: routes, files, and all of them together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod around;
mod auth;
mod cgi;
mod compress;
mod error_responses;
mod files;
mod health;
mod inspect;
mod nesting;
mod proxy;
mod routes;
mod session;
mod together;
mod tower;
mod trace;
mod websocket;
