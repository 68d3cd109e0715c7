//! The published conformance suites, case by case, against this server.
//!
//! | suite | contents | rows |
//! |---|---|---|
//! | h1spec | cases in which a server waits, answers or refuses | `suites/h1spec.rs` |
//! | `Http11Probe` | cases for an origin server, each with a verdict | `suites/http11probe.rs` |
//! | HTTP Garden | payloads that other servers and proxies misread | `suites/http_garden.rs` |
//! | llhttp | cases for a parser of requests | `suites/llhttp.rs` |
//!
//! A row has the case's name, the section that decides it, the exact statuses, the fate of the connection, and
//! the bytes that are sent. If the suite expects another answer, the row has the reason. The same reasons
//! stand, with the scores, in `suites.md`, and the last test compares the two.

mod h1spec;
mod http11probe;
mod http_garden;
mod llhttp;
#[path = "../../examples/fixtures/probe.rs"]
#[allow(dead_code, reason = "an example has a main")]
mod probe;

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use crate::support::server::{Client, TestServer};
use waterwheel::http::{Handler, Method, Request, Responded, Result, Server, StatusCode};

/// One case of a suite.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The name in the suite.
    case: &'static str,
    /// The RFC and the section that decide the case.
    section: &'static str,
    /// The statuses of all answers, in order.
    statuses: &'static [u16],
    end: End,
    request: &'static [u8],
    /// The text that replaces `~~` in the request, and the number of its repetitions.
    filling: (&'static [u8], usize),
    /// A part of the answers.
    says: &'static str,
    verdict: Verdict,
}

/// The fate of the connection.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A further request is answered.
    Kept,
    /// No further request is answered.
    Closed,
    /// The request ends in its middle, and so does the client's input.
    CutShort,
    /// The request ends in its middle, and the server waits for the rest.
    Waits(&'static [u8]),
}

/// The verdict of the suite.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    AsExpected,
    /// The suite prefers another answer, and accepts this one.
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

/// Answers each method but CONNECT and each path with 200 and the content.
async fn echo(request: Request<'_>) -> Result<Responded> {
    if *request.method() == Method::CONNECT {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return request.respond(status, "", [("allow", "GET")]).await;
    }
    let content = request.bytes().await?;
    request.respond(StatusCode::OK, content, ()).await
}

/// Checks the rows over TCP, and over TLS.
fn check_both<H: Handler>(make: fn() -> H, rows: &[Row]) {
    check(&TestServer::start(Server::builder(), make), rows);
    check(&TestServer::over_tls(Server::builder(), make), rows);
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

/// Sends the row's bytes, one further request if the row's request is whole, and closes the write half.
/// Returns all answers.
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
    // The server may have refused the request and closed.
    drop(client.stream.write_all(&bytes));
    drop(client.stream.shutdown(Shutdown::Write));
    let mut answers = Vec::new();
    client.stream.read_to_end(&mut answers).unwrap();
    answers
}

const NEXT: &[u8] = b"GET / HTTP/1.1\r\nHost: next\r\n\r\n";

/// Checks that a later client has its answer, and this client has received no byte.
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

/// Returns the heads of all answers. Each body ends by its Content-Length.
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
fn h1spec_is_answered_as_its_rows_expect() {
    check_both(|| echo, h1spec::ROWS);
}

#[test]
fn http11probe_is_answered_as_its_rows_expect() {
    check_both(|| probe::probe, http11probe::ROWS);
}

#[test]
fn payloads_of_the_http_garden_are_read_correctly_or_refused() {
    check_both(|| echo, http_garden::ROWS);
}

#[test]
fn llhttp_and_this_parser_agree_except_in_rows_with_a_reason() {
    check_both(|| echo, llhttp::ROWS);
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
