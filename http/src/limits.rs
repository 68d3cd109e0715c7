//! Limits on bytes, counts and time that a client may use. [`Limits`] has the table.
//!
//! # Invariants
//!
//! - Always: a length limit is inclusive, so a length equal to the limit passes. Bytes are counted as they
//!   arrive, so a slow sender gains no room.
//! - Never: a head above 65,535 bytes, because positions in a head are `u16`.

use std::time::Duration;

/// Limits on bytes, counts and time that a client may use.
///
/// Four limits are off by default, which is `None`: `connections_max`, `connections_per_peer_max`,
/// `requests_max` and `handler_duration_max`. All others are on. A length limit is inclusive: a length equal
/// to the limit passes.
///
/// | limit | default | what it limits | beyond it |
/// |---|---|---|---|
/// | [`empty_lines_max`](Self::empty_lines_max) | 2 lines | empty lines before a request line | 400 |
/// | [`target_bytes_max`](Self::target_bytes_max) | 8 KiB | a request target | 414 |
/// | [`field_line_bytes_max`](Self::field_line_bytes_max) | 8 KiB | one field line | 431 |
/// | [`fields_max`](Self::fields_max) | 100 fields | the fields of a head | 431 |
/// | [`head_bytes_max`](Self::head_bytes_max) | 32 KiB | a whole head | 431 |
/// | [`body_bytes_max`](Self::body_bytes_max) | 8 MiB | the content of a request | 413 |
/// | [`chunk_line_bytes_max`](Self::chunk_line_bytes_max) | 256 bytes | the size line of one chunk | 400 |
/// | [`chunk_extension_bytes_max`](Self::chunk_extension_bytes_max) | 16 KiB | the chunk extensions of one body | 400 |
/// | [`trailer_bytes_max`](Self::trailer_bytes_max) | 8 KiB | a trailer section | 431 |
/// | [`trailer_fields_max`](Self::trailer_fields_max) | 32 fields | the fields of a trailer section | 431 |
/// | [`handshake_duration_max`](Self::handshake_duration_max) | 10 s | a handshake of [`Builder::transport`](crate::Builder::transport) | closed |
/// | [`handshakes_max`](Self::handshakes_max) | 1,024 handshakes | handshakes under way | the oldest is closed |
/// | [`connections_max`](Self::connections_max) | none | open connections | wait in the queue of the kernel, or 503 ([`Builder::turn_away_when_full`](crate::Builder::turn_away_when_full)) |
/// | [`connections_per_peer_max`](Self::connections_per_peer_max) | none | open connections of one address, or of one /64 in v6 | 429, or see [`Builder::on_peer_limit`](crate::Builder::on_peer_limit) |
/// | [`requests_max`](Self::requests_max) | none | requests on one connection | closed after the last one |
/// | [`drain_bytes_max`](Self::drain_bytes_max) | 256 KiB | unread content that is discarded to keep the connection | closed |
/// | [`head_duration_max`](Self::head_duration_max) | 10 s | the arrival of a head | 408, or closed before its first byte |
/// | [`idle_duration_max`](Self::idle_duration_max) | 75 s | a connection between two requests | closed |
/// | [`body_stall_duration_max`](Self::body_stall_duration_max) | 30 s | a pause in the content | 408 |
/// | [`body_bytes_per_second_min`](Self::body_bytes_per_second_min) | 64 bytes/s | the average rate of the content, at least | 408 |
/// | [`write_stall_duration_max`](Self::write_stall_duration_max) | 30 s | a pause in which the client accepts no byte of the answer | reset |
/// | [`handler_duration_max`](Self::handler_duration_max) | none | a handler | 503 |
/// | [`linger_duration_max`](Self::linger_duration_max) | 30 s | reading after a last answer | closed |
/// | [`linger_stall_duration_max`](Self::linger_stall_duration_max) | 5 s | a pause in that reading | closed |
/// | [`unready_duration`](Self::unready_duration) | 0 s | accepting after the stop, while [`Server::is_ready`](crate::Server::is_ready) returns false | the shutdown begins |
/// | [`shutdown_duration_max`](Self::shutdown_duration_max) | 10 s | requests under way when the server stops | cut |
///
/// # Examples
///
/// Name the limits that differ, and take the others from the default:
///
/// ```
/// use waterwheel::http::Limits;
///
/// let limits = Limits::default().with(|limits| limits.body_bytes_max = 64 * 1024 * 1024);
/// assert_eq!(limits.fields_max, 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Empty lines that are skipped before a request line (RFC 9112, 2.2). Beyond it, 400.
    ///
    /// Default: 2.
    pub empty_lines_max: u8,
    /// Bytes of a request target (RFC 9112, 3). Beyond it, 414.
    ///
    /// Default: 8 KiB.
    pub target_bytes_max: u16,
    /// Bytes of one field line without its line end (RFC 9110, 5.4). Beyond it, 431.
    ///
    /// Default: 8 KiB.
    pub field_line_bytes_max: u16,
    /// Fields of one head. Beyond it, 431.
    ///
    /// Default: 100.
    pub fields_max: u16,
    /// Bytes of a whole head, with the empty lines before and after it. Beyond it, 431.
    ///
    /// Default: 32 KiB.
    pub head_bytes_max: u16,
    /// Bytes of the content of a request, in any framing. Beyond it, 413.
    ///
    /// Default: 8 MiB.
    pub body_bytes_max: u64,
    /// Bytes of the size line of one chunk, with leading zeros and extensions, without the line end
    /// (RFC 9112, 7.1). Beyond it, 400.
    ///
    /// Default: 256 bytes.
    pub chunk_line_bytes_max: u16,
    /// Bytes of all chunk extensions of one body, together with the leading zeros beyond sixteen digits of
    /// a size (RFC 9112, 7.1 and 7.1.1). Beyond it, 400.
    ///
    /// Default: 16 KiB.
    pub chunk_extension_bytes_max: u32,
    /// Bytes of a trailer section with its last empty line. Beyond it, 431.
    ///
    /// Default: 8 KiB.
    pub trailer_bytes_max: u16,
    /// Fields of a trailer section. Beyond it, 431.
    ///
    /// Default: 32.
    pub trailer_fields_max: u16,
    /// Time for the handshake of a transport, from accept
    /// ([`Builder::transport`](crate::Builder::transport)). The time for the first head begins after it.
    ///
    /// Default: 10 s.
    pub handshake_duration_max: Duration,
    /// Handshakes under way at once. Beyond it, the server closes the connection of the oldest one. 0 counts
    /// as 1.
    ///
    /// Default: 1,024.
    pub handshakes_max: usize,
    /// Connections open at once, with those that have changed their protocol ([`Upgraded`](crate::Upgraded)). `None`
    /// means as many as the file descriptors allow.
    ///
    /// Off by default.
    pub connections_max: Option<usize>,
    /// Connections open at once from one address (from one /64 in v6). `None` means no limit. Beyond it,
    /// 429 by default, see [`Builder::on_peer_limit`](crate::Builder::on_peer_limit).
    ///
    /// The server counts the address of the socket. An address that a transport reports
    /// ([`TransportInfo::set_peer_address`](crate::TransportInfo::set_peer_address)) does not count.
    ///
    /// Off by default.
    pub connections_per_peer_max: Option<usize>,
    /// Requests on one connection before the server closes it. `None` means no limit.
    ///
    /// Off by default.
    pub requests_max: Option<u64>,
    /// Bytes of unread content that the server reads and discards to keep the connection. Beyond it, the
    /// server closes the connection after the answer.
    ///
    /// Default: 256 KiB.
    pub drain_bytes_max: u64,
    /// Time for a whole head, from its first byte. For the first head, the time begins at accept, or after
    /// the handshake of a transport. Beyond it, 408, or closed if no byte of the head has arrived.
    ///
    /// Default: 10 s.
    pub head_duration_max: Duration,
    /// Time between two requests on one connection. Beyond it, the server closes the connection.
    ///
    /// Default: 75 s.
    pub idle_duration_max: Duration,
    /// Time without a byte of content while a handler reads it. Beyond it, 408.
    ///
    /// Default: 30 s.
    pub body_stall_duration_max: Duration,
    /// Bytes per second of content on average, from the moment that its time exceeds
    /// [`body_stall_duration_max`](Self::body_stall_duration_max). Below it, 408. 0 turns this limit off.
    ///
    /// Default: 64 bytes/s.
    pub body_bytes_per_second_min: u32,
    /// Time in which the client accepts no byte of an answer. Beyond it, the server resets the connection,
    /// so that the kernel does not keep the rest of the answer.
    ///
    /// Default: 30 s.
    pub write_stall_duration_max: Duration,
    /// Time for a handler. `None` means no limit. Beyond it, 503.
    ///
    /// Off by default.
    pub handler_duration_max: Option<Duration>,
    /// Time in which the server reads and discards bytes after its last answer, so that the answer arrives
    /// whole (RFC 9112, 9.6). It begins when the transport has accepted the whole answer and the end. After
    /// it, the server closes the connection. A client that still sends may lose the unread part of the
    /// answer.
    ///
    /// The default is that of nginx's `lingering_time`. If the server needs room, it closes a lingering
    /// connection earlier.
    ///
    /// Default: 30 s.
    pub linger_duration_max: Duration,
    /// The longest pause between two bytes in that time. While the server ends, it is at most 1 s. The
    /// default is that of nginx's `lingering_timeout`.
    ///
    /// Default: 5 s.
    pub linger_stall_duration_max: Duration,
    /// Time between the request to stop and the shutdown. The server still accepts, but
    /// [`Server::is_ready`](crate::Server::is_ready) returns false. So a load balancer sees the failed
    /// check and sends its clients elsewhere before the listeners close. Each answer announces the end of its
    /// connection meanwhile, so that the pool of a proxy empties. A second signal, and
    /// [`Stopper::cut`](crate::Stopper::cut), skip it. [`Server::shutdown`](crate::Server::shutdown) does not
    /// wait for it.
    ///
    /// Default: 0 s.
    pub unready_duration: Duration,
    /// Time for requests that are under way when [`Server::serve`](crate::Server::serve) is stopped. Beyond
    /// it, the server cuts their connections.
    ///
    /// Default: 10 s.
    pub shutdown_duration_max: Duration,
}

