//! The published conformance suites, case by case, against this server.
//!
//! | suite | what it is | rows |
//! |---|---|---|
//! | h1spec | a server under test waits, answers or refuses | `suites/h1spec.rs` |
//! | `Http11Probe` | an origin server under test, each case judged | `suites/http11probe.rs` |
//! | HTTP Garden | what other servers and proxies were caught misreading | `suites/http_garden.rs` |
//! | llhttp | what a parser says of a request | `suites/llhttp.rs` |
//!
//! A row has the case's name, the section that decides it, the exact statuses, what becomes of the
//! connection, and the bytes sent; and where the suite would have it otherwise, why not. The same
//! reasons stand, with the scores, in `suites.md`, and the last test holds the two together.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

#[path = "suites/h1spec.rs"]
mod h1spec;
#[path = "suites/http11probe.rs"]
mod http11probe;
#[path = "suites/http_garden.rs"]
mod http_garden;
#[path = "suites/llhttp.rs"]
mod llhttp;
#[path = "../examples/fixtures/probe.rs"]
#[allow(dead_code, reason = "an example has a main")]
mod probe;

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use support::{Client, TestServer};
use waterwheel::http::{Method, Request, Responded, Result, Server, StatusCode};

/// One case of a suite.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The name in the suite.
    case: &'static str,
    /// Where it is decided, as RFC and section.
    section: &'static str,
    /// Of all answers, in order.
    statuses: &'static [u16],
    end: End,
    request: &'static [u8],
    /// The text in the place of `~~` in the request, and how often it stands there.
    filling: (&'static [u8], usize),
    /// A piece of the answers.
    says: &'static str,
    verdict: Verdict,
}

/// The fate of the connection.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A further request is answered.
    Kept,
    /// No further request is.
    Closed,
    /// The request ends in its middle, and with it what the client sends.
    CutShort,
    /// The request ends in its middle, and nothing happens before this has come.
    Waits(&'static [u8]),
}

