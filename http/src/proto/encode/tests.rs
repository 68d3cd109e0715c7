//! Heads of answers, row by row, and what may not be in one.

use AnswerFraming::{Bare, Chunked, Empty, Sized, UntilClose, Withheld};
use Persistence::{Close, Persist, PersistConfirmed};
use proptest::prelude::*;

use super::*;
use crate::error::Refusal;

const OWN: OwnLines<'_> = OwnLines {
    lines: b"server: S\r\ndate: D\r\n\r\n",
    server_bytes: 11,
    number: 0,
    added: b"",
};

type Fields<'a> = &'a [(&'a str, &'a str)];

/// As answers are made: the last head again if that is what is asked for, else a new one.
fn push(
    out: &mut Vec<u8>,
    rendered: &mut AnswerCache,
    status: StatusCode,
    decided: Decided,
    fields: Fields<'_>,
) -> Result<Decided, InvalidAnswer> {
    let asked = asked_for(status, decided, OWN);
    if let Some(head) = asked.and_then(|asked| rendered.get(asked, &fields)) {
        out.extend_from_slice(head);
        return Ok(decided);
    }
    push_head(out, rendered, status, decided, OWN, &fields)
}

fn encode(
    framing: AnswerFraming,
    persistence: Persistence,
    fields: Fields<'_>,
) -> Result<(String, Decided), InvalidAnswer> {
    let mut out = b"before".to_vec();
    let decided = Decided {
        framing,
        persistence,
    };
    let mut rendered = AnswerCache::default();
    let mut push = |out: &mut Vec<u8>| push(out, &mut rendered, StatusCode::OK, decided, fields);
    let pushed = push(&mut out);
    for time in ["second", "third"] {
        let mut again = b"before".to_vec();
        assert_eq!(push(&mut again), pushed);
        assert_eq!(again, out, "the {time} time it may come rendered");
    }
    assert!(out.starts_with(b"before"));
    assert!(
        pushed.is_ok() || out == b"before",
        "something was left: {fields:?}"
    );
    let written = String::from_utf8_lossy(&out[6..]).into_owned();
    pushed.map(|decided| (written, decided))
}

/// Of a persisting answer of that framing, what stands between status line and empty line.
fn check(framing: AnswerFraming, fields: Fields<'_>, expected: Result<&str, InvalidAnswer>) {
    let written = encode(framing, Persist, fields).map(|(written, _)| {
        let lines = written
            .strip_prefix("HTTP/1.1 200 OK\r\n")
            .unwrap_or_default();
        lines
            .strip_suffix("\r\n")
            .unwrap_or_default()
            .replace("\r\n", "|")
    });
    assert_eq!(
        written.as_deref(),
        expected.as_ref().map(|text| *text),
        "{framing:?} {fields:?}"
    );
}

#[test]
fn a_head_is_status_fields_and_what_is_ours() {
    let fields = [("content-type", "text/plain")];
    let written = encode(Sized(11), Persist, &fields).map(|(written, _)| written);
    let expected = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 11\r\nserver: S\r\ndate: D\r\n\r\n";
    assert_eq!(written.as_deref(), Ok(expected));
}

#[test]
fn each_framing_announces_itself() {
    check(Sized(0), &[], Ok("content-length: 0|server: S|date: D|")); // RFC 9110, 8.6
    check(
        Sized(u64::MAX),
        &[],
        Ok("content-length: 18446744073709551615|server: S|date: D|"),
    );
    check(
        Chunked,
        &[],
        Ok("transfer-encoding: chunked|server: S|date: D|"),
    ); // RFC 9112, 6.1
    check(Empty, &[], Ok("content-length: 0|server: S|date: D|")); // RFC 9110, 15.3.6
    check(
        Withheld(Some(5)),
        &[],
        Ok("content-length: 5|server: S|date: D|"),
    ); // RFC 9110, 8.6
    check(Withheld(None), &[], Ok("server: S|date: D|"));
    check(Bare, &[], Ok("server: S|date: D|")); // RFC 9112, 6.1
    check(UntilClose, &[], Ok("server: S|date: D|connection: close|")); // RFC 9112, 6.3
}

