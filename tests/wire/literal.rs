//! Literal bytes of requests and answers.
//!
//! Each row is sent in one piece, byte by byte, and split in two at each position. The outcome is always the
//! same.

#![allow(clippy::format_collect, reason = "short code for few values")]

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::server::{TestServer, without_dates};
use crate::support::tls::is_wanted;
use futures_lite::AsyncReadExt;
use waterwheel::http::{Handler, Limits, Request, Responded, Result, Server, StatusCode, shared};
use waterwheel::runtime::{block_on, race, spawn, time::sleep, yield_now};

/// Answers with the parts of the request, so that a row can name them.
async fn say(request: Request<'_>) -> Result<Responded> {
    let empty = [("x-empty", "")];
    match request.path() {
        "/unread" => return request.respond(StatusCode::OK, "unread", ()).await,
        "/204" => {
            return request
                .respond(StatusCode::NO_CONTENT, "not sent", ())
                .await;
        }
        "/304" => {
            return request
                .respond(StatusCode::NOT_MODIFIED, "not sent", ())
                .await;
        }
        "/inject" => {
            return request
                .respond(StatusCode::OK, "", [("a", "b\r\nc: d")])
                .await;
        }
        "/wrong-length" => {
            return request
                .respond(StatusCode::OK, "four", [("content-length", "5")])
                .await;
        }
        "/empty" => return request.respond(StatusCode::OK, "", empty).await,
        "/added" => {
            request.add_header("x-for", "this one")?;
            return request.respond(StatusCode::OK, "added", ()).await;
        }
        "/err" => Err(std::fmt::Error)?,
        "/panic" => panic!("asked to"),
        "/abort" => return Ok(request.abort()),
        "/stream" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("one").await?;
            body.write("").await?;
            body.write("three").await?;
            return body.finish_with_trailers([("x-sum", "8")]).await;
        }
        "/sized" => {
            let mut body = request
                .start(StatusCode::OK, [("content-length", "8")])
                .await?;
            body.write("one").await?;
            body.write("three").await?;
            return body.finish().await;
        }
        "/unfinished" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("one").await?;
            return Err(std::fmt::Error.into());
        }
        "/short" => {
            let mut body = request
                .start(StatusCode::OK, [("content-length", "8")])
                .await?;
            body.write("one").await?;
            return body.finish().await;
        }
        "/read" => {
            let mut text = String::new();
            request.body().read_to_string(&mut text).await?;
            return request.respond(StatusCode::OK, text, ()).await;
        }
        "/pieces" => {
            let mut body = request.body();
            let mut text = String::new();
            while let Some(piece) = body.next().await? {
                text.push_str(std::str::from_utf8(&piece)?);
            }
            let trailer = body
                .trailers()
                .and_then(|trailers| trailers.get("x-sum").cloned());
            let headers: Vec<_> = trailer.iter().map(|value| ("x-sum", value)).collect();
            return request.respond(StatusCode::OK, text, headers).await;
        }
        _ => {}
    }
    let body = request.bytes().await?;
    let seen = format!(
        "{} {} {}",
        request.method(),
        request.target(),
        String::from_utf8(body)?
    );
    request.respond(StatusCode::OK, seen, ()).await
}

fn limits() -> Limits {
    Limits::default().with(|limits| {
        limits.body_bytes_max = 10;
        limits.head_duration_max = Duration::from_millis(300);
        limits.idle_duration_max = Duration::from_millis(300);
        limits.body_stall_duration_max = Duration::from_millis(300);
        limits.write_stall_duration_max = Duration::from_millis(300);
        limits.linger_duration_max = Duration::from_millis(300);
    })
}

fn server() -> TestServer {
    TestServer::start(Server::builder().limits(limits()), || say)
}

fn check(rows: &[(&str, &str, &str)]) {
    let server = TestServer::start(
        Server::builder().limits(Limits::default().with(|limits| limits.body_bytes_max = 10)),
        || say,
    );
    for (section, request, expected) in rows {
        let bytes = request.as_bytes();
        let whole = server.exchange(&[bytes]);
        assert_eq!(whole, *expected, "{section}: {request:?}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(
            server.exchange(&single),
            *expected,
            "{section}, byte by byte: {request:?}"
        );
        for at in 1..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(
                server.exchange(&[first, second]),
                *expected,
                "{section}, split at {at}: {request:?}"
            );
        }
    }
}

