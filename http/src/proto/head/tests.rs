//! Heads, and the nearest bytes that are not one, row by row.
//!
//! [`read`] parses each row as a whole, byte by byte, and split at each position. All results
//! are the same.

use proptest::prelude::*;

use super::*;

/// The rule of a row, its bytes, and the expected result.
type Row<'a> = (&'a str, &'a [u8], Result<&'a str, Refusal>);

/// Formats the parts of a head that a test compares.
type Describe = fn(&Head, &[u8]) -> String;

const WAITING: Result<&str, Refusal> = Ok("incomplete");

fn check(rows: &[Row<'_>], describe: Describe) {
    check_within(&Limits::DEFAULT, rows, describe);
}

fn check_within(limits: &Limits, rows: &[Row<'_>], describe: Describe) {
    for (rule, bytes, expected) in rows {
        let shown = String::from_utf8_lossy(bytes);
        let shown = &shown[..shown.len().min(200)];
        let whole = read(bytes, &[], limits, describe);
        assert_eq!(
            whole.as_deref(),
            expected.as_ref().map(|text| *text),
            "{rule}: {shown:?}"
        );
        let every: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(
            read(bytes, &every, limits, describe),
            whole,
            "{rule}, dribbled: {shown:?}"
        );
        for split in splits(bytes.len()) {
            let parts = read(bytes, &[split], limits, describe);
            assert_eq!(parts, whole, "{rule}, split at {split}: {shown:?}");
        }
    }
}

/// Each position; of long heads, every few.
fn splits(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(1 + length / 500)
}

/// Parses the first bytes up to each of `stops`, then all of them.
fn read(
    bytes: &[u8],
    stops: &[usize],
    limits: &Limits,
    describe: Describe,
) -> Result<String, Refusal> {
    let (mut parser, mut head) = (HeadParser::default(), Head::default());
    for end in stops.iter().copied().chain([bytes.len()]) {
        if let Parsed::Complete(length) = parser.parse(&bytes[..end], &mut head, limits)? {
            assert!(length <= end && bytes[..length].ends_with(b"\r\n\r\n"));
            return Ok(describe(&head, &bytes[..length]));
        }
    }
    Ok("incomplete".to_owned())
}

/// Rows of field lines only, put behind `GET / HTTP/1.1` and before the empty line.
fn check_fields(rows: &[Row<'_>], describe: Describe) {
    for (rule, fields, expected) in rows {
        let bytes = [b"GET / HTTP/1.1\r\n", *fields, b"\r\n"].concat();
        check(&[(rule, &bytes, *expected)], describe);
    }
}

fn line(head: &Head, _: &[u8]) -> String {
    format!("{} {} {:?}", head.method(), head.target(), head.version())
}

fn parts(head: &Head, bytes: &[u8]) -> String {
    let query = head
        .query()
        .map_or("-".to_owned(), |query| format!("?{query}"));
    let host = head.host(bytes).unwrap_or("-");
    format!("{:?} {} {query} {host}", head.form(), head.path())
}

fn fields(head: &Head, bytes: &[u8]) -> String {
    let pair = |(name, value)| format!("{name}={}", String::from_utf8_lossy(value));
    let pairs: Vec<_> = head.headers(bytes).iter().skip(1).map(pair).collect();
    pairs.join("|")
}

fn host(head: &Head, bytes: &[u8]) -> String {
    head.host(bytes).unwrap_or("-").to_owned()
}

fn framing(head: &Head, _: &[u8]) -> String {
    format!("{:?}", head.framing())
}

fn persistence(head: &Head, _: &[u8]) -> String {
    format!("{:?}", head.persistence())
}

fn waiting(head: &Head, _: &[u8]) -> String {
    format!("{}", head.awaits_continue())
}

fn upgrade(head: &Head, bytes: &[u8]) -> String {
    let offered = head
        .headers(bytes)
        .get("upgrade")
        .filter(|_| head.allows_upgrade());
    offered.unwrap_or("-").to_owned()
}

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
            (
                "RFC 9112, 3",
                b"\x16\x03\x01\x02\x00",
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

#[test]
fn a_target_is_taken_apart_by_its_form() {
    check(
        &[
            (
                "RFC 9112, 3.2.1",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin / - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a/b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a/b - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a ?b=c x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a? HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a ? x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a?b?c HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a ?b?c x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /?/a/b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin / ?/a/b x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET //a HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin //a - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a:b@c HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a:b@c - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET ?a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET x/a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute /a - y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/a HTTP/1.1\r\n\r\n",
                Err(Refusal::HostMissing),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/a HTTP/1.0\r\n\r\n",
                Ok("Absolute /a - y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET HTTPS://y:1/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute /a ?b y:1"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / - y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y?b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / ?b y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y?/b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / ?/b y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://[::1]:8/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / - [::1]:8"),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http://?a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http://:80/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.4",
                b"GET http://u@y/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 3986, 3.2.3",
                b"GET http://y:z/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http:/y/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http?://y HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET ftp://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT y:443 HTTP/1.1\r\nHost: y\r\n\r\n",
                Ok("Authority  - y:443"),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT [::1]:443 HTTP/1.1\r\nHost: y\r\n\r\n",
                Ok("Authority  - [::1]:443"),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y: HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y:0 HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y:65536 HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT / HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT http://y:1/ HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT y:1?a HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"GET y:443 HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Asterisk * - x"),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin / - x"),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS ** HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS *?a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"options * HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
        ],
        parts,
    );
}

#[test]
fn a_target_is_visible_ascii_without_fragment() {
    check(
        &[
            (
                "RFC 3986, 2.1",
                b"GET /%20%2f?%00 HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET /%20%2f?%00 HTTP/1.1"),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /-._~!$&'()*+,;=:@ HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET /-._~!$&'()*+,;=:@ HTTP/1.1"),
            ),
            (
                "what browsers send",
                b"GET /[a]|^?{b}|`\\ HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET /[a]|^?{b}|`\\ HTTP/1.1"),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /?a#b HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET http://x/#a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /\\a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /{a} HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /<a> HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.4",
                b"GET /?<a> HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /\"a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /?\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\r HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "refused when it arrives",
                b"GET /\x00",
                Err(Refusal::ControlByte),
            ),
            ("refused when it arrives", b"GET /a#", Err(Refusal::Target)),
        ],
        line,
    );
}

#[test]
fn a_field_is_a_token_a_colon_and_a_value() {
    check_fields(
        &[
            ("RFC 9112, 5", b"Host: x\r\nA: b\r\n", Ok("A=b")),
            ("RFC 9112, 5", b"Host: x\r\nA:b\r\n", Ok("A=b")),
            ("RFC 9112, 5.1", b"Host: x\r\nA: \t b\t \r\n", Ok("A=b")),
            ("RFC 9110, 5.5", b"Host: x\r\nA: b \t c\r\n", Ok("A=b \t c")),
            ("RFC 9110, 5.5", b"Host: x\r\nA:\r\n", Ok("A=")),
            ("RFC 9110, 5.5", b"Host: x\r\nA: \t\r\n", Ok("A=")),
            ("RFC 9110, 5.5", b"Host: x\r\nA: :b:\r\n", Ok("A=:b:")),
            ("RFC 9110, 5.5", b"Host: x\r\nA: \xc3\xa9\r\n", Ok("A=é")),
            (
                "RFC 9110, 5.5",
                b"Host: x\r\nA: !\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~\r\n",
                Ok("A=!\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~"),
            ),
            (
                "RFC 9110, 5.3",
                b"Host: x\r\nA: b\r\nA: c\r\na: d\r\n",
                Ok("A=b|A=c|a=d"),
            ),
            (
                "RFC 9110, 5.6.2",
                b"Host: x\r\n!#$%&'*+-.^_`|~9: b\r\n",
                Ok("!#$%&'*+-.^_`|~9=b"),
            ),
            (
                "RFC 9112, 5.1",
                b"Host: x\r\nA : b\r\n",
                Err(Refusal::SpaceBeforeColon),
            ),
            (
                "RFC 9112, 5.1",
                b"Host: x\r\nA\t: b\r\n",
                Err(Refusal::SpaceBeforeColon),
            ),
            (
                "RFC 9112, 5.1",
                b"Host : x\r\n",
                Err(Refusal::SpaceBeforeColon),
            ),
            (
                "RFC 9112, 5.1",
                b"Host: x\r\nA b: c\r\n",
                Err(Refusal::SpaceBeforeColon),
            ),
            (
                "RFC 9112, 5",
                b"Host: x\r\n: b\r\n",
                Err(Refusal::FieldName),
            ),
            ("RFC 9112, 5", b": x\r\n", Err(Refusal::FieldName)),
            ("RFC 9112, 5", b"Host: x\r\nA\r\n", Err(Refusal::FieldName)),
            (
                "RFC 9112, 5",
                b"Host: x\r\nA=b\r\n",
                Err(Refusal::FieldName),
            ),
            (
                "RFC 9110, 5.6.2",
                b"Host: x\r\nA(: b\r\n",
                Err(Refusal::FieldName),
            ),
            (
                "RFC 9110, 5.6.2",
                b"Host: x\r\n\"A\": b\r\n",
                Err(Refusal::FieldName),
            ),
            (
                "RFC 9110, 5.6.2",
                b"Host: x\r\nA/B: b\r\n",
                Err(Refusal::FieldName),
            ),
            (
                "RFC 9110, 5.6.2",
                b"Host: x\r\n\xc3\x89: b\r\n",
                Err(Refusal::FieldName),
            ),
            (
                "RFC 9112, 5.2",
                b"Host: x\r\nA: b\r\n c\r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 5.2",
                b"Host: x\r\nA: b\r\n\tc\r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 5.2",
                b"Host: x\r\nA:\r\n b\r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 5.2",
                b"Host: x\r\n Content-Length: 1\r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 5.2",
                b"Host: x\r\n \r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 2.2",
                b" Host: x\r\n",
                Err(Refusal::LeadingWhitespace),
            ),
            (
                "RFC 9112, 2.2",
                b"\tHost: x\r\n",
                Err(Refusal::LeadingWhitespace),
            ),
            (
                "RFC 9112, 2.2",
                b" \r\nHost: x\r\n",
                Err(Refusal::LeadingWhitespace),
            ),
        ],
        fields,
    );
}

#[test]
fn no_control_byte_is_anywhere_in_a_head() {
    for byte in (0..=31_u8).chain([127]) {
        let (in_name, in_value) = match byte {
            b'\t' => (Err(Refusal::SpaceBeforeColon), Ok("A=b\tc")),
            b'\n' => (Err(Refusal::BareLineFeed), Err(Refusal::BareLineFeed)),
            b'\r' => (Err(Refusal::FieldName), Err(Refusal::BareCarriageReturn)),
            _ => (Err(Refusal::ControlByte), Err(Refusal::ControlByte)),
        };
        let name = [b"Host: x\r\nA", &[byte][..], b"c: d\r\n"].concat();
        let value = [b"Host: x\r\nA: b", &[byte][..], b"c\r\n"].concat();
        let long = [b"Host: x\r\nA: 0123456789abcdef", &[byte][..], b"c\r\n"].concat();
        let in_long = in_value.map(|_| "A=0123456789abcdef\tc");
        check_fields(
            &[
                ("RFC 9110, 5.6.2", &name, in_name),
                ("RFC 9110, 5.5", &value, in_value),
                ("RFC 9110, 5.5", &long, in_long),
            ],
            fields,
        );
    }
}

#[test]
fn host_is_there_once_and_valid() {
    check(
        &[
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("x"),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHOST: x:80\r\n\r\n",
                Ok("x:80"),
            ),
            ("RFC 9112, 3.2", b"GET / HTTP/1.1\r\nhost:\r\n\r\n", Ok("")),
            (
                "RFC 9110, 7.2",
                b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
                Ok("[::1]:80"),
            ),
            (
                "RFC 9110, 7.2",
                b"GET / HTTP/1.1\r\nHost: x:\r\n\r\n",
                Ok("x:"),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\n\r\n",
                Err(Refusal::HostMissing),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHosts: x\r\n\r\n",
                Err(Refusal::HostMissing),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
                Err(Refusal::HostRepeated),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nhost: y\r\n\r\n",
                Err(Refusal::HostRepeated),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x/\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: http://x\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x:y\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: x:65536\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            ("RFC 9112, 3.2", b"GET / HTTP/1.0\r\n\r\n", Ok("-")),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
                Ok("x"),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
                Err(Refusal::HostRepeated),
            ),
            (
                "RFC 9112, 3.2",
                b"GET / HTTP/1.0\r\nHost: x y\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/ HTTP/1.1\r\nHost: x y\r\n\r\n",
                Err(Refusal::HostInvalid),
            ),
        ],
        host,
    );
}

#[test]
fn a_body_is_as_long_as_one_field_says() {
    check_fields(
        &[
            ("RFC 9112, 6.3", b"Host: x\r\n", Ok("None")),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 0\r\n",
                Ok("None"),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 5\r\n",
                Ok("Sized(5)"),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\ncontent-LENGTH:\t005 \r\n",
                Ok("Sized(5)"),
            ),
            (
                "limit",
                b"Host: x\r\nContent-Length: 8388608\r\n",
                Ok("Sized(8388608)"),
            ),
            (
                "limit",
                b"Host: x\r\nContent-Length: 8388609\r\n",
                Err(Refusal::BodyTooLarge),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 18446744073709551615\r\n",
                Err(Refusal::BodyTooLarge),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 18446744073709551616\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 99999999999999999999999\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length:\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: abc\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: +5\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: -5\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 5xyz\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 0x5\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 5.0\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 1_0\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 1 0\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: \"5\"\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 5, 5\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9112, 6.3",
                b"Host: x\r\nContent-Length: 5, 6\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 5,\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
                Err(Refusal::ContentLengthRepeated),
            ),
            (
                "RFC 9112, 6.3",
                b"Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
                Err(Refusal::ContentLengthRepeated),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
                Err(Refusal::ContentLengthRepeated),
            ),
            (
                "RFC 9112, 5.1",
                b"Host: x\r\nContent-Length : 5\r\n",
                Err(Refusal::SpaceBeforeColon),
            ),
            (
                "RFC 9110, 8.6",
                b"Host: x\r\nContent_Length: 5\r\n",
                Ok("None"),
            ),
        ],
        framing,
    );
}

#[test]
fn a_coding_is_chunked_once_and_last() {
    check_fields(
        &[
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: chunked\r\n",
                Ok("Chunked"),
            ),
            (
                "RFC 9112, 7",
                b"Host: x\r\ntransfer-encoding:CHUNKed\t\r\n",
                Ok("Chunked"),
            ),
            (
                "RFC 9110, 5.6.1.2",
                b"Host: x\r\nTransfer-Encoding: , chunked,\r\n",
                Ok("Chunked"),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding:\r\nTransfer-Encoding: chunked\r\n",
                Ok("Chunked"),
            ),
            (
                "RFC 9112, 6.3",
                b"Host: x\r\nTransfer-Encoding:\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: chunked, chunked\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 6.3",
                b"Host: x\r\nTransfer-Encoding: chunked, gzip\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 6.3",
                b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 6.3",
                b"Host: x\r\nTransfer-Encoding: gzip\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 6.3",
                b"Host: x\r\nTransfer-Encoding: identity\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n",
                Err(Refusal::CodingUnknown),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: identity, chunked\r\n",
                Err(Refusal::CodingUnknown),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                Err(Refusal::CodingUnknown),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: gzip, chunked, chunked\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 7",
                b"Host: x\r\nTransfer-Encoding: xchunked\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 7",
                b"Host: x\r\nTransfer-Encoding: chunked;q=1\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 7",
                b"Host: x\r\nTransfer-Encoding: \"chunked\"\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9112, 7",
                b"Host: x\r\nTransfer-Encoding: chun ked\r\n",
                Err(Refusal::CodingNotChunked),
            ),
            (
                "RFC 9110, 5.5",
                b"Host: x\r\nTransfer-Encoding: \x0bchunked\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 5.1",
                b"Host: x\r\nTransfer-Encoding : chunked\r\n",
                Err(Refusal::SpaceBeforeColon),
            ),
            (
                "RFC 9112, 5.2",
                b"Host: x\r\nTransfer-Encoding:\r\n chunked\r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                Err(Refusal::LengthAndCoding),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                Err(Refusal::LengthAndCoding),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
                Err(Refusal::LengthAndCoding),
            ),
            (
                "RFC 9112, 6.1",
                b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n",
                Err(Refusal::LengthAndCoding),
            ),
        ],
        framing,
    );
}

#[test]
fn a_version_or_a_method_may_rule_a_body_out() {
    check(
        &[
            (
                "RFC 9112, 6.1",
                b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
                Err(Refusal::CodingInOldVersion),
            ),
            (
                "RFC 9112, 6.1",
                b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
                Err(Refusal::CodingInOldVersion),
            ),
            (
                "RFC 9112, 6.3",
                b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n",
                Ok("Sized(5)"),
            ),
            (
                "RFC 9112, 6.1",
                b"POST / HTTP/1.2\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                Ok("Chunked"),
            ),
            (
                "RFC 9112, 6.3",
                b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("None"),
            ),
            (
                "RFC 9110, 9.3.1",
                b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
                Ok("Sized(5)"),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("None"),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                Ok("None"),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
                Err(Refusal::ConnectContent),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                Err(Refusal::ConnectContent),
            ),
        ],
        framing,
    );
}

#[test]
fn persistence_is_read_from_all_connection_fields() {
    check(
        &[
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Persist"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n\r\n",
                Ok("Close"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: a\r\nCONNECTION: close\r\n\r\n",
                Ok("Close"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\nConnections: close\r\n\r\n",
                Ok("Persist"),
            ),
            ("RFC 9112, 9.3", b"GET / HTTP/1.0\r\n\r\n", Ok("Close")),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
                Ok("PersistConfirmed"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
                Ok("Close"),
            ),
        ],
        persistence,
    );
}

#[test]
fn only_100_continue_is_expected_and_only_with_a_body() {
    check(
        &[
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", Ok("true")),
            ("RFC 9110, 10.1.1", b"PUT / HTTP/1.1\r\nHost: x\r\nexpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", Ok("true")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", Ok("false")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect:\r\nContent-Length: 5\r\n\r\n", Ok("false")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", Ok("false")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", Err(Refusal::Expectation)),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue, a\r\n\r\n", Err(Refusal::Expectation)),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue;a=b\r\n\r\n", Err(Refusal::Expectation)),
        ],
        waiting,
    );
}

#[test]
fn an_upgrade_counts_when_connection_names_it() {
    check(
        &[
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", Ok("websocket")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", Ok("a")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", Ok("-")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\r\n", Ok("-")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", Ok("-")),
        ],
        upgrade,
    );
}

const SMALL: Limits = Limits {
    empty_lines_max: 0,
    target_bytes_max: 8,
    field_line_bytes_max: 10,
    fields_max: 3,
    head_bytes_max: 54,
    ..Limits::DEFAULT
};

#[test]
fn a_limit_admits_what_is_exactly_as_long() {
    check_within(
        &SMALL,
        &[
            (
                "empty lines",
                b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::EmptyLines),
            ),
            (
                "target",
                b"GET /2345678 HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok(""),
            ),
            (
                "target",
                b"GET /23456789 HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetTooLong),
            ),
            (
                "target",
                b"GET /234567? HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok(""),
            ),
            (
                "target",
                b"GET /2345678? HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetTooLong),
            ),
            (
                "target",
                b"GET /2345?7? HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok(""),
            ),
            ("target", b"GET /2345?7?9", Err(Refusal::TargetTooLong)),
            ("target", b"GET /2345678", WAITING),
            (
                "target before form",
                b"GET 123456789",
                Err(Refusal::TargetTooLong),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: 4567890\r\n\r\n",
                Ok("A=4567890"),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: 45678901\r\n\r\n",
                Err(Refusal::FieldLineTooLong),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\nA:        \r\n\r\n",
                Ok("A="),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\nA:         \r\n\r\n",
                Err(Refusal::FieldLineTooLong),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\n123456789:\r\n\r\n",
                Ok("123456789="),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\n1234567890:\r\n\r\n",
                Err(Refusal::FieldLineTooLong),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\n12345678901",
                Err(Refusal::FieldLineTooLong),
            ),
            (
                "field line",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: 45678901",
                Err(Refusal::FieldLineTooLong),
            ),
            (
                "field line before its byte",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: 4567890\0",
                Err(Refusal::ControlByte),
            ),
            (
                "field line before its byte",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: 45678901\0",
                Err(Refusal::FieldLineTooLong),
            ),
            (
                "fields",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n\r\n",
                Ok("A=b|C=d"),
            ),
            (
                "fields",
                b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\nE:\r\n\r\n",
                Err(Refusal::TooManyFields),
            ),
            (
                "head",
                b"GET /2345678 HTTP/1.1\r\nHost: x\r\nA: 4567890\r\nB: 4567890\r\n\r\n",
                Err(Refusal::HeadTooLarge),
            ),
            (
                "head",
                b"GET /2345678 HTTP/1.1\r\nHost: x\r\nA: 4567890\r\nB: 4567\r\n\r\n",
                Err(Refusal::HeadTooLarge),
            ),
            (
                "head",
                b"GET /2345678 HTTP/1.1\r\nHost: x\r\nA: 4567890\r\nB: 456\r\n\r\n",
                Ok("A=4567890|B=456"),
            ),
        ],
        fields,
    );
}

