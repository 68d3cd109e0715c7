//! The request line: method, target, version, and the lines around it.

use super::*;

#[test]
fn a_request_line_is_method_space_target_space_version() {
    check(
        &[
            (
                "RFC 9112, 3",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET / HTTP/1.1"),
            ),
            (
                "RFC 9112, 3",
                b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3",
                b"GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 3",
                b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 3",
                b" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9112, 3",
                b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9112, 3",
                b"GET /\tHTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3",
                b"GET / \tHTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 3",
                b"GET\x0b/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3",
                b"GET /\x0cHTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3",
                b"GET /a HTTP/1.1 b\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 3",
                b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            ("RFC 9112, 3", b"GET\r\n\r\n", Err(Refusal::Method)),
            ("RFC 9112, 3", b"GET \r\n\r\n", Err(Refusal::Target)),
            ("RFC 9112, 3", b"GET /x\r\n\r\n", Err(Refusal::Target)),
            ("RFC 9112, 3", b"GET /x \r\n\r\n", Err(Refusal::Version)),
            (
                "RFC 9112, 3",
                b"GET HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3",
                b"/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            ("RFC 8446, 5.1", b"\x16\x03\x01\x02\x00", Err(Refusal::Tls)),
            (
                "RFC 9112, 3",
                b"G\x16\x03\x01\x02\x00",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3",
                b"\x15\x03\x01\x02\x00",
                Err(Refusal::ControlByte),
            ),
            ("RFC 9112, 3", b"", WAITING),
            ("RFC 9112, 3", b"G", WAITING),
            ("RFC 9112, 3", b"GET / HTTP/1.1", WAITING),
            ("RFC 9112, 3", b"GET / HTTP/1.1\r", WAITING),
        ],
        line,
    );
}

#[test]
fn a_method_is_any_token_in_its_own_case() {
    let longest = [&[b'M'; 64][..], b" / HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    let too_long = [&[b'M'; 65][..], b" / HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    let described = format!("{} / HTTP/1.1", "M".repeat(64));
    check(
        &[
            (
                "RFC 9110, 9.1",
                b"PURGE / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("PURGE / HTTP/1.1"),
            ),
            (
                "RFC 9110, 9.1",
                b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("get / HTTP/1.1"),
            ),
            (
                "RFC 9110, 9.1",
                b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("HEAD / HTTP/1.1"),
            ),
            (
                "RFC 9110, 9.1",
                b"M / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("M / HTTP/1.1"),
            ),
            (
                "RFC 9110, 5.6.2",
                b"!#$%&'*+-.^_`|~9a / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("!#$%&'*+-.^_`|~9a / HTTP/1.1"),
            ),
            (
                "RFC 9110, 5.6.2",
                b"GE(T / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9110, 5.6.2",
                b"GET, / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9110, 5.6.2",
                b"GET: / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9110, 5.6.2",
                b"G\"T / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9110, 5.6.2",
                b"G\xc3\x89T / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9110, 5.6.2",
                b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            (
                "RFC 9110, 5.6.2",
                b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            ("RFC 9112, 3", &longest, Ok(&described)),
            ("RFC 9112, 3", &too_long, Err(Refusal::MethodTooLong)),
        ],
        line,
    );
}

#[test]
fn a_version_is_one_dot_something_or_another_protocol() {
    check(
        &[
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET / HTTP/1.1"),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1.0\r\n\r\n",
                Ok("GET / HTTP/1.0"),
            ),
            (
                "RFC 9110, 2.5",
                b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
                Ok("GET / HTTP/1.1"),
            ),
            (
                "RFC 9110, 2.5",
                b"GET / HTTP/1.9\r\nHost: x\r\n\r\n",
                Ok("GET / HTTP/1.1"),
            ),
            (
                "RFC 9110, 2.5",
                b"GET / HTTP/1.2\r\n\r\n",
                Err(Refusal::HostMissing),
            ),
            (
                "RFC 9110, 15.6.6",
                b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
                Err(Refusal::VersionUnsupported),
            ),
            (
                "RFC 9110, 15.6.6",
                b"GET / HTTP/0.9\r\n\r\n",
                Err(Refusal::VersionUnsupported),
            ),
            (
                "RFC 9110, 15.6.6",
                b"GET / HTTP/9.9\r\n\r\n",
                Err(Refusal::VersionUnsupported),
            ),
            (
                "RFC 9113, 3.4",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                Err(Refusal::VersionUnsupported),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1.\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1.10\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/11.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1.1x\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1,1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/+1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP /1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/ 1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / http/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTX/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTPS/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / ICY/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/1.1\x00\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 2.3",
                b"GET / HTTP/\xb2.0\r\nHost: x\r\n\r\n",
                Err(Refusal::Version),
            ),
            ("RFC 9112, 2.3", b"GET / HTT", WAITING),
            ("RFC 9112, 2.3", b"GET / HTX", Err(Refusal::Version)),
        ],
        line,
    );
}

#[test]
fn a_few_empty_lines_may_precede_a_request_line() {
    check(
        &[
            (
                "RFC 9112, 2.2",
                b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET / HTTP/1.1"),
            ),
            (
                "RFC 9112, 2.2",
                b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET / HTTP/1.1"),
            ),
            (
                "RFC 9112, 2.2",
                b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::EmptyLines),
            ),
            (
                "RFC 9112, 2.2",
                b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"\r\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"\r\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"\r\n GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Method),
            ),
            ("RFC 9112, 2.2", b"\r\n", WAITING),
            ("RFC 9112, 2.2", b"\r", WAITING),
        ],
        line,
    );
}

#[test]
fn a_line_ends_with_both_bytes_or_not_at_all() {
    check(
        &[
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\nHost: x\r\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\rHost: x\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost: x\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost: x\r\n\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost: x\r\n\rA: b\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost: x\n\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET /\n HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET\n/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost\n: x\r\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"GET / HTTP/1.1\r\nHost:\n x\r\n\r\n",
                Err(Refusal::BareLineFeed),
            ),
            ("RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: x\r\n", WAITING),
            ("RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: x\r\n\r", WAITING),
            ("RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: x\r", WAITING),
        ],
        line,
    );
}