fn refused(status: &str, reason: &str) -> String {
    let length = reason.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{reason}\n"
    )
}

#[test]
fn a_connection_persists_by_its_version_and_fields() {
    let once = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nGET /a ";
    let twice = once.repeat(2);
    let closed = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /a ";
    let confirmed = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\nGET /a ";
    let request = |version: &str, fields: &str| {
        format!("GET /a HTTP/{version}\r\nHost: x\r\n{fields}\r\n").repeat(2)
    };
    let rows = [
        ("RFC 9112, 9.3", request("1.1", ""), twice.clone()),
        (
            "RFC 9112, 9.3",
            request("1.1", "Connection: keep-alive\r\n"),
            twice,
        ),
        (
            "RFC 9112, 9.6",
            request("1.1", "Connection: close\r\n"),
            closed.to_owned(),
        ),
        (
            "RFC 9112, 9.6",
            request("1.1", "Connection: foo, CLOSE\r\n"),
            closed.to_owned(),
        ),
        (
            "RFC 9112, 9.6",
            request("1.1", "Connection: a\r\nConnection: close\r\n"),
            closed.to_owned(),
        ),
        ("RFC 9112, 9.3", request("1.0", ""), closed.to_owned()),
        (
            "RFC 9112, 9.3",
            request("1.0", "Connection: Keep-Alive\r\n"),
            confirmed.repeat(2),
        ),
        (
            "RFC 9112, 9.3",
            request("1.0", "Connection: keep-alive, close\r\n"),
            closed.to_owned(),
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(a, b, c)| (*a, b.as_str(), c.as_str()))
        .collect();
    check(&rows);
}

#[test]
fn a_body_is_read_whole_in_each_framing_and_each_way_of_reading() {
    let post = |path: &str, fields: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")
    };
    let answer = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let chunked = "Transfer-Encoding: chunked\r\n";
    let next = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    let after = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nGET /a ";
    let rows = [
        (
            "RFC 9112, 6.2",
            post("/a", "Content-Length: 5\r\n", "hello") + next,
            answer("POST /a hello") + after,
        ),
        (
            "RFC 9112, 6.2",
            post("/a", "Content-Length: 0\r\n", "") + next,
            answer("POST /a ") + after,
        ),
        (
            "RFC 9112, 7.1",
            post("/a", chunked, "5\r\nhello\r\n0\r\n\r\n") + next,
            answer("POST /a hello") + after,
        ),
        (
            "RFC 9112, 7.1",
            post(
                "/read",
                chunked,
                "1\r\nh\r\n4;x=y\r\nello\r\n00\r\nA: b\r\n\r\n",
            ) + next,
            answer("hello") + after,
        ),
        (
            "RFC 9112, 7.1",
            post("/unread", chunked, "5\r\nhello\r\n0\r\n\r\n") + next,
            answer("unread") + after,
        ),
        (
            "RFC 9112, 6.2",
            post("/unread", "Content-Length: 5\r\n", "hello") + next,
            answer("unread") + after,
        ),
        (
            "RFC 9112, 6.2",
            post("/pieces", "Content-Length: 10\r\n", "helloworld") + next,
            answer("helloworld") + after,
        ),
        (
            "RFC 9112, 7.1",
            post("/a", "Content-Length: 5\r\n", "hel"),
            refused("400 Bad Request", "content shorter than announced"),
        ),
        (
            "RFC 9112, 7.1",
            post("/a", chunked, "5\r\nhel"),
            refused("400 Bad Request", "content shorter than announced"),
        ),
        (
            "RFC 9112, 7.1",
            post("/a", chunked, "g\r\n") + next,
            refused("400 Bad Request", "malformed chunk size"),
        ),
        (
            "RFC 9110, 15.5.14",
            post("/a", "Content-Length: 11\r\n", "helloworld!"),
            refused("413 Content Too Large", "content too large"),
        ),
        (
            "RFC 9110, 15.5.14",
            post("/a", chunked, "b\r\nhelloworld!\r\n0\r\n\r\n"),
            refused("413 Content Too Large", "content too large"),
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(a, b, c)| (*a, b.as_str(), c.as_str()))
        .collect();
    check(&rows);
}

#[test]
fn an_answer_has_a_body_only_if_its_request_and_status_allow_one() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = |path: &str| format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let rows = [
        (
            "RFC 9110, 9.3.2",
            head("/a") + &get("/empty"),
            "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nHTTP/1.1 200 OK\r\nx-empty: \r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "RFC 9110, 15.3.5",
            get("/204") + &get("/empty"),
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nx-empty: \r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "RFC 9110, 15.4.5",
            get("/304") + &get("/empty"),
            "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nx-empty: \r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "RFC 9112, 7.1",
            get("/stream"),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\nx-sum: 8\r\n\r\n",
        ),
        (
            "RFC 9112, 6.3",
            "GET /stream HTTP/1.0\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonethree",
        ),
        (
            "RFC 9112, 6.2",
            get("/sized") + &get("/sized"),
            "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nonethreeHTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nonethree",
        ),
        (
            "RFC 9110, 9.3.2",
            head("/stream"),
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
    ];
    let rows: Vec<_> = rows.iter().map(|(a, b, c)| (*a, b.as_str(), *c)).collect();
    check(&rows);
}

#[test]
fn a_repeated_answer_follows_the_version_and_fields_of_its_request() {
    let ask = |method: &str, version: &str, fields: &str| {
        format!("{method} /unread HTTP/{version}\r\nHost: x\r\n{fields}\r\n")
    };
    let said = |field: &str, body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n{field}\r\n{body}")
    };
    let get = ask("GET", "1.1", "");
    let plain = said("", "unread");
    let three = (get.repeat(3), plain.repeat(3));
    let others = [
        ("RFC 9110, 9.3.2", ask("HEAD", "1.1", ""), said("", "")),
        (
            "RFC 9112, 6.3",
            ask("POST", "1.1", "Content-Length: 3\r\n") + "one",
            plain.clone(),
        ),
        (
            "RFC 9112, C.2.2",
            ask("GET", "1.0", "Connection: keep-alive\r\n"),
            said("connection: keep-alive\r\n", "unread"),
        ),
    ];
    let last = ask("GET", "1.1", "Connection: close\r\n");
    let end = said("connection: close\r\n", "unread");
    let rows = others.map(|(section, other, its)| {
        let asked = [three.0.as_str(), &other, &get, &last].concat();
        let expected = [three.1.as_str(), &its, &plain, &end].concat();
        (section, asked, expected)
    });
    let rows: Vec<_> = rows
        .iter()
        .map(|(section, asked, expected)| (*section, asked.as_str(), expected.as_str()))
        .collect();
    check(&rows);
}

