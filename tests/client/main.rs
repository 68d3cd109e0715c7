//! Claims about the HTTP client: its bytes, its connections, its time limits, and servers of other projects.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod counterparts;
mod exchange;
mod limits;
mod parts;
mod pool;
mod redirects;
mod scripted;
mod tls;
mod uploads;
