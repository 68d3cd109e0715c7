//! What the fuzzers run: each target is a function of the bytes it is given, and panics when
//! something is not as it has to be.
//!
//! The oracles are plain modules in `oracle/`, so that the project's own tests replay the corpus
//! with them. Only what needs hyper is here.

#[path = "../oracle/mod.rs"]
mod oracle;
mod theirs;

pub use oracle::answer::answer;
pub use oracle::chunked::chunked;
pub use oracle::connection::connection;
pub use oracle::head::head;
pub use oracle::websocket::websocket;

/// Bytes read by this server and by hyper, which have to make the same of the first request in
/// them, but for what `differences.md` explains.
///
/// # Panics
///
/// When there is another difference.
pub fn differential(bytes: &[u8]) {
    let (ours, theirs) = (oracle::differential::ours(bytes), theirs::read(bytes));
    oracle::differential::compare(bytes, &ours, &theirs);
}

/// What both make of it, in a line: ours, theirs, and why they differ if they do.
///
/// # Panics
///
/// As [`differential`].
#[must_use]
pub fn verdicts(bytes: &[u8]) -> String {
    let (ours, theirs) = (oracle::differential::ours(bytes), theirs::read(bytes));
    let words = oracle::differential::compare(bytes, &ours, &theirs);
    format!("{ours}\t{theirs}\t{}", words.unwrap_or("-"))
}