#[test]
fn a_handlers_length_is_what_is_so() {
    let wrong = Err(InvalidAnswer::Length);
    // RFC 9110, 8.6
    check(
        Sized(5),
        &[("content-length", "5")],
        Ok("content-length: 5|server: S|date: D|"),
    );
    check(Sized(5), &[("Content-Length", "6")], wrong);
    check(Sized(5), &[("content-length", "+5")], wrong);
    check(Sized(5), &[("content-length", "")], wrong);
    check(Sized(5), &[("content-length", "5, 5")], wrong);
    check(
        Sized(5),
        &[("content-length", "5"), ("content-length", "5")],
        Err(InvalidAnswer::Repeated),
    );
    check(
        Chunked,
        &[("content-length", "7")],
        Ok("content-length: 7|server: S|date: D|"),
    );
    check(
        UntilClose,
        &[("content-length", "7")],
        Ok("content-length: 7|server: S|date: D|"),
    );
    check(
        Withheld(Some(5)),
        &[("content-length", "7")],
        Ok("content-length: 7|server: S|date: D|"),
    );
    check(
        Withheld(None),
        &[("content-length", "7")],
        Ok("content-length: 7|server: S|date: D|"),
    );
    check(
        Empty,
        &[("content-length", "0")],
        Ok("content-length: 0|server: S|date: D|"),
    );
    check(Empty, &[("content-length", "1")], wrong);
    check(Bare, &[("content-length", "0")], wrong); // RFC 9112, 6.1
    let decided = encode(Chunked, Persist, &[("content-length", "7")]).map(|(_, decided)| decided);
    assert_eq!(
        decided,
        Ok(Decided {
            framing: Sized(7),
            persistence: Persist
        })
    );
}

#[test]
fn date_and_server_are_the_handlers_if_it_has_them() {
    check(Bare, &[("Date", "T")], Ok("Date: T|server: S|"));
    check(Bare, &[("server", "T")], Ok("server: T|date: D|"));
    check(Bare, &[("dates", "T")], Ok("dates: T|server: S|date: D|"));
    check(
        Bare,
        &[("date", "T"), ("DATE", "T")],
        Err(InvalidAnswer::Repeated),
    );
    check(
        Bare,
        &[("server", "T"), ("server", "U")],
        Err(InvalidAnswer::Repeated),
    );
}

#[test]
fn the_connection_is_the_servers_to_speak_of() {
    let no = Err(InvalidAnswer::Connection);
    // RFC 9110, 7.6.1
    check(
        Bare,
        &[("connection", "close")],
        Ok("server: S|date: D|connection: close|"),
    );
    check(
        Bare,
        &[("Connection", "Close, upgrade")],
        Ok("server: S|date: D|connection: close, upgrade|"),
    );
    check(
        Bare,
        &[("upgrade", "a")],
        Ok("upgrade: a|server: S|date: D|connection: upgrade|"),
    );
    check(
        Bare,
        &[("upgrade", "a"), ("connection", "Upgrade")],
        Ok("upgrade: a|server: S|date: D|connection: upgrade|"),
    );
    check(Bare, &[("connection", "")], Ok("server: S|date: D|"));
    check(Bare, &[("connection", "keep-alive")], no);
    check(Bare, &[("connection", "close, x-tag")], no);
    check(Bare, &[("connection", "close\r\na: b")], no);
    check(Bare, &[("Keep-Alive", "timeout=5")], no);
    check(Bare, &[("proxy-connection", "close")], no);
    check(
        Sized(5),
        &[("transfer-encoding", "chunked")],
        Err(InvalidAnswer::Coding),
    );
    check(
        Chunked,
        &[("Transfer-Encoding", "chunked")],
        Err(InvalidAnswer::Coding),
    ); // RFC 9112, 6.1
}

#[test]
fn persistence_is_said_where_it_must_be() {
    let last_line = |persistence, fields: &[(&str, &str)]| {
        encode(Bare, persistence, fields).map(|(written, decided)| {
            (
                written
                    .split("date: D\r\n")
                    .nth(1)
                    .unwrap_or_default()
                    .to_owned(),
                decided.persistence,
            )
        })
    };
    let check = |given, fields: Fields<'_>, line: &str, decided| {
        assert_eq!(last_line(given, fields), Ok((line.to_owned(), decided)));
    };
    // RFC 9112, 9.3 and 9.6
    check(Persist, &[], "\r\n", Persist);
    check(
        PersistConfirmed,
        &[],
        "connection: keep-alive\r\n\r\n",
        PersistConfirmed,
    );
    check(Close, &[], "connection: close\r\n\r\n", Close);
    check(
        PersistConfirmed,
        &[("connection", "close")],
        "connection: close\r\n\r\n",
        Close,
    );
    check(
        Persist,
        &[("connection", "close")],
        "connection: close\r\n\r\n",
        Close,
    );
    check(
        PersistConfirmed,
        &[("upgrade", "a")],
        "connection: keep-alive, upgrade\r\n\r\n",
        PersistConfirmed,
    );
}