/// The judgement of the suite.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    AsExpected,
    /// It would rather have it otherwise, and lets it pass.
    Tolerated(&'static str),
    Differs(&'static str),
}

const fn row(
    case: &'static str,
    section: &'static str,
    statuses: &'static [u16],
    end: End,
    request: &'static [u8],
) -> Row {
    Row {
        case,
        section,
        statuses,
        end,
        request,
        filling: (b"", 0),
        says: "",
        verdict: Verdict::AsExpected,
    }
}

impl Row {
    const fn filled(self, piece: &'static [u8], times: usize) -> Self {
        let filling = (piece, times);
        Self { filling, ..self }
    }

    const fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    const fn tolerated(self, reason: &'static str) -> Self {
        let verdict = Verdict::Tolerated(reason);
        Self { verdict, ..self }
    }

    const fn differs(self, reason: &'static str) -> Self {
        let verdict = Verdict::Differs(reason);
        Self { verdict, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let (piece, times) = self.filling;
        if times == 0 {
            return self.request.to_vec();
        }
        let at = self.request.windows(2).position(|two| two == b"~~");
        let (before, after) = self.request.split_at(at.unwrap());
        [before, &piece.repeat(times), &after[2..]].concat()
    }
}

/// Any method but CONNECT, any path: 200 and the content back.
async fn echo(request: Request<'_>) -> Result<Responded> {
    if *request.method() == Method::CONNECT {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return request.respond(status, "", [("allow", "GET")]).await;
    }
    let content = request.bytes().await?;
    request.respond(StatusCode::OK, content, ()).await
}

fn check(server: &TestServer, rows: &[Row]) {
    for row in rows {
        let case = row.case;
        let (mut expected, answers) = (row.statuses.to_vec(), ask(server, row));
        if matches!(row.end, End::Kept) {
            expected.push(200);
        }
        let heads = heads(&answers, row.request.starts_with(b"HEAD "));
        let statuses: Vec<u16> = heads.iter().map(|head| status(head)).collect();
        let text = String::from_utf8_lossy(&answers);
        assert_eq!(statuses, expected, "{case}: {text}");
        assert!(text.contains(row.says), "{case}: {text}");
        if let (End::Closed, Some(last)) = (row.end, heads.last()) {
            assert!(last.contains("\r\nconnection: close\r\n"), "{case}: {text}");
        }
    }
}

/// Sends the row's bytes, one further request where the row's is whole, and the end; gives all
/// answers.
fn ask(server: &TestServer, row: &Row) -> Vec<u8> {
    let mut client = server.client();
    let mut bytes = row.bytes();
    match row.end {
        End::Kept | End::Closed => bytes.extend_from_slice(NEXT),
        End::CutShort => {}
        End::Waits(rest) => {
            client.send(&bytes);
            assert_silence(server, &client, row.case);
            bytes = rest.to_vec();
        }
    }
    // The server may have seen enough and closed.
    drop(client.stream.write_all(&bytes));
    drop(client.stream.shutdown(Shutdown::Write));
    let mut answers = Vec::new();
    client.stream.read_to_end(&mut answers).unwrap();
    answers
}

const NEXT: &[u8] = b"GET / HTTP/1.1\r\nHost: next\r\n\r\n";

/// Another client, who came later, has its answer, and this one has heard nothing.
fn assert_silence(server: &TestServer, client: &Client, case: &str) {
    let mut other = server.client();
    other.send(NEXT);
    other.stream.shutdown(Shutdown::Write).unwrap();
    other.read_to_end();
    client.stream.set_nonblocking(true).unwrap();
    let heard = client.stream.peek(&mut [0]);
    client.stream.set_nonblocking(false).unwrap();
    let silent = heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(silent, "{case}: the server did not wait");
}

/// The heads of all answers, each read past by its Content-Length.
fn heads(mut answers: &[u8], first_is_to_head: bool) -> Vec<String> {
    let mut heads = Vec::new();
    while !answers.is_empty() {
        let end = answers.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, rest) = answers.split_at(end.expect("a whole head") + 4);
        let head = String::from_utf8(head.to_vec()).unwrap();
        let without = first_is_to_head && heads.is_empty() || status(&head) == 204;
        let length = head.split_once("\r\ncontent-length: ");
        let length = length.and_then(|(_, value)| value.lines().next()?.parse().ok());
        let length = if without { 0 } else { length.unwrap_or(0) };
        answers = rest.get(length..).expect("a whole body");
        heads.push(head);
    }
    heads
}

fn status(head: &str) -> u16 {
    let status = head.strip_prefix("HTTP/1.1 ").unwrap();
    status[..3].parse().unwrap()
}

#[test]
fn h1spec_is_answered_as_it_expects() {
    check(&TestServer::start(Server::builder(), || echo), h1spec::ROWS);
}

#[test]
fn http11probe_is_answered_as_its_rows_say() {
    let server = TestServer::start(Server::builder(), || probe::probe);
    check(&server, http11probe::ROWS);
}

#[test]
fn payloads_that_others_misread_in_the_http_garden_are_read_right_or_refused() {
    let server = TestServer::start(Server::builder(), || echo);
    check(&server, http_garden::ROWS);
}

#[test]
fn llhttp_and_this_parser_agree_but_for_the_rows_that_say_why_not() {
    check(&TestServer::start(Server::builder(), || echo), llhttp::ROWS);
}

#[test]
fn the_scores_and_reasons_in_suites_md_are_those_of_the_rows() {
    let suites = [
        ("h1spec", h1spec::ROWS),
        ("Http11Probe", http11probe::ROWS),
        ("HTTP Garden", http_garden::ROWS),
        ("llhttp", llhttp::ROWS),
    ];
    let mut table = String::new();
    for (suite, rows) in suites {
        writeln!(table, "{}", score(suite, rows)).unwrap();
    }
    for (suite, rows) in suites {
        table.extend(rows.iter().filter_map(|row| reason(suite, row)));
    }
    let written = include_str!("suites.md");
    for line in table.lines() {
        assert!(written.lines().any(|other| other == line), "\n{table}");
    }
    let reasons = |text: &str| text.matches("| differs |").count();
    assert_eq!(reasons(written), reasons(&table), "\n{table}");
}

fn score(suite: &str, rows: &[Row]) -> String {
    let tolerated = |row: &&Row| matches!(row.verdict, Verdict::Tolerated(_));
    let differs = |row: &&Row| matches!(row.verdict, Verdict::Differs(_));
    let tolerated = rows.iter().filter(tolerated).count();
    let differs = rows.iter().filter(differs).count();
    let as_expected = rows.len() - tolerated - differs;
    format!(
        "| {suite} | {} | {as_expected} | {tolerated} | {differs} |",
        rows.len()
    )
}

fn reason(suite: &str, row: &Row) -> Option<String> {
    let (how, reason) = match row.verdict {
        Verdict::AsExpected => return None,
        Verdict::Tolerated(reason) => ("tolerated", reason),
        Verdict::Differs(reason) => ("differs", reason),
    };
    let (case, section) = (row.case.replace('|', "\\|"), row.section);
    let statuses: Vec<String> = row.statuses.iter().map(u16::to_string).collect();
    let statuses = statuses.join(", ");
    Some(format!(
        "| {suite} | {case} | {how} | {statuses} | {section} | {reason} |\n"
    ))
}
