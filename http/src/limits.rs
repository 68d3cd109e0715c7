//! What a peer may ask of the server: how many bytes, how many fields, how long.
//!
//! Every limit is on from the start and all of them stand in one struct, so that this file
//! is the whole table. Start from [`Limits::DEFAULT`] and name what differs:
//!
//! ```
//! use waterwheel_http::Limits;
//!
//! let limits = Limits { body_bytes_max: 64 * 1024 * 1024, ..Limits::default() };
//! ```
//!
//! | what | limit | default | beyond it |
//! |---|---|---|---|
//! | empty lines before a request line | `empty_lines_max` | 2 | 400 |
//! | request target | `target_bytes_max` | 8 KiB | 414 |
//! | one field line | `field_line_bytes_max` | 8 KiB | 431 |
//! | fields | `fields_max` | 100 | 431 |
//! | the whole head | `head_bytes_max` | 32 KiB | 431 |
//! | body | `body_bytes_max` | 8 MiB | 413 |
//! | one chunk's size line | `chunk_line_bytes_max` | 256 bytes | 400 |
//! | chunk extensions of one body | `chunk_extension_bytes_max` | 16 KiB | 400 |
//! | trailer section | `trailer_bytes_max` | 8 KiB | 431 |
//! | trailer fields | `trailer_fields_max` | 32 | 431 |
//! | a handshake of [`Builder::transport`](crate::Builder::transport) | `handshake_duration_max` | 10 s | closed |
//! | handshakes under way | `handshakes_max` | 1,024 | the oldest is closed |
//! | connections | `connections_max` | none | wait in the queue |
//! | connections of one address (of a /64 in v6) | `connections_per_peer_max` | none | 429, or as [`Builder::on_peer_limit`](crate::Builder::on_peer_limit) says |
//! | requests on one connection | `requests_max` | none | closed after the last |
//! | unread body read to keep the connection | `drain_bytes_max` | 256 KiB | closed |
//! | a head, from its first byte | `head_duration_max` | 10 s | 408 |
//! | idle between requests | `idle_duration_max` | 75 s | closed |
//! | no byte of the body | `body_stall_duration_max` | 30 s | 408 |
//! | the body's rate, on average | `body_bytes_per_second_min` | 64 | 408 |
//! | no byte of the answer taken | `write_stall_duration_max` | 30 s | reset |
//! | a handler | `handler_duration_max` | none | 503 |
//! | reading on after a last answer | `linger_duration_max` | 30 s | closed |
//! | no byte meanwhile | `linger_stall_duration_max` | 5 s | closed |
//! | what is under way when the server ends | `shutdown_duration_max` | 10 s | cut |
//!
//! **Always**: a length limit is inclusive, what is exactly as long passes; bytes are
//! counted while they arrive, so nothing can be stretched by sending it slowly.
//! **Never**: a head above 65,535 bytes, since its positions are `u16`; the types say so.

use std::time::Duration;

/// What a peer may ask of the server, in bytes, counts and time.
///
/// Plain data: set what differs, take the rest from [`Limits::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Empty lines read past before a request line (RFC 9112, 2.2).
    pub empty_lines_max: u8,
    /// Bytes of a request target; beyond it the answer is 414 (RFC 9112, 3).
    pub target_bytes_max: u16,
    /// Bytes of one field line without its line end; beyond it 431 (RFC 9110, 5.4).
    pub field_line_bytes_max: u16,
    /// Fields of one head; beyond it 431.
    pub fields_max: u16,
    /// Bytes of a head with everything in it, empty lines before and after included; beyond it 431.
    pub head_bytes_max: u16,
    /// Bytes of a request's content, however it is framed; beyond it 413.
    pub body_bytes_max: u64,
    /// Bytes of one chunk's size line, leading zeros and extensions included, line end not (RFC 9112,
    /// 7.1).
    pub chunk_line_bytes_max: u16,
    /// Bytes of all the chunk extensions of one body together, and of the zeros by which a size has more
    /// than sixteen digits (RFC 9112, 7.1 and 7.1.1).
    pub chunk_extension_bytes_max: u32,
    /// Bytes of a trailer section with its last empty line; beyond it 431.
    pub trailer_bytes_max: u16,
    /// Fields of a trailer section; beyond it 431.
    pub trailer_fields_max: u16,
    /// Time for the handshake of a transport, from accept
    /// ([`Builder::transport`](crate::Builder::transport)). The time for the first head begins behind
    /// it. 10 s by default.
    pub handshake_duration_max: Duration,
    /// Handshakes under way at once. Beyond it the oldest one gives way to a new one, and its
    /// connection is closed. 1,024 by default; 0 counts as 1.
    pub handshakes_max: usize,
    /// Connections open at once, `None` for as many as there are descriptors for.
    pub connections_max: Option<usize>,
    /// Connections open at once from one address (from one /64 in v6), `None` for any number; beyond it
    /// 429 by default, see [`Builder::on_peer_limit`](crate::Builder::on_peer_limit).
    pub connections_per_peer_max: Option<usize>,
    /// Requests served on one connection before it is closed, `None` for any number.
    pub requests_max: Option<u64>,
    /// Bytes of an unread body that are read and discarded to keep the connection.
    pub drain_bytes_max: u64,
    /// Time for a whole head, from its first byte (for the first request, from accept).
    pub head_duration_max: Duration,
    /// Time a connection may stay without a request.
    pub idle_duration_max: Duration,
    /// Time without a byte of a body that is being read.
    pub body_stall_duration_max: Duration,
    /// Bytes a second a body must bring on average, once it takes longer than a stall may.
    pub body_bytes_per_second_min: u32,
    /// Time in which a peer takes no byte of an answer. Then the connection is reset, so that the
    /// kernel does not keep what is left of it.
    pub write_stall_duration_max: Duration,
    /// Time for a handler, `None` for as long as it likes.
    pub handler_duration_max: Option<Duration>,
    /// Time for which a connection is read on after its last answer, and what comes is discarded, so
    /// that the answer arrives whole (RFC 9112, 9.6). It begins when the transport has taken all of the
    /// answer and the end. When it is over, the connection is closed: a client that still sends loses
    /// what it has not read by then.
    ///
    /// 30 s by default, as nginx's `lingering_time`. When room is needed, a connection that lingers
    /// gives way sooner.
    pub linger_duration_max: Duration,
    /// The longest pause between two bytes that come meanwhile. While the server ends, it is 1 s at the
    /// most. 5 s by default, as nginx's `lingering_timeout`.
    pub linger_stall_duration_max: Duration,
    /// Time for what is under way when the server is stopped.
    pub shutdown_duration_max: Duration,
}

