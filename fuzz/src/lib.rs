//! What the fuzzers run: each target is a function of the bytes it is given, and panics when
//! something is not as it has to be.
//!
//! The oracles are plain modules in `oracle/`, so that the project's own tests replay the corpus
//! with them.

#[path = "../oracle/mod.rs"]
mod oracle;

pub use oracle::chunked::chunked;
pub use oracle::connection::connection;
pub use oracle::head::head;
