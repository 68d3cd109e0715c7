//! HTTP/1.1 on the wire, as plain functions from bytes to values and back.
//!
//! ```text
//! bytes in ─► head ──► request_line ─► target ─► authority
//!              │  ├──► head_cache: the same bytes as last time?
//!              │  └──► fields ◄───────────────────────────────┐
//!              ├─────► framing: the length of the body        │
//!              ├─────► keep_alive: the fate of the connection │
//!              ▼                                              │
//!             body ──► chunked ───────────────────────────────┘ (trailers)
//!
//! an answer ─► framing: how its end is found ─► encode: its head ─► chunked: its body
//!                                                 └─► answer_cache: the same as last time?
//! ```
//!
//! For the client, and for the client of tests, `answer_head` reads the head of an answer with `fields`, `framing` and
//! `keep_alive`. For the client, `request_head` writes that of a request. For the proxy and for services of tower,
//! `body_rest` finds the end of an answer's body.
//!
//! All of them use `scan`, which defines the classes of characters. Read them in the order head,
//! framing, chunked, encode, `keep_alive`.
//!
//! **Always**: there is one strict reading; a head that the RFC leaves ambiguous is refused. A head
//! has the same outcome, however many pieces it arrives in, and its cost is proportional to its length.
//! Only `framing` decides the length of a body. **Never**: a socket, a clock, an `async`; an `unwrap` on
//! bytes of a peer; an allocation for a head that fits the vector it is given.

pub(crate) mod answer_cache;
pub(crate) mod answer_head;
#[cfg(any(feature = "proxy", feature = "tower"))]
pub(crate) mod body_rest;
pub(crate) mod chunked;
pub(crate) mod encode;
pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod keep_alive;
#[cfg(feature = "client")]
pub(crate) mod request_head;

pub(crate) mod authority;
mod head_cache;
mod request_line;
pub(crate) mod scan;
mod target;