#[test]
fn a_refusal_is_sent_once_and_after_the_answers_before_it() {
    let get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    let answered = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nGET /a ";
    let bad = |rest: &str| format!("{get}{rest}");
    let rows = [
        (
            "RFC 9112, 3",
            bad("GET  /a HTTP/1.1\r\n\r\n"),
            refused("400 Bad Request", "malformed request target"),
        ),
        (
            "RFC 9112, 2.3",
            bad("GET /a HTTP/2.0\r\n\r\n"),
            refused(
                "505 HTTP Version Not Supported",
                "this server speaks HTTP/1.1",
            ),
        ),
        (
            "RFC 9112, 2.2",
            bad("GET /a HTTP/1.1\nHost: x\n\n"),
            refused("400 Bad Request", "line feed without carriage return"),
        ),
        (
            "RFC 9112, 3.2",
            bad("GET /a HTTP/1.1\r\n\r\n"),
            refused("400 Bad Request", "Host missing"),
        ),
        (
            "RFC 9112, 5.1",
            bad("GET /a HTTP/1.1\r\nHost : x\r\n\r\n"),
            refused("400 Bad Request", "white space before a colon"),
        ),
        (
            "RFC 9112, 6.1",
            bad("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
            refused("501 Not Implemented", "unknown transfer coding"),
        ),
        (
            "RFC 9112, 6.3",
            bad(
                "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            ),
            refused(
                "400 Bad Request",
                "both Content-Length and Transfer-Encoding",
            ),
        ),
        (
            "RFC 9110, 10.1.1",
            bad("POST /a HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n"),
            refused("417 Expectation Failed", "unknown expectation"),
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(a, b, c)| (*a, b.clone(), format!("{answered}{c}")))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(a, b, c)| (*a, b.as_str(), c.as_str()))
        .collect();
    check(&rows);
}

#[test]
fn a_field_added_to_one_answer_is_in_no_later_one() {
    let get = "GET /added HTTP/1.1\r\nHost: x\r\n\r\n";
    let added = "HTTP/1.1 200 OK\r\nx-for: this one\r\ncontent-length: 5\r\n\r\nadded";
    let behind = [
        (
            "GET /unread HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nunread".to_owned(),
        ),
        (
            "GET /unread HTTP/1.1\r\n\r\n",
            refused("400 Bad Request", "Host missing"),
        ),
    ];
    let rows =
        behind.map(|(request, answer)| (get.to_owned() + request, added.to_owned() + &answer));
    let rows: Vec<_> = rows
        .iter()
        .map(|(request, answer)| ("add_header", request.as_str(), answer.as_str()))
        .collect();
    check(&rows);
}

#[test]
fn a_request_is_answered_or_its_connection_ends_after_each_fault_of_a_handler() {
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    };
    let error = refused("500 Internal Server Error", "internal server error");
    let rows = [
        ("an error", get("/err"), error.as_str()),
        ("a panic", get("/panic"), error.as_str()),
        ("RFC 9110, 5.5", get("/inject"), error.as_str()),
        ("RFC 9110, 8.6", get("/wrong-length"), error.as_str()),
    ];
    let server = server();
    for (name, request, expected) in rows {
        assert_eq!(server.exchange(&[request.as_bytes()]), expected, "{name}");
    }
    let unfinished = server.exchange(&[get("/unfinished").as_bytes()]);
    assert!(
        !unfinished.contains("0\r\n\r\n"),
        "RFC 9112, 7.1: {unfinished:?}"
    );
    let short = server.exchange(&[get("/short").as_bytes()]);
    assert!(!short.contains("GET /a"), "RFC 9112, 6.2: {short:?}");
}

/// Panics in unusual places: in the call, in a field of the answer, or in a destructor.
struct Panics;

impl Handler for Panics {
    fn call(&self, request: Request<'_>) -> impl Future<Output = Result<Responded>> {
        assert_ne!(request.path(), "/called");
        let ended = EndsBadly(request.path() == "/ended");
        let field = [("x-field", Field(request.path() == "/field"))];
        let answer = Box::pin(request.respond(StatusCode::OK, "fine", field));
        Carrying(answer, ended)
    }
}

/// A future, and a value that is dropped with it.
struct Carrying<F, T>(F, T);

impl<F: Future + Unpin, T: Unpin> Future for Carrying<F, T> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// The value of a field, which may panic.
struct Field(bool);

impl AsRef<[u8]> for Field {
    fn as_ref(&self) -> &[u8] {
        assert!(!self.0);
        b"a"
    }
}

struct EndsBadly(bool);

impl Drop for EndsBadly {
    fn drop(&mut self) {
        assert!(!self.0 || thread::panicking());
    }
}

#[test]
fn a_handler_that_panics_in_any_place_loses_no_answer() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let fine = "HTTP/1.1 200 OK\r\nx-field: a\r\ncontent-length: 4\r\n\r\nfine";
    let error = refused("500 Internal Server Error", "internal server error");
    let server = TestServer::start(Server::builder(), || Panics);
    // The field first: if a head has come twice, no part of it is written while it is compared.
    for (path, expected) in [
        ("/field", error.as_str()),
        ("/called", &error),
        ("/ended", fine),
    ] {
        let asked = get("/") + &get(path) + &get("/");
        let answers = server.exchange(&[asked.as_bytes()]);
        assert_eq!(answers, fine.to_owned() + expected, "{path}");
    }
}

