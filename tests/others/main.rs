//! Claims about the work of other projects: clients, conformance suites, five other servers, a browser, and the
//! first project of a reader of README.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod clients;
mod https;
mod parity;
mod readme;
mod suites;
mod websockets;
