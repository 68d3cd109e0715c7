//! The fields that say how long a body is.

use super::*;

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