#[test]
fn an_aborted_request_cuts_the_connection() {
    let server = server();
    let mut client = server.client();
    client.send("GET /abort HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = Vec::new();
    let cut = std::io::Read::read_to_end(&mut client.stream, &mut answer);
    assert!(answer.is_empty(), "{answer:?}");
    // Over TLS a cut is an error, because there is no `close_notify`.
    assert_eq!(cut.is_err(), is_wanted());
}

#[test]
fn a_request_and_its_end_in_one_segment_are_answered_and_closed_at_once() {
    let server = server();
    let start = Instant::now();
    let answer = server.exchange(&[b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert!(answer.ends_with("GET /a "), "{answer:?}");
    assert!(
        start.elapsed() < Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_client_that_has_stopped_sending_receives_a_late_answer() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            sleep(Duration::from_millis(100)).await;
            request.respond(StatusCode::OK, "late", ()).await
        }
    });
    let answer = server.exchange(&[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert!(answer.ends_with("late"));
}

#[test]
fn a_hundred_thousand_pipelined_requests_are_answered_in_order() {
    const COUNT: usize = 100_000;
    let server = server();
    let mut client = server.client();
    let mut writer = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        let batch: String = (0..COUNT)
            .map(|n| format!("GET /n{n} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .collect();
        // The server stops reading while the client does not read answers.
        drop(writer.set_write_timeout(None));
        writer.write_all(batch.as_bytes()).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    std::thread::sleep(Duration::from_millis(50));
    let answers = client.read_to_end();
    sender.join().unwrap();
    let mut seen = answers
        .match_indices("GET /n")
        .map(|(at, _)| &answers[at + 6..]);
    for n in 0..COUNT {
        let rest = seen.next().unwrap();
        assert!(rest.starts_with(&format!("{n} ")), "{n}");
    }
}

#[test]
fn a_100_is_sent_when_the_handler_reads_and_not_before() {
    let expect = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let server = server();
    let mut wanted = server.client();
    wanted.send(format!("PUT /a HTTP/1.1\r\n{expect}"));
    assert_eq!(
        wanted.read_until("\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n",
        "RFC 9110, 10.1.1"
    );
    wanted.send("hello");
    assert!(
        wanted
            .read_until("hello")
            .starts_with("HTTP/1.1 200 OK\r\n")
    );
    let mut unwanted = server.client();
    unwanted.send(format!("PUT /unread HTTP/1.1\r\n{expect}"));
    let answer = unwanted.read_to_end();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close"),
        "{answer:?}"
    );
    let mut too_large = server.client();
    too_large
        .send(b"PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    assert!(too_large.read_to_end().starts_with("HTTP/1.1 413 "));
}

#[test]
fn a_client_receives_the_refusal_of_a_body_that_it_still_sends() {
    use std::io::Write;
    let server = server();
    let mut client = server.client();
    client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n");
    let sent = client.stream.write_all(&vec![b'x'; 900_000]);
    assert!(sent.is_ok(), "{sent:?}");
    assert!(client.read_to_end().starts_with("HTTP/1.1 413 "));
}

#[test]
fn a_client_that_sends_without_end_receives_its_refusal() {
    use std::io::Write;
    let server = TestServer::start(Server::builder().max_body(10), || say);
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
    let piece = vec![b'x'; 1_000_000];
    for _ in 0..100 {
        client.stream.write_all(&piece).unwrap();
    }
    let answer = client.read_until("\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
}

#[test]
fn slow_clients_are_cut_at_their_deadlines() {
    let server = server();
    let mut head = server.client();
    head.send("GET /a HT");
    let mut body = server.client();
    body.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    let mut idle = server.client();
    idle.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut silent = server.client();
    let start = Instant::now();
    assert!(
        head.read_to_end().starts_with("HTTP/1.1 408 "),
        "RFC 9110, 15.5.9"
    );
    assert!(
        body.read_to_end().starts_with("HTTP/1.1 408 "),
        "RFC 9110, 15.5.9"
    );
    assert!(idle.read_to_end().ends_with("GET /a "));
    assert_eq!(silent.read_to_end(), "");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_head_that_comes_byte_by_byte_is_cut_at_a_deadline_that_does_not_move() {
    use std::io::Write;
    let server = server();
    let mut client = server.client();
    let start = Instant::now();
    for byte in b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        .iter()
        .cycle()
    {
        if client.stream.write_all(&[*byte]).is_err()
            || start.elapsed() > Duration::from_millis(600)
        {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(client.read_to_end().starts_with("HTTP/1.1 408 "));
}

#[test]
fn a_slow_reader_receives_a_large_answer_whole() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let server = TestServer::start(Server::builder(), || {
        let big = vec![b'w'; LENGTH];
        async move |request: Request<'_>| request.respond(StatusCode::OK, &big, ()).await
    });
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    std::thread::sleep(Duration::from_millis(50));
    let answer = client.read_to_end();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), LENGTH);
}

#[test]
fn a_handler_has_state_without_a_lock() {
    let server = TestServer::start(Server::builder(), || {
        let count = Rc::new(Cell::new(0));
        shared(async move |request: Request<'_>| {
            count.set(count.get() + 1);
            request
                .respond(StatusCode::OK, count.get().to_string(), ())
                .await
        })
    });
    for expected in ["1", "2", "3"] {
        let answer = server.exchange(&[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
        assert!(answer.ends_with(expected), "{answer:?}");
    }
}

#[test]
fn the_responded_of_another_request_is_an_error() {
    let server = TestServer::start(Server::builder(), || {
        let kept = Cell::new(None);
        shared(async move |request: Request<'_>| {
            if request.path() == "/swap" {
                return kept.take().ok_or(std::fmt::Error.into());
            }
            kept.set(Some(request.respond(StatusCode::OK, "kept", ()).await?));
            sleep(Duration::from_secs(5)).await;
            Err(std::fmt::Error.into())
        })
    });
    let mut first = server.client();
    first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    first.read_until("kept");
    let answer = server.exchange(&[b"GET /swap HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer:?}");
}

#[test]
fn requests_can_be_pulled() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let client = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream
                .write_all(&b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3))
                .unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answers = String::new();
            stream.read_to_string(&mut answers).unwrap();
            answers
        });
        let mut connection = server.accept().await.unwrap();
        let mut count = 0;
        while let Some(request) = connection.next().await.unwrap() {
            count += 1;
            if count < 3 {
                drop(request.respond(StatusCode::OK, "pulled", ()).await.unwrap());
            }
        }
        drop(connection);
        let answers = without_dates(&client.join().unwrap());
        assert_eq!(answers.matches("pulled").count(), 2);
        assert!(
            answers.contains("HTTP/1.1 500 "),
            "the third was dropped: {answers:?}"
        );
    });
}

#[test]
fn one_connection_completes_one_of_two_pending_accepts() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let accepts: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                spawn(async move { server.accept_request(say).await })
            })
            .collect();
        yield_now().await;
        let _client = std::net::TcpStream::connect(server.local_address()).unwrap();
        sleep(Duration::from_millis(20)).await;
        let finished = accepts.iter().filter(|accept| accept.is_finished()).count();
        assert_eq!(finished, 1);
    });
}

#[test]
fn accepting_raced_against_a_timer_loses_no_connection() {
    const COUNT: usize = 2_000;
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let clients = std::thread::spawn(move || {
            use std::io::{Read, Write};
            for _ in 0..COUNT {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream
                    .set_read_timeout(Some(crate::support::server::DEADLINE))
                    .unwrap();
                stream
                    .write_all(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    .unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert!(answer.ends_with("GET /a "), "{answer:?}");
            }
        });
        let mut races = 0;
        while !clients.is_finished() || races < 10_000 {
            let accept = async { server.accept_request(say).await.unwrap() };
            let timer = async {
                for _ in 0..races % 3 {
                    yield_now().await;
                }
            };
            race(accept, timer).await;
            races += 1;
        }
        clients.join().unwrap();
    });
}

#[test]
fn a_handler_that_forgets_to_answer_or_answers_twice_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/server/ui/*.rs");
}