#[test]
fn trailers_are_announced_where_they_can_come() {
    // RFC 9110, 6.6.2
    check(
        Chunked,
        &[("trailer", "a")],
        Ok("trailer: a|transfer-encoding: chunked|server: S|date: D|"),
    );
    check(
        UntilClose,
        &[("trailer", "a")],
        Ok("server: S|date: D|connection: close|"),
    );
    check(
        Withheld(None),
        &[("Trailer", "a")],
        Ok("server: S|date: D|"),
    );
    check(Sized(5), &[("trailer", "a")], Err(InvalidAnswer::Trailer));
    check(Bare, &[("trailer", "a")], Err(InvalidAnswer::Trailer));
}

#[test]
fn a_field_that_would_break_out_of_its_line_is_not_written() {
    for (name, value, expected) in [
        ("a", "b", Ok("a: b|server: S|date: D|")),
        ("a", "", Ok("a: |server: S|date: D|")),
        ("a", " b\tc ", Ok("a: b\tc|server: S|date: D|")),
        ("a", "é", Ok("a: é|server: S|date: D|")),
        ("a", "b\r\nc: d", Err(InvalidAnswer::Value)),
        ("a", "b\nc: d", Err(InvalidAnswer::Value)),
        ("a", "b\rc", Err(InvalidAnswer::Value)),
        ("a", "b\r\n", Err(InvalidAnswer::Value)),
        ("a", "b\0", Err(InvalidAnswer::Value)),
        ("a", "\x7f", Err(InvalidAnswer::Value)),
        ("a", "01234567\x1b0123456789", Err(InvalidAnswer::Value)),
        ("", "b", Err(InvalidAnswer::Name)),
        ("a b", "c", Err(InvalidAnswer::Name)),
        ("a:", "b", Err(InvalidAnswer::Name)),
        ("a\r\nb", "c", Err(InvalidAnswer::Name)),
        ("é", "c", Err(InvalidAnswer::Name)),
        ("date", "\r\n", Err(InvalidAnswer::Value)),
        ("upgrade", "a\r\n\r\n", Err(InvalidAnswer::Value)),
        ("content-length", "5\r\n", Err(InvalidAnswer::Length)),
    ] {
        check(Bare, &[(name, value)], expected); // RFC 9110, 5.1 and 5.5
    }
}

#[test]
fn a_status_line_has_number_and_reason() {
    for (status, expected) in [
        (200, "HTTP/1.1 200 OK\r\n"),
        (101, "HTTP/1.1 101 Switching Protocols\r\n"),
        (413, "HTTP/1.1 413 Content Too Large\r\n"),
        (418, "HTTP/1.1 418 I'm a teapot\r\n"),
        (599, "HTTP/1.1 599 \r\n"),
        (999, "HTTP/1.1 999 \r\n"),
    ] {
        let mut out = Vec::new();
        push_status_line(&mut out, StatusCode::from_u16(status).unwrap_or_default());
        assert_eq!(String::from_utf8_lossy(&out), expected, "RFC 9112, 4");
    }
}

#[test]
fn a_ready_status_line_says_its_own_status() {
    for number in 100..1000 {
        let status = StatusCode::from_u16(number).unwrap_or_default();
        let line = ready_status_line(status);
        assert!(line.is_empty() || line.starts_with(format!("HTTP/1.1 {number} ").as_bytes()));
    }
}

#[test]
fn an_error_is_one_line_of_text_and_the_end() {
    let error = |method: &Method| {
        let (mut out, refusal) = (Vec::new(), Refusal::HostMissing);
        push_error(&mut out, refusal.status(), refusal.reason(), method, OWN);
        String::from_utf8_lossy(&out).into_owned()
    };
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 13\r\nserver: S\r\ndate: D\r\nconnection: close\r\n\r\n";
    assert_eq!(error(&Method::GET), format!("{head}Host missing\n"));
    assert_eq!(error(&Method::HEAD), head, "RFC 9110, 9.3.2");
}

