//! A parser and a head that are used again, as a connection uses them.

use proptest::prelude::*;

use super::*;

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