#[test]
fn the_default_limits_hold() {
    let target = |length: usize| {
        [
            b"GET /",
            &vec![b'a'; length - 1][..],
            b" HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
        .concat()
    };
    let field = |length: usize| {
        [
            b"GET / HTTP/1.1\r\nHost: x\r\nA: ",
            &vec![b'a'; length - 3][..],
            b"\r\n\r\n",
        ]
        .concat()
    };
    let many = |count: usize| {
        [
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            "A: b\r\n".repeat(count - 1).as_bytes(),
            b"\r\n",
        ]
        .concat()
    };
    let large = |length: usize| {
        let line = format!("A: {}\r\n", "a".repeat(8_000)).repeat(4);
        let before = [b"GET / HTTP/1.1\r\nHost: x\r\n", line.as_bytes(), b"B: "].concat();
        [
            &before[..],
            &vec![b'b'; length - before.len() - 4],
            b"\r\n\r\n",
        ]
        .concat()
    };
    let length =
        |head: &Head, bytes: &[u8]| format!("{} {}", bytes.len(), head.headers(bytes).len());
    check(
        &[
            ("414", &target(8_192), Ok("8218 1")),
            ("414", &target(8_193), Err(Refusal::TargetTooLong)),
            ("431", &field(8_192), Ok("8221 2")),
            ("431", &field(8_193), Err(Refusal::FieldLineTooLong)),
            ("431", &many(100), Ok("621 100")),
            ("431", &many(101), Err(Refusal::TooManyFields)),
            ("431", &large(32_768), Ok("32768 6")),
            ("431", &large(32_769), Err(Refusal::HeadTooLarge)),
            ("endless", &vec![b'G'; 70_000], Err(Refusal::MethodTooLong)),
        ],
        length,
    );
}

#[test]
fn a_limit_of_65_535_bytes_holds_positions_up_to_the_last() {
    let limits = Limits {
        head_bytes_max: u16::MAX,
        field_line_bytes_max: u16::MAX,
        ..Limits::DEFAULT
    };
    let head = |length: usize| {
        [
            b"GET / HTTP/1.1\r\nHost: x\r\nA: ",
            &vec![b'a'; length - 32][..],
            b"\r\n\r\n",
        ]
        .concat()
    };
    let length =
        |head: &Head, bytes: &[u8]| format!("{:?}", head.headers(bytes).get("a").map(str::len));
    check_within(
        &limits,
        &[
            ("u16", &head(65_535), Ok("Some(65503)")),
            ("u16", &head(65_536), Err(Refusal::HeadTooLarge)),
        ],
        length,
    );
}

#[test]
fn a_head_is_used_again_without_a_trace_of_the_last_one() {
    let (mut parser, mut head) = (HeadParser::default(), Head::default());
    let first = b"POST http://y/a?b HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(
        parser.parse(first, &mut head, &Limits::DEFAULT),
        Ok(Parsed::Complete(first.len()))
    );
    assert_eq!(head.host(first), Some("y"));
    let capacity = head.fields.list.capacity();
    let second = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET";
    assert_eq!(
        parser.parse(second, &mut head, &Limits::DEFAULT),
        Ok(Parsed::Complete(second.len() - 3))
    );
    assert_eq!(parts(&head, second), "Origin / - x");
    assert_eq!(
        (framing(&head, second), persistence(&head, second)),
        ("None".into(), "Persist".into())
    );
    assert_eq!(
        (head.fields.list.len(), head.fields.list.capacity()),
        (1, capacity)
    );
}

