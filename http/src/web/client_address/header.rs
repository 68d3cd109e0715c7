//! The header of the PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! Pure functions: bytes in, a header out.
//!
//! ```text
//! version 1   PROXY TCP4 192.0.2.7 198.51.100.1 4711 443␍␊
//! version 2   12 bytes of signature, 0x2 and command, family, length of the rest | addresses | type, length, value …
//! ```
//!
//! # Invariants
//!
//! - Always: [`parse`] takes no byte behind the header.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The first bytes of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, with its end.
const LINE_BYTES_MAX: usize = 107;

/// The longest header of version 2 that is accepted. Real ones have less than a kilobyte.
const HEADER_BYTES_MAX: usize = 4096;

/// The header that a proxy has sent before the bytes of its client.
///
/// A handler finds it among the facts of its connection.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::client_address::ProxyHeader;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn show(request: Request<'_>) -> Result<Responded> {
///     let connection = request.connection();
///     let header = connection.get::<ProxyHeader>();
///     let name = header.and_then(ProxyHeader::authority).unwrap_or("no name");
///     request.respond(StatusCode::OK, name, ()).await
/// }
/// # drop(waterwheel::http::shared(show));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeader {
    addresses: Option<(SocketAddr, SocketAddr)>,
    /// The type, length and value of each fact, as received.
    facts: Vec<u8>,
}

impl ProxyHeader {
    /// Returns the address of the client. Returns `None` if the proxy itself has opened the connection, as for a health
    /// check, or if the client uses another family than IP.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::ProxyHeader;
    ///
    /// fn show(request: &Request<'_>) {
    ///     let connection = request.connection();
    ///     let header: Option<&ProxyHeader> = connection.get();
    ///     println!("{:?}", header.map(|header| header.source()));
    /// }
    /// ```
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        self.addresses.map(|(source, _)| source)
    }

    /// Returns the address to which the client has connected.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::ProxyHeader;
    ///
    /// fn show(request: &Request<'_>) {
    ///     let connection = request.connection();
    ///     let header: Option<&ProxyHeader> = connection.get();
    ///     println!("{:?}", header.map(|header| header.destination()));
    /// }
    /// ```
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        self.addresses.map(|(_, destination)| destination)
    }

    /// Returns the name of the host that the client has asked for (TLS server name), if the proxy sends it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::ProxyHeader;
    ///
    /// fn show(request: &Request<'_>) {
    ///     let connection = request.connection();
    ///     let header: Option<&ProxyHeader> = connection.get();
    ///     println!("{:?}", header.map(|header| header.authority()));
    /// }
    /// ```
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        str::from_utf8(self.fact(0x02)?).ok()
    }

    /// Returns the protocol that the client has chosen by ALPN, such as `http/1.1`, if the proxy sends it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::ProxyHeader;
    ///
    /// fn show(request: &Request<'_>) {
    ///     let connection = request.connection();
    ///     let header: Option<&ProxyHeader> = connection.get();
    ///     println!("{:?}", header.map(|header| header.alpn()));
    /// }
    /// ```
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.fact(0x01)
    }

    /// Returns the identity that the proxy has given to the connection, up to 128 bytes, if it sends one.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::ProxyHeader;
    ///
    /// fn show(request: &Request<'_>) {
    ///     let connection = request.connection();
    ///     let header: Option<&ProxyHeader> = connection.get();
    ///     println!("{:?}", header.map(|header| header.unique_id()));
    /// }
    /// ```
    #[must_use]
    pub fn unique_id(&self) -> Option<&[u8]> {
        self.fact(0x05)
    }

    /// Returns true if the client is connected to the proxy by TLS, as the proxy says.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::ProxyHeader;
    ///
    /// fn show(request: &Request<'_>) {
    ///     let connection = request.connection();
    ///     let header: Option<&ProxyHeader> = connection.get();
    ///     println!("{:?}", header.map(|header| header.is_tls()));
    /// }
    /// ```
    #[must_use]
    pub fn is_tls(&self) -> bool {
        /// `PP2_CLIENT_SSL`
        const BY_TLS: u8 = 0x01;
        self.fact(0x20)
            .is_some_and(|fact| fact.first().is_some_and(|flags| flags & BY_TLS != 0))
    }

    /// Returns all facts (TLVs) of version 2, as types and values in the order of the header. Returns none if the proxy
    /// itself has opened the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::ProxyHeader;
    ///
    /// fn show(request: &Request<'_>) {
    ///     let connection = request.connection();
    ///     let header: Option<&ProxyHeader> = connection.get();
    ///     println!("{:?}", header.map(|header| header.facts().count()));
    /// }
    /// ```
    pub fn facts(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &self.facts[..];
        std::iter::from_fn(move || {
            let (kind, value, behind) = fact(rest)?;
            rest = behind;
            Some((kind, value))
        })
    }

    fn fact(&self, kind: u8) -> Option<&[u8]> {
        self.facts()
            .find_map(|(found, value)| (found == kind).then_some(value))
    }
}