impl Limits {
    /// The defaults of the table.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Limits;
    ///
    /// // In a constant, where `Limits::default()` cannot stand.
    /// const LIMITS: Limits = {
    ///     let mut limits = Limits::DEFAULT;
    ///     limits.fields_max = 50;
    ///     limits
    /// };
    /// assert_eq!(LIMITS.head_bytes_max, Limits::default().head_bytes_max);
    /// ```
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
        unready_duration: Duration::ZERO,
        shutdown_duration_max: Duration::from_secs(10),
    };

    /// Returns these limits with some changed. A later version may have more limits, so that no program lists them all.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::Limits;
    ///
    /// let limits = Limits::default().with(|limits| {
    ///     limits.connections_max = Some(5000);
    ///     limits.idle_duration_max = Duration::from_secs(90);
    /// });
    /// assert_eq!(limits.connections_max, Some(5000));
    /// ```
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bytes of a method. The longest registered method has 17. A longer method than this limit is answered
/// with 501 (RFC 9112, 3).
pub(crate) const METHOD_BYTES_MAX: usize = 64;

/// Bytes of the longest request line without target: method, two spaces, version, line end.
const LINE_BYTES_BESIDE_TARGET: usize = METHOD_BYTES_MAX + 1 + 1 + 8 + 2;