impl Limits {
    /// The table above.
    pub const DEFAULT: Self = Self {
        empty_lines_max: 2,
        target_bytes_max: 8 * 1024,
        field_line_bytes_max: 8 * 1024,
        fields_max: 100,
        head_bytes_max: 32 * 1024,
        body_bytes_max: 8 * 1024 * 1024,
        chunk_line_bytes_max: 256,
        chunk_extension_bytes_max: 16 * 1024,
        trailer_bytes_max: 8 * 1024,
        trailer_fields_max: 32,
        handshake_duration_max: Duration::from_secs(10),
        handshakes_max: 1024,
        connections_max: None,
        connections_per_peer_max: None,
        requests_max: None,
        drain_bytes_max: 256 * 1024,
        head_duration_max: Duration::from_secs(10),
        idle_duration_max: Duration::from_secs(75),
        body_stall_duration_max: Duration::from_secs(30),
        body_bytes_per_second_min: 64,
        write_stall_duration_max: Duration::from_secs(30),
        handler_duration_max: None,
        linger_duration_max: Duration::from_secs(30),
        linger_stall_duration_max: Duration::from_secs(5),
        shutdown_duration_max: Duration::from_secs(10),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bytes of a method. The longest registered one has 17; a longer one than we could ever
/// mean is answered 501 (RFC 9112, 3).
pub(crate) const METHOD_BYTES_MAX: usize = 64;

/// Bytes of the longest request line without target: method, two spaces, version, line end.
const LINE_BYTES_BESIDE_TARGET: usize = METHOD_BYTES_MAX + 1 + 1 + 8 + 2;

const _: () = {
    let limits = Limits::DEFAULT;
    // RFC 9112, 3: request lines of 8,000 bytes at the least should be understood.
    assert!(limits.target_bytes_max as usize + LINE_BYTES_BESIDE_TARGET >= 8_000);
    // The longest request line and the longest field line fit into one head.
    assert!(
        LINE_BYTES_BESIDE_TARGET
            + limits.target_bytes_max as usize
            + limits.field_line_bytes_max as usize
            <= limits.head_bytes_max as usize
    );
    // Trailers are never freer than headers.
    assert!(limits.trailer_bytes_max <= limits.head_bytes_max);
    assert!(limits.trailer_fields_max <= limits.fields_max);
    // Sixteen digits and a line end fit into a chunk's size line.
    assert!(limits.chunk_line_bytes_max > 18);
    // We do not read further for a connection than for a request.
    assert!(limits.drain_bytes_max <= limits.body_bytes_max);
    assert!(limits.linger_stall_duration_max.as_secs() < limits.linger_duration_max.as_secs());
    // A last answer holds no place for longer than an idle connection does.
    assert!(limits.linger_duration_max.as_secs() < limits.idle_duration_max.as_secs());
    assert!(limits.head_duration_max.as_secs() < limits.idle_duration_max.as_secs());
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_limit_is_changed_without_naming_the_others() {
        let limits = Limits {
            fields_max: 3,
            ..Limits::default()
        };
        assert_eq!(limits.fields_max, 3);
        assert_eq!(limits.head_bytes_max, Limits::DEFAULT.head_bytes_max);
    }
}
