//! Tables of literal bytes. Each row is a request and its outcome.
//!
//! The tables are in `tests/wire/rows/*.txt`: one row in each line, under headings that name the RFC's
//! section:
//!
//! ```text
//! RFC 9112, 3: method, one space, target, one space, version
//! GET / HTTP/1.1¶Host: x¶¶ => 200 GET / kept
//! GET  / HTTP/1.1¶Host: x¶¶ => 400 closed
//! ```
//!
//! `¶` is CR LF. `{a*9}` is nine times `a`. `$` at the end closes the client's write half. Escapes are those
//! of Rust. The outcome is a list of answers (the status, and the method, the target and the body that the
//! handler saw, or its text behind `=`), then the state of the connection: `kept`, `open` if more bytes are
//! due, or `closed`.
//!
//! Each row is sent over a connection in memory whole, byte by byte, and split in two at each position, and
//! over a socket, plain and over TLS. The bytes that come back are always the same.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::support::server::{TestServer, without_dates};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::testing::MemoryStream;
use waterwheel::http::{Builder, Limits, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{self, sleep};
use waterwheel::runtime::{block_on, race, spawn};

/// Answers with the parts of the request.
async fn handler(request: Request<'_>) -> Result<Responded> {
    let saw = [(
        "x-saw",
        format!("{} {}", request.method(), request.target()),
    )];
    let status = match request.path() {
        "/unread" => return request.respond(StatusCode::OK, "", saw).await,
        "/err" => return Err(std::fmt::Error.into()),
        "/panic" => std::panic::resume_unwind(Box::new("asked to")),
        "/204" => StatusCode::NO_CONTENT,
        "/304" => StatusCode::NOT_MODIFIED,
        "/chunks" => {
            let mut body = request.start(StatusCode::OK, saw).await?;
            body.write("one ").await?;
            body.write("two").await?;
            return body.finish().await;
        }
        "/slow" => {
            sleep(Duration::from_millis(50)).await;
            StatusCode::OK
        }
        _ if *request.method() == Method::CONNECT => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::OK,
    };
    let body = match request.path() {
        "/fields" => fields(&request),
        _ => request.bytes().await?,
    };
    request.respond(status, body, saw).await
}

fn fields(request: &Request<'_>) -> Vec<u8> {
    let pairs = request.headers().iter();
    pairs
        .filter(|(name, _)| *name != "Host")
        .flat_map(|(name, value)| [name.as_bytes(), b"=", value, b"|"].concat())
        .collect()
}

fn builder() -> Builder {
    Server::builder().limits(Limits::default().with(|limits| limits.body_bytes_max = 32))
}

/// One row without abbreviations.
struct Row {
    heading: String,
    shown: String,
    request: Vec<u8>,
    /// True if the client closes its write half behind it.
    ends: bool,
    outcome: String,
}

fn rows(table: &str) -> Vec<Row> {
    let (mut heading, mut prefix, mut rows) = (String::new(), Vec::new(), Vec::new());
    for line in table.lines() {
        let Some((request, outcome)) = line.rsplit_once("=> ") else {
            if let Some(text) = line.strip_prefix("prefix: ") {
                prefix = bytes(text);
            } else if line.starts_with("RFC ") {
                line.clone_into(&mut heading);
            }
            continue;
        };
        let request = request.strip_suffix(' ').unwrap_or(request);
        let (request, ends) = match request.strip_suffix('$') {
            Some(request) => (request, true),
            None => (request, false),
        };
        rows.push(Row {
            heading: heading.clone(),
            shown: line.to_owned(),
            request: [&prefix[..], &bytes(request)].concat(),
            ends,
            outcome: String::from_utf8(bytes(outcome)).unwrap(),
        });
    }
    rows
}

/// Returns the text of an abbreviation.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = repeated(text).into_bytes().into_iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => out.push(match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            }),
            _ => out.push(byte),
        }
    }
    out
}

/// Replaces `¶` and `{a*9}` by their bytes.
fn repeated(text: &str) -> String {
    let mut out = text.replace('¶', r"\r\n");
    while let Some((before, piece, times, behind)) = next_repeat(&out) {
        out = format!("{before}{}{behind}", piece.repeat(times));
    }
    out
}

fn next_repeat(text: &str) -> Option<(String, String, usize, String)> {
    text.match_indices('{').find_map(|(at, _)| {
        let (inside, behind) = text[at + 1..].split_once('}')?;
        let (piece, times) = inside.rsplit_once('*')?;
        let times = times.parse().ok()?;
        Some((
            text[..at].to_owned(),
            piece.to_owned(),
            times,
            behind.to_owned(),
        ))
    })
}

/// The bytes that came back, and the state of the connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    bytes: String,
    open: bool,
}

impl Outcome {
    /// Formats the outcome as a table does.
    fn summary(&self) -> String {
        let mut out = String::new();
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            let (head, behind) = rest.split_once("\r\n\r\n").unwrap();
            let (answer, length) = summary_of(head, behind);
            let separator = if out.is_empty() { "" } else { ", " };
            write!(out, "{separator}{answer}").unwrap();
            rest = &behind[length..];
        }
        let state = if self.open { "open" } else { "closed" };
        format!("{out} {state}").trim_start().to_owned()
    }
}