const _: () = {
    let limits = Limits::DEFAULT;
    // RFC 9112, 3: a server should support request lines of at least 8,000 bytes.
    assert!(limits.target_bytes_max as usize + LINE_BYTES_BESIDE_TARGET >= 8_000);
    // The longest request line and the longest field line fit into one head.
    assert!(
        LINE_BYTES_BESIDE_TARGET
            + limits.target_bytes_max as usize
            + limits.field_line_bytes_max as usize
            <= limits.head_bytes_max as usize
    );
    // Trailers have no higher limits than headers.
    assert!(limits.trailer_bytes_max <= limits.head_bytes_max);
    assert!(limits.trailer_fields_max <= limits.fields_max);
    // Sixteen digits and a line end fit into a chunk's size line.
    assert!(limits.chunk_line_bytes_max > 18);
    // Keeping a connection costs no more reading than a request does.
    assert!(limits.drain_bytes_max <= limits.body_bytes_max);
    assert!(limits.linger_stall_duration_max.as_secs() < limits.linger_duration_max.as_secs());
    // A lingering connection takes its place for a shorter time than an idle one.
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

    /// Returns the default of a row of the table in the form of `Debug`.
    fn as_debug(default: &str) -> String {
        let (number, unit) = default.split_once(' ').unwrap_or((default, ""));
        let number = number.replace(',', "");
        let times = |factor: u64| (number.parse::<u64>().unwrap_or(0) * factor).to_string();
        match unit {
            "" if default == "none" => "None".to_owned(),
            "s" if number == "0" => "0ns".to_owned(),
            "s" => format!("{number}s"),
            "KiB" => times(1024),
            "MiB" => times(1024 * 1024),
            _ => number,
        }
    }

    #[test]
    fn the_table_has_each_limit_with_its_default() {
        let rows = include_str!("limits.rs").lines();
        let rows = rows.filter_map(|line| line.strip_prefix("/// | [`"));
        let rows = rows.filter_map(|row| {
            let (name, rest) = row.split_once('`')?;
            let default = rest.split('|').nth(1)?.trim();
            Some(format!("{name}: {}", as_debug(default)))
        });
        let table: Vec<_> = rows.collect();
        let fields = format!("{:?}", Limits::DEFAULT);
        assert_eq!(format!("Limits {{ {} }}", table.join(", ")), fields);
    }

    #[test]
    fn each_field_names_its_default() {
        let mut default = None;
        let mut named = Vec::new();
        for line in include_str!("limits.rs").lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("/// Default: ") {
                default = text.strip_suffix('.');
            } else if line == "/// Off by default." {
                default = Some("none");
            } else if let Some(field) = line.strip_prefix("pub ")
                && let Some((name, _)) = field.split_once(": ")
                && let Some(default) = default.take()
            {
                named.push(format!("{name}: {}", as_debug(default)));
            }
        }
        let fields = format!("{:?}", Limits::DEFAULT);
        assert_eq!(format!("Limits {{ {} }}", named.join(", ")), fields);
    }
}
