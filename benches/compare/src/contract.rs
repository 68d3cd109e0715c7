//! The contract: the answers of every server, checked before the server is measured.

use crate::options::Options;
use crate::process::Running;
use crate::results::About;
use crate::servers::Server;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The body of a right answer.
const BODY: &str = "Hello, World!";

/// The fields of an answer. A server that leaves one out sends fewer bytes.
const FIELDS: [&str; 4] = ["content-type", "content-length", "server", "date"];

/// Requests that the RFCs want refused. A server that answers them does less per request.
pub(crate) const WRONG: [(&str, &str); 6] = [
    ("", "no Host (RFC 9112, 3.2)"),
    ("Host: a\r\nHost: b\r\n", "two Hosts (RFC 9112, 3.2)"),
    ("Host: a b\r\n", "an invalid Host (RFC 9112, 3.2)"),
    (
        "Host: a\r\nna me: x\r\n",
        "a space in a field name (RFC 9112, 5.1)",
    ),
    (
        "Host: a\r\nname: a\0b\r\n",
        "NUL in a field value (RFC 9110, 5.5)",
    ),
    (
        "Host: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n",
        "two different lengths (RFC 9112, 6.3)",
    ),
];

/// The parts of the contract beside `/plaintext`: name, request line, fields and body, and the answer's body.
const OTHERS: [(&str, &str, &str, &str); 3] = [
    ("a query", "GET /plaintext?n=1", "Host: a\r\n\r\n", BODY),
    (
        "/json",
        "GET /json",
        "Host: a\r\n\r\n",
        r#"{"message":"Hello, World!"}"#,
    ),
    (
        "/echo",
        "POST /echo",
        "Host: a\r\nContent-Length: 13\r\n\r\nHello, World!",
        BODY,
    ),
];

/// Starts a server, asks for everything once, and returns how it differs from the contract.
///
/// # Errors
/// Returns an error if the server does not start, or does not answer the simplest request.
pub(crate) fn check(server: &Server, options: &Options) -> Result<About, Box<dyn Error>> {
    let about = About {
        version: server.version(),
        remark: server.remark.clone(),
        ..About::default()
    };
    if server.is_floor() {
        return Ok(about);
    }
    let running = Running::start("", server, "", options)?;
    let address = running.address;
    let answer = ask(address, "GET /plaintext", "Host: a\r\n\r\n", BODY)?;
    let head = answer
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let missing = FIELDS
        .into_iter()
        .filter(|name| !head.contains(&format!("\r\n{name}:")));
    let is_refused = |line: &str, rest: &str, body: &str| ask(address, line, rest, body).is_err();
    let unanswered = OTHERS
        .into_iter()
        .filter(|(_, line, rest, body)| is_refused(line, rest, body));
    let mut lacks: Vec<&str> = missing.chain(unanswered.map(|(name, ..)| name)).collect();
    if !closes(address) {
        lacks.push("an end after Connection: close");
    }
    let is_answered =
        |(fields, _): &&(&str, &str)| !is_refused("GET /plaintext", &format!("{fields}\r\n"), BODY);
    let accepts = WRONG
        .iter()
        .filter(is_answered)
        .map(|(_, name)| (*name).to_owned());
    Ok(About {
        answer_bytes: answer.len(),
        lacks: lacks.into_iter().map(str::to_owned).collect(),
        accepts: accepts.collect(),
        ..about
    })
}

/// Makes a request on a connection that persists, and returns the answer.
///
/// # Errors
/// Returns an error if the answer is not a 200 with this body.
fn ask(address: SocketAddr, line: &str, rest: &str, body: &str) -> Result<String, Box<dyn Error>> {
    let mut socket = connect(address)?;
    socket.write_all(format!("{line} HTTP/1.1\r\n{rest}").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(body.as_bytes()) {
        match socket.read(&mut buffer)? {
            0 => break,
            got => answer.extend_from_slice(&buffer[..got]),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if answer.starts_with("HTTP/1.1 200") && answer.ends_with(body) {
        return Ok(answer);
    }
    let start: String = answer.chars().take(80).collect();
    Err(format!("answers {line} with {start:?}").into())
}

/// Returns true if the server closes after its answer to a request with `Connection: close`.
fn closes(address: SocketAddr) -> bool {
    let end = || -> std::io::Result<usize> {
        let mut socket = connect(address)?;
        socket.write_all(b"GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        socket.read_to_end(&mut Vec::new())
    };
    end().is_ok()
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let limit = Duration::from_secs(2);
    let socket = TcpStream::connect_timeout(&address, limit)?;
    socket.set_read_timeout(Some(limit))?;
    Ok(socket)
}