#[test]
fn a_refused_head_tells_its_method_if_it_got_that_far() {
    for (bytes, expected) in [(&b"HEAD /#"[..], Method::HEAD), (b"HEAD\n", Method::GET)] {
        let (mut parser, mut head) = (HeadParser::default(), Head::default());
        assert!(parser.parse(bytes, &mut head, &Limits::DEFAULT).is_err());
        assert_eq!(*head.method(), expected);
    }
}

#[test]
fn bytes_that_were_read_are_not_read_again() {
    let bytes = [
        b"GET /a?b HTTP/1.1\r\nHost: x\r\nA: ",
        &[b'a'; 500][..],
        b"\r\nB: c",
    ]
    .concat();
    let (mut parser, mut head) = (HeadParser::default(), Head::default());
    let mut overwritten = bytes.clone();
    for end in 1..=bytes.len() {
        overwritten[..end].copy_from_slice(&bytes[..end]);
        // Of the bytes before the last few, only line starts are read again.
        if (40..500).contains(&end) {
            overwritten[35..end - 4].fill(0);
        }
        let parsed = parser.parse(&overwritten[..end], &mut head, &Limits::DEFAULT);
        assert_eq!(parsed, Ok(Parsed::Incomplete), "at {end}");
    }
}

fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET",
        "CONNECT",
        "OPTIONS",
        " ",
        "/",
        "*",
        "?a",
        "http://x",
        "x:1",
        "HTTP/1.1",
        "HTTP/1.0",
        "\r\n",
        "\r\n",
        "\r",
        "\n",
        "Host",
        ":",
        ": ",
        "x",
        "Content-Length",
        "5",
        "Transfer-Encoding",
        "chunked",
        "Connection",
        "close",
        ",",
        "\t",
        "\0",
        "é",
        "GET / HTTP/1.1\r\nHost: x\r\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn everything(head: &Head, bytes: &[u8]) -> String {
    format!("{head:?} {}", bytes.len())
}

