//! A host and its port, as in Host, in an absolute target and in a CONNECT (RFC 3986, 3.2).
//!
//! ```text
//! uri-host [ ":" port ]     example.org   example.org:8080   192.0.2.1   [2001:db8::1]:443
//! ```
//!
//! **Always**: a port is 0 to 65,535 in decimal digits, or none behind its colon. **Never**:
//! user information, an IPv6 zone, a port without a host.

use std::net::Ipv6Addr;

use super::scan::{Class, RegisteredName};

/// Returns true if `value` may be the value of Host (RFC 9110, 7.2). An empty one may: a client
/// whose target has no authority must send it (RFC 9112, 3.2).
#[inline]
pub(super) fn is_host_field(value: &[u8]) -> bool {
    value.is_empty() || is_host_and_port(value)
}

/// Returns true if `value` is a host, at least a byte of it, and perhaps a port.
#[inline]
pub(crate) fn is_host_and_port(value: &[u8]) -> bool {
    let (name, rest) = value.split_at(RegisteredName::run_end(value, 0));
    match rest {
        [] => !name.is_empty(),
        [b':', port @ ..] => !name.is_empty() && is_port(port),
        _ => is_other_host_and_port(value),
    }
}

/// The same for a host that is an address or has escapes in its name.
fn is_other_host_and_port(value: &[u8]) -> bool {
    split_port(value).is_some_and(|(host, port)| is_host(host) && port.is_none_or(is_port))
}

/// Returns true if `value` is a host and a port that can be connected to (RFC 9110, 9.3.6).
pub(super) fn is_tunnel_end(value: &[u8]) -> bool {
    let Some((host, Some(port))) = split_port(value) else {
        return false;
    };
    is_host(host) && is_port(port) && port.iter().any(|digit| *digit != b'0')
}

/// Returns host and port; `None` if no host begins here.
fn split_port(value: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let host_end = match value {
        [b'[', ..] => value.iter().position(|byte| *byte == b']')? + 1,
        _ => value
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(value.len()),
    };
    match value.split_at(host_end) {
        (host, []) => Some((host, None)),
        (host, [b':', port @ ..]) => Some((host, Some(port))),
        _ => None,
    }
}

fn is_host(host: &[u8]) -> bool {
    match host {
        [] => false,
        [b'[', b'v' | b'V', address @ .., b']'] => is_future_address(address),
        [b'[', address @ .., b']'] => is_address(address),
        name => is_registered_name(name),
    }
}

fn is_address(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// `IPvFuture` behind its `v`: hexadecimal digits, a dot, anything a name has, and colons.
fn is_future_address(address: &[u8]) -> bool {
    let Some(dot) = address.iter().position(|byte| *byte == b'.') else {
        return false;
    };
    let (version, rest) = (&address[..dot], &address[dot + 1..]);
    let all_hexadecimal = version.iter().all(u8::is_ascii_hexdigit);
    let valid = |byte: &u8| *byte == b':' || RegisteredName::has(*byte);
    dot > 0 && all_hexadecimal && !rest.is_empty() && rest.iter().all(valid)
}

fn is_registered_name(name: &[u8]) -> bool {
    let mut pieces = name.split(|byte| *byte == b'%');
    let first = pieces.next().unwrap_or_default();
    // The escapes split the name, so that the pieces between them are checked as runs.
    RegisteredName::has_all(first) && pieces.all(is_escape_and_more)
}

fn is_escape_and_more(piece: &[u8]) -> bool {
    matches!(piece, [high, low, rest @ ..]
        if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && RegisteredName::has_all(rest))
}

/// A port may be empty (RFC 3986, 3.2.3).
fn is_port(port: &[u8]) -> bool {
    let number = || {
        port.iter()
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    // The length is checked first, so that the sum cannot overflow.
    port.len() <= 5 && port.iter().all(u8::is_ascii_digit) && u16::try_from(number()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: bool) {
        assert_eq!(is_host_and_port(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        // RFC 3986, 3.2.2 and 3.2.3
        for value in [
            "x",
            "example.org",
            "EXAMPLE.org",
            "x:80",
            "x:",
            "x:0",
            "x:65535",
            "192.0.2.1",
            "192.0.2.1:8080",
            "[::1]",
            "[::1]:443",
            "[2001:db8::192.0.2.1]",
            "[v1.a:b]",
            "a-b_c~d",
            "%41b",
            "a%20",
            "a,b;c=d",
            "1",
        ] {
            check(value, true);
        }
        for value in [
            "",
            ":80",
            "x:y",
            "x:65536",
            "x:000080",
            "x:+80",
            "x:80:80",
            "x y",
            "x/",
            "x?",
            "x#",
            "u@x",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]80",
            "[::g]",
            "[fe80::1%25eth0]",
            "[]",
            "[v1]",
            "[v.a]",
            "[v1.]",
            "%4",
            "%4g",
            "%",
            "a%",
            "\"x\"",
            "<x>",
            "x\\",
            "é",
            "x\t",
        ] {
            check(value, false);
        }
    }

    #[test]
    fn a_host_field_may_be_empty_and_a_tunnels_end_needs_a_port() {
        assert!(is_host_field(b""), "RFC 9112, 3.2");
        assert!(is_host_field(b"x") && !is_host_field(b":80"));
        for (value, expected) in [
            ("x:443", true),
            ("[::1]:1", true),
            ("x", false),
            ("x:", false),
            ("x:0", false),
            (":443", false),
            ("x:65536", false),
            ("x:https", false),
            ("http://x:80", false),
        ] {
            assert_eq!(
                is_tunnel_end(value.as_bytes()),
                expected,
                "RFC 9110, 9.3.6: {value}"
            );
        }
    }
}
