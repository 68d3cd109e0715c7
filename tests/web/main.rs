//! Claims about the `web` parts: routes, files, and all of them together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod files;
mod routes;
mod together;
