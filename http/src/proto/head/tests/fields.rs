//! Fields: names, values, forbidden bytes, and Host.

use super::*;

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