proptest! {
    #[test]
    fn no_field_makes_a_second_line(name in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
        let mut out = Vec::new();
        let decided = Decided { framing: Sized(5), persistence: Persist };
        let own = OwnLines { lines: b"\r\n", server_bytes: 0, number: 0, added: b"" };
        let rendered = &mut AnswerCache::default();
        if push_head(&mut out, rendered, StatusCode::OK, decided, own, &[(name, value)]).is_ok() {
            let lines = out.windows(2).filter(|pair| *pair == b"\r\n").count();
            prop_assert_eq!(lines, 4);
            prop_assert_eq!(memchr::memchr_iter(b'\n', &out).count(), 4);
        }
    }
}

/// A status, a body's length, what becomes of the connection, and fields.
type Answer = (u16, u64, Persistence, Vec<(&'static str, &'static str)>);

/// Answers that have much in common.
fn answers_of_a_server() -> impl Strategy<Value = Vec<Answer>> {
    let names = prop::sample::select(vec!["a", "b", "a: x\r\nb", "date", "connection", "upgrade"]);
    let values = prop::sample::select(vec!["x", "y", " x", "x\r\nb: y", "close", ""]);
    let fields = prop::collection::vec((names, values), 0..3);
    let answer = (
        prop::sample::select(vec![200_u16, 204, 404]),
        0_u64..2,
        prop::sample::select(vec![Persist, PersistConfirmed, Close]),
        fields,
    );
    prop::collection::vec(answer, 1..12)
}

proptest! {
    #[test]
    fn earlier_answers_do_not_change_an_answer(answers in answers_of_a_server()) {
        let mut rendered = AnswerCache::default();
        for (status, length, persistence, fields) in answers {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            let framing = AnswerFraming::of(&Method::GET, http::Version::HTTP_11, status, Some(length));
            let decided = Decided { framing, persistence };
            let (mut out, mut alone) = (Vec::new(), Vec::new());
            let pushed = push(&mut out, &mut rendered, status, decided, &fields);
            let fresh = &mut AnswerCache::default();
            prop_assert_eq!(pushed, push_head(&mut alone, fresh, status, decided, OWN, &fields));
            prop_assert_eq!(out, alone);
        }
    }
}

#[test]
fn fields_whose_lines_look_alike_are_not_the_same() {
    let decided = Decided {
        framing: Sized(5),
        persistence: Persist,
    };
    let mut rendered = AnswerCache::default();
    let mut push = |fields: Fields<'_>| {
        let mut out = Vec::new();
        push(&mut out, &mut rendered, StatusCode::OK, decided, fields).map(|_| out)
    };
    let two = push(&[("a", "b"), ("c", "d")]);
    assert_eq!(push(&[("a", "b"), ("c", "d")]), two);
    assert_eq!(push(&[("a", "b\r\nc: d")]), Err(InvalidAnswer::Value));
    assert_eq!(push(&[("a: b\r\nc", "d")]), Err(InvalidAnswer::Name));
    assert_eq!(push(&[("a", "b"), ("c", "d")]), two);
    assert_ne!(push(&[("a", "b")]), two);
    assert_ne!(push(&[("a", "b"), ("c", "d"), ("e", "f")]), two);
}

#[test]
fn an_added_line_comes_first_and_is_none_the_server_decides_about() {
    let mut added = Vec::new();
    assert_eq!(push_added(&mut added, b"x-id", b" 7 "), Ok(()));
    assert_eq!(added, b"x-id: 7\r\n");
    for (name, value) in [
        (&b"Content-Length"[..], &b"0"[..]),
        (b"connection", b"close"),
        (b"Date", b"now"),
        (b"transfer-encoding", b"chunked"),
        (b"x y", b"1"),
        (b"x", b"1\r\ny: 2"),
    ] {
        assert!(push_added(&mut added, name, value).is_err(), "{name:?}");
    }
    let own = OwnLines {
        added: &added,
        ..OWN
    };
    let mut out = Vec::new();
    push_error(&mut out, StatusCode::BAD_REQUEST, "no", &Method::GET, own);
    let head = String::from_utf8(out).unwrap_or_default();
    assert!(head.contains("content-length: 3\r\nx-id: 7\r\n"), "{head}");
}
