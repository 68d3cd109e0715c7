//! HTTP/1.1 on the wire, as plain functions from bytes to values and back.
//!
//! ```text
//! bytes in ─► head ──► request_line ─► target ─► authority
//!              │  ├──► known: the same bytes as last time?
//!              │  └──► fields ◄─────────────┐
//!              ├─────► framing: how long is the body?   keep_alive: and then?
//!              ▼                            │
//!             body ──► chunked ─────────────┘ (trailers)
//!
//! an answer ─► framing: which one does it get? ─► encode: its head ─► chunked: its body
//!                                                   └─► rendered: the same as last time?
//! ```
//!
//! All of them stand on `scan`, which knows the characters. To be read in the order head,
//! framing, chunked, encode, `keep_alive`.
//!
//! **Always**: one strict reading; what the RFC leaves ambiguous is refused. A head comes out
//! the same in however many pieces it came in, and costs in proportion to its bytes. Only `framing`
//! decides a body's length. **Never**: a socket, a clock, an `async`; an `unwrap` on what a
//! peer sent; an allocation for a head that fits the vector it is given.

pub(crate) mod answer_cache;
pub(crate) mod chunked;
pub(crate) mod encode;
pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod keep_alive;

mod authority;
mod head_cache;
mod request_line;
pub(crate) mod scan;
mod target;
