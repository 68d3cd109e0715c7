//! The limits: each admits its own length, and refuses one more.

use super::*;

pub(super) const SMALL: Limits = Limits {
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
