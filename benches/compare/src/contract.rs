//! The contract: what every server must answer, checked before anything is measured.

use crate::figures::Contract;
use crate::options::Options;
use crate::running::Running;
use crate::servers::Server;
use crate::works::{ECHO_PATH, END, JSON_PATH, QUERY};
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// The body of a right answer, but for JSON.
const BODY: &str = "Hello, World!";

/// The same as JSON.
const JSON: &str = r#"{"message":"Hello, World!"}"#;

/// The fields that an answer should have; who leaves one out sends fewer bytes.
const FIELDS: [&str; 4] = ["content-type", "content-length", "server", "date"];

/// Requests that the RFCs want refused; who answers them does less per request.
pub(crate) const WRONG: [(&str, &str); 6] = [
    ("", "no Host (RFC 9112, 3.2)"),
    ("Host: a\r\nHost: b\r\n", "two Hosts (RFC 9112, 3.2)"),
    ("Host: a b\r\n", "a Host that is none (RFC 9112, 3.2)"),
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
        "two lengths that differ (RFC 9112, 6.3)",
    ),
];

/// Asks everything once and says in what the server differs; what it cannot do at all is found when it is measured.
///
/// # Errors
/// If it does not start, or does not answer the simplest request.
pub(crate) fn check(server: &Server, options: &Options) -> Result<Contract, Box<dyn Error>> {
    let remark = (!server.remark.is_empty()).then(|| server.remark.to_owned());
    if server.is_floor() {
        return Ok(Contract {
            remark,
            ..Contract::default()
        });
    }
    let running = Running::start(server, &[], options.server_core)?;
    let address = running.address;
    let answer = ask(address, "GET /plaintext", "Host: a\r\n", "", BODY)?;
    if !is_right(&answer, BODY) {
        let begin: String = answer.chars().take(80).collect();
        return Err(format!("answers /plaintext with {begin:?}").into());
    }
    Ok(Contract {
        remark,
        answer_bytes: answer.len(),
        lacks: lacks(&answer, address),
        accepts: accepts(address),
    })
}

/// Fields that its answers lack, and what it cannot answer.
fn lacks(answer: &str, address: SocketAddr) -> Vec<String> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let head = head.to_ascii_lowercase();
    let missing = FIELDS
        .iter()
        .filter(|name| !head.contains(&format!("\r\n{name}:")));
    let mut lacks: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
    let length = format!("Host: a\r\nContent-Length: {}\r\n", BODY.len());
    let others = [
        (QUERY, "GET /plaintext?n=1", "Host: a\r\n", "", BODY),
        (JSON_PATH, "GET /json", "Host: a\r\n", "", JSON),
        (ECHO_PATH, "POST /echo", length.as_str(), BODY, BODY),
    ];
    for (what, line, fields, sent, expected) in others {
        let answer = ask(address, line, fields, sent, expected);
        if !answer.is_ok_and(|answer| is_right(&answer, expected)) {
            lacks.push(what.to_owned());
        }
    }
    if !closes(address) {
        lacks.push(END.to_owned());
    }
    lacks
}

/// Which of the wrong requests it answers as if they were right.
fn accepts(address: SocketAddr) -> Vec<String> {
    let is_answered = |(fields, _): &&(&str, &str)| {
        let answer = ask(address, "GET /plaintext", fields, "", BODY);
        answer.is_ok_and(|answer| is_right(&answer, BODY))
    };
    let accepted = WRONG.iter().filter(is_answered);
    accepted.map(|(_, what)| (*what).to_owned()).collect()
}

fn is_right(answer: &str, body: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") && answer.ends_with(body)
}

/// Asks on a connection that persists, and reads until the expected body has come or the server closes.
fn ask(
    address: SocketAddr,
    line: &str,
    fields: &str,
    sent: &str,
    expected: &str,
) -> Result<String, Box<dyn Error>> {
    let mut socket = connect(address)?;
    socket.write_all(format!("{line} HTTP/1.1\r\n{fields}\r\n{sent}").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(expected.as_bytes()) {
        match socket.read(&mut buffer)? {
            0 => break,
            got => answer.extend_from_slice(&buffer[..got]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether the server closes after an answer that was asked to be the last.
fn closes(address: SocketAddr) -> bool {
    let request = b"GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let end = || -> Result<usize, Box<dyn Error>> {
        let mut socket = connect(address)?;
        socket.write_all(request)?;
        Ok(socket.read_to_end(&mut Vec::new())?)
    };
    end().is_ok()
}

fn connect(address: SocketAddr) -> Result<TcpStream, Box<dyn Error>> {
    let socket = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    Ok(socket)
}