/// Returns the first fact of `bytes`, and the bytes behind it.
fn fact(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([kind, high, low], rest) = bytes.split_first_chunk()?;
    let (value, behind) = rest.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
    Some((*kind, value, behind))
}

/// The meaning of the first bytes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FirstBytes {
    /// More bytes are needed. So many of the present ones belong to the header for certain.
    Incomplete(usize),
    /// The header, and its length.
    Complete(ProxyHeader, usize),
    /// The bytes are not those of a header.
    Absent,
    /// The bytes begin as a header, but break its rules.
    Malformed(&'static str),
}

/// Reads a header from the first bytes of a connection.
pub(super) fn parse(bytes: &[u8]) -> FirstBytes {
    let is_start_of = |start: &[u8]| {
        let common = bytes.len().min(start.len());
        bytes[..common] == start[..common]
    };
    if is_start_of(SIGNATURE) {
        match bytes.split_at_checked(SIGNATURE.len()) {
            Some((_, rest)) => second_version(rest, bytes.len()),
            // A client of HTTP may send empty lines first, so these bytes may be its own.
            None => FirstBytes::Incomplete(0),
        }
    } else if is_start_of(b"PROXY ") {
        if bytes.len() < b"PROXY ".len() {
            return FirstBytes::Incomplete(0);
        }
        first_version(bytes)
    } else {
        FirstBytes::Absent
    }
}

fn first_version(bytes: &[u8]) -> FirstBytes {
    let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() >= LINE_BYTES_MAX {
            FirstBytes::Malformed("the line has no end")
        } else {
            FirstBytes::Incomplete(bytes.len())
        };
    };
    let line = str::from_utf8(&bytes[..end]).unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    let addresses = match words[..] {
        [_, "UNKNOWN", ..] => return FirstBytes::Complete(ProxyHeader::default(), end + 2),
        [_, "TCP4", source, destination, from, to] => {
            pair::<Ipv4Addr>([source, destination], [from, to])
        }
        [_, "TCP6", source, destination, from, to] => {
            pair::<Ipv6Addr>([source, destination], [from, to])
        }
        _ => None,
    };
    match addresses {
        Some(addresses) => {
            let header = ProxyHeader {
                addresses: Some(addresses),
                facts: Vec::new(),
            };
            FirstBytes::Complete(header, end + 2)
        }
        None => FirstBytes::Malformed("the line has no addresses and ports"),
    }
}

fn pair<T>(addresses: [&str; 2], ports: [&str; 2]) -> Option<(SocketAddr, SocketAddr)>
where
    T: FromStr + Into<std::net::IpAddr>,
{
    let [source, destination] = addresses.map(|text| text.parse().ok().map(T::into));
    // `parse` alone would take a plus sign and leading zeros.
    let [from, to] = ports.map(|text| {
        let port: u16 = text.parse().ok()?;
        (port.to_string() == text).then_some(port)
    });
    Some(((source?, from?).into(), (destination?, to?).into()))
}

/// Reads the rest of a header of version 2. `available` is the number of all bytes so far.
fn second_version(rest: &[u8], available: usize) -> FirstBytes {
    let Some(([version_and_command, family, high, low], rest)) = rest.split_first_chunk() else {
        return FirstBytes::Incomplete(available);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let header_bytes = available - rest.len() + length;
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return FirstBytes::Malformed("another version or command"),
    };
    if header_bytes > HEADER_BYTES_MAX {
        return FirstBytes::Malformed("the header is too long");
    }
    let Some(content) = rest.get(..length) else {
        return FirstBytes::Incomplete(available);
    };
    let addresses_bytes = match family {
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => 0,
    };
    // The proxy has opened the connection itself, such as for a health check. The content has no meaning, also if it is
    // malformed.
    if is_local {
        return FirstBytes::Complete(ProxyHeader::default(), header_bytes);
    }
    let Some((addresses, facts)) = content.split_at_checked(addresses_bytes) else {
        return FirstBytes::Malformed("the header is too short for its addresses");
    };
    let addresses = match family {
        0x11 => two::<4>(addresses),
        0x21 => two::<16>(addresses),
        _ => None,
    };
    // Without a known family, the length of the addresses is not known, so the facts cannot be found.
    let facts = if addresses_bytes > 0 { facts } else { &[] };
    let mut unread = facts;
    while let Some((_, _, behind)) = fact(unread) {
        unread = behind;
    }
    if !unread.is_empty() {
        return FirstBytes::Malformed("a fact is longer than the header");
    }
    let header = ProxyHeader {
        addresses,
        facts: facts.to_vec(),
    };
    FirstBytes::Complete(header, header_bytes)
}

