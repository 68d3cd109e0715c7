//! Any bytes: the pieces in which they come do not matter, and httparse is a second opinion.

use proptest::prelude::*;

use super::limits::SMALL;
use super::*;

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
