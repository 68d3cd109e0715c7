//! Claims about bytes: the answer to each sequence of bytes that a client can send.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod closing;
mod corpus;
mod literal;
mod rows;