proptest! {
    #[test]
    fn any_bytes_come_out_the_same_in_any_pieces(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), nearly_a_head()],
        mut stops in prop::collection::vec(0_usize..400, 0..10),
    ) {
        stops.retain(|stop| *stop < bytes.len());
        stops.sort_unstable();
        let whole = read(&bytes, &[], &Limits::DEFAULT, everything);
        prop_assert_eq!(read(&bytes, &stops, &Limits::DEFAULT, everything), whole.clone());
        let small = read(&bytes, &[], &SMALL, everything);
        prop_assert_eq!(read(&bytes, &stops, &SMALL, everything), small);
    }

    #[test]
    fn a_head_that_passes_has_no_byte_that_may_not_be(bytes in nearly_a_head()) {
        let (mut parser, mut head) = (HeadParser::default(), Head::default());
        if let Ok(Parsed::Complete(end)) = parser.parse(&bytes, &mut head, &Limits::DEFAULT) {
            let text = String::from_utf8_lossy(&bytes[..end]).replace("\r\n", "");
            prop_assert!(!text.contains(['\r', '\n', '\0']));
            prop_assert!(head.version() == Version::HTTP_10 || head.host(&bytes).is_some());
        }
    }

    /// A second opinion: httparse is laxer, so it must accept all that is accepted here, and read
    /// the same out of it.
    #[test]
    fn an_accepted_head_reads_the_same_in_httparse(bytes in nearly_a_head()) {
        let (mut parser, mut head) = (HeadParser::default(), Head::default());
        if let Ok(Parsed::Complete(end)) = parser.parse(&bytes, &mut head, &Limits::DEFAULT) {
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut theirs = httparse::Request::new(&mut fields);
            prop_assert_eq!(theirs.parse(&bytes), Ok(httparse::Status::Complete(end)));
            prop_assert_eq!(theirs.method, Some(head.method().as_str()));
            prop_assert_eq!(theirs.path, Some(head.target()));
            let theirs = theirs.headers.iter().map(|field| (field.name, field.value));
            prop_assert!(theirs.eq(head.headers(&bytes).iter()));
        }
    }
}