/// Returns two addresses of so many bytes, which are followed by their ports.
fn two<const BYTES: usize>(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    std::net::IpAddr: From<[u8; BYTES]>,
{
    let (source, rest) = bytes.split_first_chunk::<BYTES>()?;
    let (destination, ports) = rest.split_first_chunk::<BYTES>()?;
    let (from, to) = ports.split_first_chunk()?;
    let source = (*source, u16::from_be_bytes(*from)).into();
    Some((
        source,
        (*destination, u16::from_be_bytes(to.try_into().ok()?)).into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a header of version 2.
    fn second(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes();
        [SIGNATURE, &[command, family], &length, content].concat()
    }

    fn complete(bytes: &[u8]) -> (ProxyHeader, usize) {
        match parse(bytes) {
            FirstBytes::Complete(header, length) => (header, length),
            other => panic!("{other:?}: {bytes:?}"),
        }
    }

    const V4: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];

    fn check_source(bytes: &[u8], source: Option<&str>, destination: Option<&str>) {
        let bytes_and_more = [bytes, b"GET"].concat();
        let (header, length) = complete(&bytes_and_more);
        let shown = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        assert_eq!(shown(header.source()).as_deref(), source, "{bytes:?}");
        assert_eq!(
            shown(header.destination()).as_deref(),
            destination,
            "{bytes:?}"
        );
        assert_eq!(length, bytes.len(), "{bytes:?}");
        // In pieces: each prefix is incomplete, and claims no byte that it does not have.
        for end in 0..bytes.len() {
            match parse(&bytes[..end]) {
                FirstBytes::Incomplete(sure) => assert!(sure <= end),
                other => panic!("{other:?} after {end} bytes of {bytes:?}"),
            }
        }
    }

    #[test]
    fn a_header_has_the_addresses_of_the_client() {
        let v4 = (Some("192.0.2.7:4711"), Some("198.51.100.1:443"));
        let v6 = (Some("[2001:db8::7]:4711"), Some("[2001:db8::1]:443"));
        let none = (None, None);
        let mut sixes = [0; 36];
        sixes[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        sixes[15] = 7;
        sixes[16..20].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        sixes[31] = 1;
        sixes[32..].copy_from_slice(&[0x12, 0x67, 0x01, 0xbb]);
        for (bytes, (source, destination)) in [
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
                v4,
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(),
                v6,
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), none),
            (
                b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
                none,
            ),
            (second(0x21, 0x11, V4), v4),
            (second(0x21, 0x21, &sixes), v6),
            (second(0x20, 0x00, b""), none),
            (second(0x20, 0x11, V4), none),
            (second(0x20, 0x11, b""), none),
            (second(0x20, 0x11, &[V4, &[5, 0, 9]].concat()), none),
            (second(0x20, 0xff, b"dummy"), none),
            (second(0x21, 0x00, b"anything"), none),
            (second(0x21, 0x31, &[0; 216]), none),
        ] {
            check_source(&bytes, source, destination);
        }
    }

    #[test]
    fn a_header_that_is_none_is_refused() {
        let long_line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        let lines: [&[u8]; 11] = [
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n",
            b"PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +711 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
            b"PROXY TCP6 192.0.2.7 198.51.100.1 4711 443\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 4711 443\r\n",
            b"PROXY \xff\r\n",
            long_line.as_bytes(),
        ];
        for line in lines {
            assert!(matches!(parse(line), FirstBytes::Malformed(_)), "{line:?}");
        }
        for bytes in [
            second(0x11, 0x11, V4),
            second(0x22, 0x11, V4),
            second(0x21, 0x11, &V4[..11]),
            second(0x21, 0x11, &[V4, &[5, 0, 9]].concat()),
            second(0x21, 0x11, &[V4, &[5]].concat()),
            second(0x21, 0x11, &[0; 4096]),
        ] {
            assert!(
                matches!(parse(&bytes), FirstBytes::Malformed(_)),
                "{bytes:?}"
            );
        }
        for other in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXYING",
            b"\r\nGET",
            b"\x16\x03\x01",
        ] {
            assert_eq!(parse(other), FirstBytes::Absent, "{other:?}");
        }
    }

    #[test]
    fn the_longest_line_is_accepted() {
        let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
        assert_eq!(line.len(), LINE_BYTES_MAX);
        assert_eq!(complete(line.as_bytes()).1, LINE_BYTES_MAX);
    }

    #[test]
    fn the_facts_of_the_second_version_are_read() {
        let facts = [
            &[0x01, 0, 2][..],
            b"h2",
            &[0x02, 0, 4],
            b"mill",
            &[0x05, 0, 1, 7],
            &[0x20, 0, 5, 0x01, 0, 0, 0, 0],
        ];
        let (header, _) = complete(&second(0x21, 0x11, &[V4, &facts.concat()].concat()));
        assert_eq!(header.alpn(), Some(&b"h2"[..]));
        assert_eq!(header.authority(), Some("mill"));
        assert_eq!(header.unique_id(), Some(&[7][..]));
        assert!(header.is_tls());
        let kinds: Vec<_> = header.facts().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [1, 2, 5, 0x20]);
        let (header, _) = complete(&second(0x21, 0x11, V4));
        assert!(!header.is_tls() && header.authority().is_none());
    }
}
