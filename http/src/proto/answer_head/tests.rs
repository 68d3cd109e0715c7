//! Heads of answers, and the nearest bytes that are not one, row by row.
//!
//! [`read`] parses each row as a whole, byte by byte, and split at each position. All results are the same.

use proptest::prelude::*;

use super::*;

/// The rule of a row, its bytes, and the expected result.
type Row<'a> = (&'a str, &'a [u8], Result<&'a str, Refusal>);

type Describe = fn(&AnswerHead) -> String;

fn read(
    bytes: &[u8],
    stops: &[usize],
    limits: &Limits,
    describe: Describe,
) -> Result<String, Refusal> {
    let (mut parser, mut head) = (AnswerParser::default(), AnswerHead::default());
    for end in stops.iter().copied().chain([bytes.len()]) {
        if let Some(length) = parser.parse(&bytes[..end], &mut head, limits)? {
            assert!(length <= end && bytes[..length].ends_with(b"\r\n\r\n"));
            return Ok(describe(&head));
        }
    }
    Ok("incomplete".to_owned())
}

fn check_within(limits: &Limits, rows: &[Row<'_>], describe: Describe) {
    for (rule, bytes, expected) in rows {
        let shown = String::from_utf8_lossy(bytes);
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
        for split in 0..bytes.len() {
            let parts = read(bytes, &[split], limits, describe);
            assert_eq!(parts, whole, "{rule}, split at {split}: {shown:?}");
        }
    }
}

fn check(rows: &[Row<'_>], describe: Describe) {
    check_within(&Limits::DEFAULT, rows, describe);
}

/// Rows of field lines only, put behind a status line and before the empty line.
fn check_fields(rows: &[Row<'_>], describe: Describe) {
    for (rule, fields, expected) in rows {
        let bytes = [b"HTTP/1.1 200 OK\r\n", *fields, b"\r\n"].concat();
        check(&[(rule, &bytes, *expected)], describe);
    }
}

fn line(head: &AnswerHead) -> String {
    format!("{:?} {}", head.version(), head.status().as_u16())
}

fn fields(head: &AnswerHead) -> String {
    let pair = |(name, value)| format!("{name}={}", String::from_utf8_lossy(value));
    let pairs: Vec<_> = head.headers().iter().map(pair).collect();
    pairs.join("|")
}

fn persistence(head: &AnswerHead) -> String {
    format!("{} {:?}", head.persists(), head.keep_alive_seconds())
}

#[test]
fn a_status_line_has_a_version_and_three_digits() {
    check(
        &[
            (
                "RFC 9112, 4",
                b"HTTP/1.1 200 OK\r\n\r\n",
                Ok("HTTP/1.1 200"),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 404 Not Found\r\n\r\n",
                Ok("HTTP/1.1 404"),
            ),
            ("RFC 9112, 4", b"HTTP/1.1 200 \r\n\r\n", Ok("HTTP/1.1 200")),
            // Against the grammar, but common and with one reading.
            ("RFC 9112, 4", b"HTTP/1.1 200\r\n\r\n", Ok("HTTP/1.1 200")),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 200  a\tb \xc3\xa9 \r\n\r\n",
                Ok("HTTP/1.1 200"),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                Ok("HTTP/1.1 100"),
            ),
            (
                "RFC 9110, 15",
                b"HTTP/1.1 999 a\r\n\r\n",
                Ok("HTTP/1.1 999"),
            ),
            (
                "RFC 9110, 2.5",
                b"HTTP/1.0 200 OK\r\n\r\n",
                Ok("HTTP/1.0 200"),
            ),
            (
                "RFC 9110, 2.5",
                b"HTTP/1.9 200 OK\r\n\r\n",
                Ok("HTTP/1.1 200"),
            ),
            (
                "RFC 9112, 2.3",
                b"HTTP/2.0 200 OK\r\n\r\n",
                Err(Refusal::VersionUnsupported),
            ),
            (
                "RFC 9112, 2.3",
                b"HTTP/2 200 OK\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"http/1.1 200 OK\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"HTTP/1.a 200 OK\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"HTTP/1.10 200 OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 2.3",
                b"ICY 200 OK\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.3",
                b"SSH-2.0-OpenSSH\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1  200 OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1\t200 OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 20 OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 2000 OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 099 OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 +20 OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 200\tOK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 200OK\r\n\r\n",
                Err(Refusal::StatusLine),
            ),
            ("RFC 9112, 4", b"HTTP/1.1\r\n\r\n", Err(Refusal::StatusLine)),
            (
                "RFC 9112, 4",
                b"HTTP/1.1 200 O\0K\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 2.2",
                b"HTTP/1.1 200 OK\n\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"HTTP/1.1 200\n",
                Err(Refusal::BareLineFeed),
            ),
            (
                "RFC 9112, 2.2",
                b"HTTP/1.1 200 OK\rA: b\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            (
                "RFC 9112, 2.2",
                b"HTTP/1.1 200\rA: b\r\n\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            // Only a server reads past empty lines.
            (
                "RFC 9112, 2.2",
                b"\r\nHTTP/1.1 200 OK\r\n\r\n",
                Err(Refusal::Version),
            ),
            (
                "RFC 9112, 2.2",
                b" HTTP/1.1 200 OK\r\n\r\n",
                Err(Refusal::Version),
            ),
            ("RFC 9112, 4", b"", Ok("incomplete")),
            ("RFC 9112, 4", b"HTTP/1.1 200 OK\r\n", Ok("incomplete")),
        ],
        line,
    );
}

#[test]
fn fields_follow_the_rules_of_requests() {
    check_fields(
        &[
            ("RFC 9112, 5", b"A: b\r\n", Ok("A=b")),
            ("RFC 9112, 5.1", b"A: \t b\t \r\n", Ok("A=b")),
            ("RFC 9110, 5.3", b"A: b\r\na: c\r\n", Ok("A=b|a=c")),
            ("RFC 9110, 5.5", b"A: \xff\r\n", Ok("A=\u{fffd}")),
            (
                "RFC 9112, 5.2",
                b"A: b\r\n c\r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 5.2",
                b"A: b\r\n\tc\r\n",
                Err(Refusal::ObsoleteFold),
            ),
            (
                "RFC 9112, 2.2",
                b" A: b\r\n",
                Err(Refusal::LeadingWhitespace),
            ),
            (
                "RFC 9112, 5.1",
                b"A : b\r\n",
                Err(Refusal::SpaceBeforeColon),
            ),
            ("RFC 9112, 5", b": b\r\n", Err(Refusal::FieldName)),
            ("RFC 9112, 5", b"A\r\n", Err(Refusal::FieldName)),
            ("RFC 9112, 2.2", b"A: b\n", Err(Refusal::BareLineFeed)),
            (
                "RFC 9112, 2.2",
                b"A: b\rC: d\r\n",
                Err(Refusal::BareCarriageReturn),
            ),
            ("RFC 9110, 5.5", b"A: b\0\r\n", Err(Refusal::ControlByte)),
            (
                "RFC 9110, 8.6",
                b"Content-Length: 1, 1\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Content-Length: +1\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Content-Length: \r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Content-Length: -1\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9110, 8.6",
                b"Content-Length: 18446744073709551616\r\n",
                Err(Refusal::ContentLength),
            ),
            (
                "RFC 9112, 6.3",
                b"Content-Length: 1\r\ncontent-length: 1\r\n",
                Err(Refusal::ContentLengthRepeated),
            ),
        ],
        fields,
    );
}

#[test]
fn a_connection_persists_unless_one_side_closes_it() {
    // RFC 9112, 9.3
    check_fields(
        &[
            ("", b"", Ok("true None")),
            ("", b"Connection: close\r\n", Ok("false None")),
            ("", b"Connection: a, Close\r\n", Ok("false None")),
            (
                "RFC 2068, 19.7.1",
                b"Keep-Alive: timeout=5\r\n",
                Ok("true Some(5)"),
            ),
            (
                "RFC 2068, 19.7.1",
                b"Keep-Alive: max=9, Timeout = 5\r\n",
                Ok("true Some(5)"),
            ),
            (
                "RFC 2068, 19.7.1",
                b"Keep-Alive: timeout=x\r\n",
                Ok("true None"),
            ),
            ("RFC 2068, 19.7.1", b"Keep-Alive: 300\r\n", Ok("true None")),
        ],
        persistence,
    );
    check(
        &[
            ("", b"HTTP/1.0 200 OK\r\n\r\n", Ok("false None")),
            (
                "",
                b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
                Ok("true None"),
            ),
        ],
        persistence,
    );
}

/// A method, a status line, the fields, and the expected framing.
type FramingRow<'a> = (&'a str, &'a str, &'a str, Result<ContentFraming, Refusal>);

#[test]
fn the_end_of_a_body_has_one_reading() {
    use ContentFraming::{AtClose, Chunked, None, Sized, Tunnel};
    const LENGTH: &str = "Content-Length: 5\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    const BOTH: &str = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let rows: &[FramingRow<'_>] = &[
        // RFC 9112, 6.3: the numbers are those of its list.
        ("HEAD", "1.1 200", LENGTH, Ok(None)), // 1
        ("HEAD", "1.1 200", CHUNKED, Ok(None)),
        ("HEAD", "1.1 200", "", Ok(None)),
        ("GET", "1.1 204", "", Ok(None)),
        ("GET", "1.1 204", LENGTH, Ok(None)),
        ("GET", "1.1 304", LENGTH, Ok(None)),
        ("GET", "1.1 304", CHUNKED, Ok(None)),
        ("GET", "1.1 100", LENGTH, Ok(None)),
        ("GET", "1.1 101", LENGTH, Ok(Tunnel)),
        ("CONNECT", "1.1 200", "", Ok(Tunnel)), // 2
        ("CONNECT", "1.1 200", BOTH, Ok(Tunnel)),
        ("CONNECT", "1.1 407", LENGTH, Ok(Sized(5))),
        ("GET", "1.1 200", BOTH, Err(Refusal::LengthAndCoding)), // 3
        ("HEAD", "1.1 200", BOTH, Err(Refusal::LengthAndCoding)),
        ("GET", "1.1 200", CHUNKED, Ok(Chunked)), // 4
        (
            "GET",
            "1.1 200",
            "Transfer-Encoding: Chunked\r\n",
            Ok(Chunked),
        ),
        ("GET", "1.0 200", CHUNKED, Err(Refusal::CodingInOldVersion)),
        (
            "GET",
            "1.1 200",
            "Transfer-Encoding: gzip, chunked\r\n",
            Err(Refusal::CodingUnknown),
        ),
        (
            "GET",
            "1.1 200",
            "Transfer-Encoding: gzip\r\n",
            Err(Refusal::CodingNotChunked),
        ),
        (
            "GET",
            "1.1 200",
            "Transfer-Encoding: chunked, gzip\r\n",
            Err(Refusal::CodingNotChunked),
        ),
        (
            "GET",
            "1.1 200",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Err(Refusal::CodingNotChunked),
        ),
        (
            "GET",
            "1.1 200",
            "Transfer-Encoding: identity\r\n",
            Err(Refusal::CodingNotChunked),
        ),
        ("GET", "1.1 200", LENGTH, Ok(Sized(5))), // 6
        ("GET", "1.0 200", LENGTH, Ok(Sized(5))),
        ("GET", "1.1 200", "Content-Length: 0\r\n", Ok(None)),
        ("GET", "1.1 206", LENGTH, Ok(Sized(5))),
        ("GET", "1.1 500", LENGTH, Ok(Sized(5))),
        ("GET", "1.1 200", "", Ok(AtClose)), // 8
        ("GET", "1.0 200", "", Ok(AtClose)),
        ("GET", "1.1 205", "", Ok(AtClose)),
    ];
    for (method, status, fields, expected) in rows {
        let bytes = format!("HTTP/{status} x\r\n{fields}\r\n");
        let (mut parser, mut head) = (AnswerParser::default(), AnswerHead::default());
        let parsed = parser.parse(bytes.as_bytes(), &mut head, &Limits::DEFAULT);
        assert_eq!(parsed, Ok(Some(bytes.len())), "{bytes:?}");
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        assert_eq!(head.framing(&method), *expected, "{method} {bytes:?}");
    }
}

#[test]
fn the_limits_are_inclusive() {
    const LINE: &str = "HTTP/1.1 200 OK\r\n";
    let limits = Limits {
        field_line_bytes_max: 20,
        fields_max: 2,
        head_bytes_max: 60,
        ..Limits::DEFAULT
    };
    let head = |fields: &str| format!("{LINE}{fields}\r\n").into_bytes();
    let a = |count| "a".repeat(count);
    let rows: [(&str, Vec<u8>, Result<&str, Refusal>); 7] = [
        ("", head(&format!("A: {}\r\n", a(17))), Ok("HTTP/1.1 200")),
        (
            "",
            head(&format!("A: {}\r\n", a(18))),
            Err(Refusal::FieldLineTooLong),
        ),
        ("", head("A: b\r\nA: b\r\n"), Ok("HTTP/1.1 200")),
        (
            "",
            head("A: b\r\nA: b\r\nA: b\r\n"),
            Err(Refusal::TooManyFields),
        ),
        (
            "",
            head(&format!("A: {}\r\nB: {}\r\n", a(17), a(14))),
            Ok("HTTP/1.1 200"),
        ),
        (
            "",
            head(&format!("A: {}\r\nB: {}\r\n", a(17), a(15))),
            Err(Refusal::HeadTooLarge),
        ),
        (
            "",
            format!("HTTP/1.1 200 {}\r\n", a(8)).into_bytes(),
            Err(Refusal::StatusLine),
        ),
    ];
    for (rule, bytes, expected) in &rows {
        check_within(&limits, &[(rule, bytes, *expected)], line);
    }
}

#[test]
fn a_parser_reads_one_head_after_another() {
    const BYTES: &[u8] =
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.0 204 b\r\nC: d\r\n\r\nrest";
    let (mut parser, mut head) = (AnswerParser::default(), AnswerHead::default());
    let first = parser.parse(BYTES, &mut head, &Limits::DEFAULT);
    assert_eq!((first, fields(&head)), (Ok(Some(37)), "Link=a".to_owned()));
    let second = parser.parse(&BYTES[37..], &mut head, &Limits::DEFAULT);
    assert_eq!((second, fields(&head)), (Ok(Some(24)), "C=d".to_owned()));
    assert_eq!(line(&head), "HTTP/1.0 204");
}

fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/2.0",
        " ",
        "200",
        "204",
        "304",
        "100",
        "99",
        "OK",
        "\r\n",
        "\r\n",
        "\r",
        "\n",
        "A",
        ":",
        ": ",
        "x",
        "Content-Length",
        "5",
        "Transfer-Encoding",
        "chunked",
        "Connection",
        "close",
        "Keep-Alive: timeout=",
        ",",
        "\t",
        "\0",
        "é",
        "HTTP/1.1 200 OK\r\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn everything(head: &AnswerHead) -> String {
    format!("{head:?}")
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
        prop_assert_eq!(read(&bytes, &stops, &Limits::DEFAULT, everything), whole);
    }

    /// A second opinion: httparse is laxer, so it must accept all that is accepted here, and read the same out of it.
    #[test]
    fn an_accepted_head_reads_the_same_in_httparse(bytes in nearly_a_head()) {
        let (mut parser, mut head) = (AnswerParser::default(), AnswerHead::default());
        if let Ok(Some(end)) = parser.parse(&bytes, &mut head, &Limits::DEFAULT) {
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut theirs = httparse::Response::new(&mut fields);
            prop_assert_eq!(theirs.parse(&bytes), Ok(httparse::Status::Complete(end)));
            prop_assert_eq!(theirs.code, Some(head.status().as_u16()));
            let theirs = theirs.headers.iter().map(|field| (field.name, field.value));
            prop_assert!(theirs.eq(head.headers().iter()));
        }
    }
}