/// Returns the summary of one answer, and the length of its body on the wire.
fn summary_of(head: &str, behind: &str) -> (String, usize) {
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(": ")
    };
    let status = &head["HTTP/1.1 ".len()..][..3];
    let saw = field("x-saw").unwrap_or_default();
    let bare = saw.starts_with("HEAD ") || matches!(status, "100" | "204" | "304");
    let (body, length) = match field("content-length") {
        _ if bare => (String::new(), 0),
        Some(length) => {
            // A failed answer to a HEAD has a length and no body.
            let length = length.parse().unwrap_or(0).min(behind.len());
            (behind[..length].to_owned(), length)
        }
        None if field("transfer-encoding").is_some() => unchunked(behind),
        None => (behind.to_owned(), behind.len()),
    };
    let mut out = status.to_owned();
    if !saw.is_empty() {
        write!(out, " {saw}").unwrap();
        if !body.is_empty() {
            write!(out, " ={body}").unwrap();
        }
    }
    (out, length)
}

fn unchunked(text: &str) -> (String, usize) {
    let (mut body, mut at) = (String::new(), 0);
    loop {
        let (size, data) = text[at..].split_once("\r\n").unwrap();
        let size_bytes = size.len();
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&data[..size]);
        at += size_bytes + 2 + size + 2;
        if size == 0 {
            return (body, at);
        }
    }
}

/// Sends the pieces over a connection in memory.
async fn in_memory(server: &Server, pieces: &[&[u8]], ends: bool) -> Outcome {
    let (mut near, far) = MemoryStream::pair();
    let task = spawn(server.connection(far, None).serve(handler));
    for piece in pieces {
        // The server may have refused the request and closed.
        if near.write_all(piece).await.is_err() {
            break;
        }
    }
    if ends {
        near.end();
    }
    let (mut bytes, mut room) = (Vec::new(), vec![0; 4096]);
    let open = loop {
        let quiet = async {
            sleep(Duration::from_millis(200)).await;
            None
        };
        match race(async { Some(near.read(&mut room).await) }, quiet).await {
            None => break true,
            Some(Ok(0) | Err(_)) => break false,
            Some(Ok(count)) => bytes.extend_from_slice(&room[..count]),
        }
    };
    drop(near);
    task.await.unwrap();
    let bytes = without_dates(&latin(&bytes));
    Outcome { bytes, open }
}

/// Sends the row over a socket, and reads as many bytes as expected.
fn over_socket(server: &TestServer, name: &str, row: &Row, expected: &Outcome) {
    let mut client = server.client();
    // The server may have refused the request and closed.
    drop(std::io::Write::write_all(&mut client.stream, &row.request));
    if row.ends {
        drop(client.stream.shutdown(std::net::Shutdown::Write));
    }
    let mut came = vec![0; with_dates(expected)];
    client.stream.read_exact(&mut came).unwrap();
    assert_eq!(
        without_dates(&latin(&came)),
        expected.bytes,
        "over {name}, {}",
        row.shown
    );
    let after = if expected.open {
        client.stream.set_nonblocking(true).unwrap();
        client.stream.read(&mut [0])
    } else {
        client.stream.read(&mut [0])
    };
    match after {
        Ok(0) => assert!(!expected.open, "over {name}, {}", row.shown),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            assert!(expected.open, "over {name}, {}", row.shown);
        }
        other => panic!("over {name}, {}: {other:?}", row.shown),
    }
}

/// Converts each byte to a character, so that a body that is not UTF-8 can be compared.
fn latin(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec())
        .unwrap_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect())
}

/// Returns the length of the dates that were removed.
fn with_dates(outcome: &Outcome) -> usize {
    let finals =
        outcome.bytes.matches("HTTP/1.1 ").count() - outcome.bytes.matches("HTTP/1.1 100").count();
    outcome.bytes.len() + finals * "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len()
}

fn check(table: &str) {
    let rows = rows(table);
    let sockets = [
        ("TCP", TestServer::start(builder(), || handler)),
        ("TLS", TestServer::over_tls(builder(), || handler)),
    ];
    let mut wrong = String::new();
    for row in &rows {
        let whole = block_on(async {
            time::pause();
            let server = builder().without_listener();
            let whole = in_memory(&server, &[&row.request], row.ends).await;
            let bytes: Vec<&[u8]> = row.request.chunks(1).collect();
            let single = in_memory(&server, &bytes, row.ends).await;
            assert_eq!(single, whole, "byte by byte, {}", row.shown);
            for at in (1..row.request.len()).step_by(1 + row.request.len() / 200) {
                let (first, second) = row.request.split_at(at);
                let split = in_memory(&server, &[first, second], row.ends).await;
                assert_eq!(split, whole, "split at {at}, {}", row.shown);
            }
            whole
        });
        let expected = row.outcome.replace(" kept", " open");
        if whole.summary() != expected {
            writeln!(
                wrong,
                "{}\n  {}\n  {}",
                row.heading,
                row.shown,
                whole.summary()
            )
            .unwrap();
            continue;
        }
        for (name, server) in &sockets {
            over_socket(server, name, row, &whole);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn request_lines() {
    check(include_str!("rows/request_line.txt"));
}

#[test]
fn fields_and_hosts() {
    check(include_str!("rows/fields.txt"));
}

#[test]
fn framing() {
    check(include_str!("rows/framing.txt"));
}

#[test]
fn chunks_and_trailers() {
    check(include_str!("rows/chunks.txt"));
}

#[test]
fn persistence_and_expectations() {
    check(include_str!("rows/persistence.txt"));
}

#[test]
fn the_tables_have_enough_rows() {
    let tables = [
        include_str!("rows/request_line.txt"),
        include_str!("rows/fields.txt"),
        include_str!("rows/framing.txt"),
        include_str!("rows/chunks.txt"),
        include_str!("rows/persistence.txt"),
    ];
    let count: usize = tables.iter().map(|table| rows(table).len()).sum();
    assert!(count >= 450, "{count}");
}