/// Heads that have much in common, as those of one client do.
fn heads_of_a_client() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "GET /b HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "CONNECT x:1 HTTP/1.1\r\n",
        "\r\nGET / HTTP/1.1\r\n",
        "GET /# HTTP/1.1\r\n",
    ]);
    let section = prop::sample::select(vec![
        "Host: x\r\n\r\n",
        "Host: y\r\n\r\n",
        "Host: x\r\nConnection: close\r\n\r\n",
        "Host: x\r\nContent-Length: 1\r\n\r\n",
        "Host: x\r\nHost: x\r\n\r\n",
        "\r\n",
    ]);
    let head = (line, section).prop_map(|(line, section)| [line, section].concat().into_bytes());
    prop::collection::vec(head, 1..8)
}

/// Returns all parts of a head, as text.
fn told(head: &Head, bytes: &[u8]) -> String {
    let all = [line, parts, host, framing, persistence, waiting, upgrade];
    let told = all.map(|tell| tell(head, bytes)).join(" ");
    format!("{told} {:?}", head.headers(bytes))
}

proptest! {
    #[test]
    fn earlier_heads_do_not_change_a_head(heads in heads_of_a_client(), split in 0_usize..40) {
        let (mut parser, mut head) = (HeadParser::default(), Head::default());
        for bytes in &heads {
            let split = split.min(bytes.len());
            let mut parsed = parser.parse(&bytes[..split], &mut head, &Limits::DEFAULT);
            if parsed == Ok(Parsed::Incomplete) {
                parsed = parser.parse(bytes, &mut head, &Limits::DEFAULT);
            }
            let alone = read(bytes, &[], &Limits::DEFAULT, told);
            prop_assert_eq!(parsed.map(|_| told(&head, bytes)), alone);
            if parsed.is_err() {
                (parser, head.line) = (HeadParser::default(), RequestLine::default());
            }
        }
    }
}

#[test]
fn a_head_that_comes_again_is_not_judged_again() {
    let (mut parser, mut head) = (HeadParser::default(), Head::default());
    let mut parse = |bytes: &[u8], known: [Option<usize>; 2]| {
        let at = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or_default()
            + 1;
        let found = [
            head.cache.head_at(bytes),
            head.cache.section_at(&bytes[at..]),
        ];
        assert_eq!(found, known, "{:?}", String::from_utf8_lossy(bytes));
        let parsed = parser.parse(bytes, &mut head, &Limits::DEFAULT);
        assert!(matches!(parsed, Ok(Parsed::Complete(_))));
    };
    parse(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", [None, None]);
    parse(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nG", [Some(28), Some(11)]);
    parse(b"GET /bc HTTP/1.1\r\nHost: x\r\n\r\n", [None, Some(11)]);
    parse(b"GET /bc HTTP/1.1\r\nHost: y\r\n\r\n", [None, None]);
    parse(b"GET /bc HTTP/1.0\r\n\r\n", [None, None]);
    parse(b"GET /bc HTTP/1.0\r\n\r\n", [Some(20), None]);
}
