//! Chunked bodies, row by row: whole, a byte at a time, and split at each position.

use proptest::prelude::*;

use super::*;

/// The rule a row rests on, its bytes, and the data, the trailers and the rest that come of it.
type Row<'a> = (&'a str, &'a [u8], Result<&'a str, Refusal>);

const WAITING: Result<&str, Refusal> = Ok("incomplete");

fn check(rows: &[Row<'_>]) {
    check_within(&Limits::DEFAULT, rows);
}

fn check_within(limits: &Limits, rows: &[Row<'_>]) {
    for (rule, bytes, expected) in rows {
        let shown = String::from_utf8_lossy(bytes);
        let whole = read(bytes, &[], limits);
        assert_eq!(
            whole.as_deref(),
            expected.as_ref().map(|text| *text),
            "{rule}: {shown:?}"
        );
        let every: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(
            read(bytes, &every, limits),
            whole,
            "{rule}, dribbled: {shown:?}"
        );
        for split in 0..bytes.len() {
            assert_eq!(
                read(bytes, &[split], limits),
                whole,
                "{rule}, split at {split}: {shown:?}"
            );
        }
    }
}

/// Decodes the bytes in pieces that end at each of `stops`; gives `data|trailers|rest`.
fn read(bytes: &[u8], stops: &[usize], limits: &Limits) -> Result<String, Refusal> {
    let (mut decoder, mut data, mut at) = (Decoder::default(), Vec::new(), 0);
    for end in stops.iter().copied().chain([bytes.len()]) {
        loop {
            match decoder.decode(&bytes[at..end], limits)? {
                Decoded::Data(range) => {
                    assert!(!range.is_empty());
                    data.extend_from_slice(&bytes[at..end][range.clone()]);
                    at += range.end;
                }
                Decoded::Incomplete => {
                    at = end;
                    break;
                }
                Decoded::End(consumed) => {
                    assert!(decoder.is_done());
                    return Ok(describe(&decoder, &data, &bytes[at + consumed..]));
                }
            }
        }
    }
    Ok("incomplete".to_owned())
}

fn describe(decoder: &Decoder, data: &[u8], rest: &[u8]) -> String {
    let pair = |(name, value)| format!("{name}={}", String::from_utf8_lossy(value));
    let trailers: Vec<_> = decoder.trailers().iter().map(pair).collect();
    let (data, rest) = (String::from_utf8_lossy(data), String::from_utf8_lossy(rest));
    format!("{data}|{}|{rest}", trailers.join(","))
}

#[test]
fn a_body_is_chunks_and_an_empty_one() {
    check(&[
        ("RFC 9112, 7.1", b"0\r\n\r\n", Ok("||")),
        ("RFC 9112, 7.1", b"5\r\nhello\r\n0\r\n\r\n", Ok("hello||")),
        (
            "RFC 9112, 7.1",
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET",
            Ok("hello world||GET"),
        ),
        (
            "RFC 9112, 7.1",
            b"a\r\n0123456789\r\n0\r\n\r\n",
            Ok("0123456789||"),
        ),
        (
            "RFC 9112, 7.1",
            b"A\r\n0123456789\r\n0\r\n\r\n",
            Ok("0123456789||"),
        ),
        (
            "RFC 9112, 7.1",
            b"005\r\nhello\r\n000\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1",
            b"4\r\n\r\n\r\n\r\n0\r\n\r\n",
            Ok("\r\n\r\n||"),
        ),
        ("RFC 9112, 7.1", b"0\r\n\r\n0\r\n\r\n", Ok("||0\r\n\r\n")),
        ("RFC 9112, 7.1", b"5\r\nhello\r\n", WAITING),
        ("RFC 9112, 7.1", b"5\r\nhell", WAITING),
        ("RFC 9112, 7.1", b"0\r\n\r", WAITING),
        ("RFC 9112, 7.1", b"", WAITING),
    ]);
}

#[test]
fn a_size_is_hexadecimal_and_nothing_else() {
    check(&[
        ("RFC 9112, 7.1", b"\r\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b"\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b"x\r\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b"g\r\n", Err(Refusal::ChunkSize)),
        (
            "RFC 9112, 7.1",
            b"0x5\r\nhello\r\n",
            Err(Refusal::ChunkSize),
        ),
        ("RFC 9112, 7.1", b"+5\r\nhello\r\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b"-5\r\nhello\r\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b"#5\r\nhello\r\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b"1_0\r\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b" 5\r\nhello\r\n", Err(Refusal::ChunkSize)),
        (
            "RFC 9112, 7.1",
            b"\xef\xbc\x95\r\n",
            Err(Refusal::ChunkSize),
        ),
        (
            "RFC 9112, 7.1",
            b"5 \r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1",
            b"5 5\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1",
            b"5\0\r\nhello\r\n",
            Err(Refusal::ChunkSize),
        ),
        ("RFC 9112, 7.1", b"5,\r\nhello\r\n", Err(Refusal::ChunkSize)),
        ("RFC 9112, 7.1", b";a\r\nhello\r\n", Err(Refusal::ChunkSize)),
        (
            "RFC 9112, 7.1",
            b"0000000000000005\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1",
            b"00000000000000005\r\nhello\r\n00000000000000000\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1",
            b"00007fffffffffffffff\r\n",
            Err(Refusal::BodyTooLarge),
        ),
        (
            "RFC 9112, 7.1",
            b"00008000000000000000\r\n",
            Err(Refusal::ChunkSize),
        ),
        (
            "RFC 9112, 7.1",
            b"000010000000000000005\r\nhello\r\n",
            Err(Refusal::ChunkSize),
        ),
        ("RFC 9112, 7.1", b"0000x\r\n", Err(Refusal::ChunkSize)),
        (
            "RFC 9112, 7.1",
            b"7fffffffffffffff\r\n",
            Err(Refusal::BodyTooLarge),
        ),
        (
            "RFC 9112, 7.1",
            b"8000000000000000\r\n",
            Err(Refusal::ChunkSize),
        ),
        (
            "RFC 9112, 7.1",
            b"FFFFFFFFFFFFFFFF\r\n",
            Err(Refusal::ChunkSize),
        ),
        (
            "RFC 9112, 7.1",
            b"10000000000000000\r\n",
            Err(Refusal::ChunkSize),
        ),
        (
            "RFC 9112, 7.1",
            b"10000000000000005\r\nhello\r\n",
            Err(Refusal::ChunkSize),
        ),
    ]);
}

#[test]
fn a_line_ends_with_both_bytes_or_not_at_all() {
    check(&[
        ("RFC 9112, 2.2", b"5\nhello\r\n", Err(Refusal::BareLineFeed)),
        (
            "RFC 9112, 2.2",
            b"5\rhello\r\n",
            Err(Refusal::BareCarriageReturn),
        ),
        (
            "RFC 9112, 2.2",
            b"5\r\r\nhello\r\n",
            Err(Refusal::BareCarriageReturn),
        ),
        (
            "RFC 9112, 7.1",
            b"5\r\nhello\n0\r\n\r\n",
            Err(Refusal::ChunkEnd),
        ),
        (
            "RFC 9112, 7.1",
            b"5\r\nhello\r0\r\n\r\n",
            Err(Refusal::ChunkEnd),
        ),
        (
            "RFC 9112, 7.1",
            b"5\r\nhello0\r\n\r\n",
            Err(Refusal::ChunkEnd),
        ),
        (
            "RFC 9112, 7.1",
            b"4\r\nhello\r\n0\r\n\r\n",
            Err(Refusal::ChunkEnd),
        ),
        (
            "RFC 9112, 7.1",
            b"6\r\nhello\r\n0\r\n\r\n",
            Err(Refusal::ChunkEnd),
        ),
        ("RFC 9112, 2.2", b"0\r\n\n", Err(Refusal::BareLineFeed)),
        (
            "RFC 9112, 2.2",
            b"0\r\n\r0",
            Err(Refusal::BareCarriageReturn),
        ),
        ("RFC 9112, 2.2", b"0\n\r\n", Err(Refusal::BareLineFeed)),
    ]);
}

#[test]
fn an_extension_is_ignored_if_it_is_one() {
    check(&[
        (
            "RFC 9112, 7.1.1",
            b"5;a\r\nhello\r\n0;b\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=b\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=b;c;d=e\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5 ;\ta = b ; c\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a ;b\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\"b;\\\"c\\\\ \t\xff\"\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\"\"\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\"b\" ;c\r\nhello\r\n0\r\n\r\n",
            Ok("hello||"),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;;a\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;=b\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=b=c\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=b \r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a b\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\"b\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\"b\\\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\"b\"c\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a\0\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 7.1.1",
            b"5;a=\"\x7f\"\r\nhello\r\n",
            Err(Refusal::ChunkExtension),
        ),
        (
            "RFC 9112, 2.2",
            b"5;a\nhello\r\n",
            Err(Refusal::BareLineFeed),
        ),
        (
            "RFC 9112, 2.2",
            b"5;\nhello\r\n",
            Err(Refusal::BareLineFeed),
        ),
        (
            "RFC 9112, 2.2",
            b"5;a=\"\n\"\r\nhello\r\n",
            Err(Refusal::BareLineFeed),
        ),
        (
            "RFC 9112, 2.2",
            b"5;a\rb\r\nhello\r\n",
            Err(Refusal::BareCarriageReturn),
        ),
    ]);
}

#[test]
fn trailers_are_fields_and_stay_apart() {
    check(&[
        (
            "RFC 9112, 7.1.2",
            b"5\r\nhello\r\n0\r\nA: b\r\n\r\nGET",
            Ok("hello|A=b|GET"),
        ),
        (
            "RFC 9112, 7.1.2",
            b"0\r\nA: b\r\nC:\td \r\n\r\n",
            Ok("|A=b,C=d|"),
        ),
        (
            "RFC 9110, 6.5.1",
            b"0\r\nContent-Length: 5\r\n\r\n",
            Ok("|Content-Length=5|"),
        ),
        (
            "RFC 9112, 5.1",
            b"0\r\nA : b\r\n\r\n",
            Err(Refusal::SpaceBeforeColon),
        ),
        ("RFC 9112, 5", b"0\r\n: b\r\n\r\n", Err(Refusal::FieldName)),
        (
            "RFC 9112, 5",
            b"0\r\nGET / HTTP/1.1\r\n\r\n",
            Err(Refusal::SpaceBeforeColon),
        ),
        (
            "RFC 9112, 5",
            b"0\r\nhello\r\n\r\n",
            Err(Refusal::FieldName),
        ),
        (
            "RFC 9112, 5.2",
            b"0\r\nA: b\r\n c\r\n\r\n",
            Err(Refusal::ObsoleteFold),
        ),
        (
            "RFC 9112, 2.2",
            b"0\r\n A: b\r\n\r\n",
            Err(Refusal::LeadingWhitespace),
        ),
        (
            "RFC 9112, 2.2",
            b"0\r\nA: b\n\r\n",
            Err(Refusal::BareLineFeed),
        ),
        (
            "RFC 9110, 5.5",
            b"0\r\nA: \0\r\n\r\n",
            Err(Refusal::ControlByte),
        ),
        ("RFC 9112, 7.1.2", b"0\r\nA: b\r\n", WAITING),
    ]);
}

#[test]
fn every_part_has_its_limit() {
    let limits = Limits {
        body_bytes_max: 10,
        chunk_line_bytes_max: 20,
        chunk_extension_bytes_max: 12,
        trailer_bytes_max: 16,
        trailer_fields_max: 2,
        ..Limits::DEFAULT
    };
    check_within(
        &limits,
        &[
            ("413", b"a\r\n0123456789\r\n0\r\n\r\n", Ok("0123456789||")),
            ("413", b"b\r\n", Err(Refusal::BodyTooLarge)),
            (
                "413",
                b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n",
                Ok("helloworld||"),
            ),
            ("413", b"5\r\nhello\r\n6\r\n", Err(Refusal::BodyTooLarge)),
            (
                "413",
                b"5\r\nhello\r\n7fffffffffffffff\r\n",
                Err(Refusal::BodyTooLarge),
            ),
            ("line", b"0000000000000;456789\r\n\r\n", Ok("||")),
            (
                "line",
                b"0000000000000;4567890\r\n\r\n",
                Err(Refusal::ChunkLineTooLong),
            ),
            ("line", b"00000000000000000000\r\n\r\n", Ok("||")),
            (
                "line",
                b"000000000000000000000\r\n\r\n",
                Err(Refusal::ChunkLineTooLong),
            ),
            (
                "zeros in excess count as extensions do",
                b"00000000000000000001\r\na\r\n00000000000000000001\r\na\r\n\
                  00000000000000000001\r\na\r\n0\r\n\r\n",
                Ok("aaa||"),
            ),
            (
                "zeros in excess count as extensions do",
                b"00000000000000000001\r\na\r\n00000000000000000001\r\na\r\n\
                  00000000000000000001\r\na\r\n00000000000000000\r\n\r\n",
                Err(Refusal::ChunkLineTooLong),
            ),
            (
                "extensions",
                b"1;23456\r\na\r\n1;23456\r\na\r\n0\r\n\r\n",
                Ok("aa||"),
            ),
            (
                "extensions",
                b"1;23456\r\na\r\n1;234567\r\na\r\n",
                Err(Refusal::ChunkLineTooLong),
            ),
            (
                "trailers",
                b"0\r\nA: 456789012\r\n\r\n",
                Ok("|A=456789012|"),
            ),
            (
                "trailers",
                b"0\r\nA: 4567890123\r\n\r\n",
                Err(Refusal::TrailersTooLarge),
            ),
            ("trailers", b"0\r\nA:\r\nB:\r\n\r\n", Ok("|A=,B=|")),
            (
                "trailers",
                b"0\r\nA:\r\nB:\r\nC:\r\n\r\n",
                Err(Refusal::TrailersTooLarge),
            ),
            (
                "trailers",
                b"0\r\nA: 4567890123456",
                Err(Refusal::TrailersTooLarge),
            ),
        ],
    );
}

#[test]
fn a_chunk_is_written_with_its_size_and_an_empty_one_is_not() {
    for (data, expected) in [
        (&b"hello"[..], "5\r\nhello\r\n"),
        (b"0123456789abcdef", "10\r\n0123456789abcdef\r\n"),
        (b"", ""),
    ] {
        let mut out = Vec::new();
        push_chunk(&mut out, data);
        assert_eq!(String::from_utf8_lossy(&out), expected, "RFC 9112, 7.1");
    }
    for (size, expected) in [
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (255, "ff\r\n"),
        (256, "100\r\n"),
        (u64::MAX, "ffffffffffffffff\r\n"),
    ] {
        let mut out = Vec::new();
        push_size_line(&mut out, size);
        assert_eq!(String::from_utf8_lossy(&out), expected, "RFC 9112, 7.1");
    }
}

#[test]
fn trailers_are_written_whole_or_not_at_all() {
    let check = |trailers: &[(&str, &str)], expected: Result<&str, InvalidAnswer>| {
        let mut out = b"before".to_vec();
        let pushed = push_last_chunk(&mut out, &trailers);
        let written = std::str::from_utf8(&out[6..]).unwrap_or("not text");
        assert_eq!(pushed.map(|()| written), expected, "{trailers:?}");
        assert!(pushed.is_ok() || out == b"before");
    };
    check(&[], Ok("0\r\n\r\n"));
    check(&[("x-sum", "1")], Ok("0\r\nx-sum: 1\r\n\r\n"));
    check(
        &[("x-sum", "1"), ("x-sum", "1\r\n")],
        Err(InvalidAnswer::Value),
    );
    check(&[("x sum", "1")], Err(InvalidAnswer::Name));
    for name in [
        "content-length",
        "Transfer-Encoding",
        "host",
        "Set-Cookie",
        "trailer",
    ] {
        check(&[("a", "b"), (name, "1")], Err(InvalidAnswer::Trailer)); // RFC 9110, 6.5.1
    }
}

proptest! {
    #[test]
    fn an_encoded_body_is_decoded_in_any_pieces(
        chunks in prop::collection::vec("[a-z]{0,40}", 0..6),
        mut stops in prop::collection::vec(0_usize..300, 0..10),
    ) {
        let mut bytes = Vec::new();
        chunks.iter().for_each(|chunk| push_chunk(&mut bytes, chunk.as_bytes()));
        prop_assert_eq!(push_last_chunk(&mut bytes, &[("a", "b")]), Ok(()));
        bytes.extend_from_slice(b"rest");
        stops.retain(|stop| *stop < bytes.len());
        stops.sort_unstable();
        let expected = format!("{}|a=b|", chunks.concat());
        let read = read(&bytes, &stops, &Limits::DEFAULT).unwrap_or_default();
        prop_assert!(read.starts_with(&expected));
    }

    #[test]
    fn any_bytes_are_data_or_refused_and_come_out_the_same(
        bytes in prop::collection::vec(prop::sample::select(b"05afF;=\"\\ \t\r\n\r\n\r\nxA:\0".to_vec()), 0..60),
        mut stops in prop::collection::vec(0_usize..60, 0..10),
    ) {
        stops.retain(|stop| *stop < bytes.len());
        stops.sort_unstable();
        prop_assert_eq!(read(&bytes, &stops, &Limits::DEFAULT), read(&bytes, &[], &Limits::DEFAULT));
    }
}
