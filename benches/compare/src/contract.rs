//! The contract: what every server must answer, checked before anything is measured.

use crate::options::Options;
use crate::running::Running;
use crate::servers::Server;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// The body of every right answer here.
const BODY: &str = "Hello, World!";

/// The fields that an answer should have; who leaves one out sends fewer bytes.
const FIELDS: [&str; 4] = ["content-type", "content-length", "server", "date"];

/// Requests that RFC 9112 wants refused; who answers them does less per request.
const WRONG: [(&str, &str); 4] = [
    ("", "a request without Host (RFC 9112, 3.2)"),
    ("Host: a\r\nHost: b\r\n", "two Hosts (RFC 9112, 3.2)"),
    (
        "Host: a\r\nna me: x\r\n",
        "a space in a field name (RFC 9112, 5.1)",
    ),
    (
        "Host: a\r\nname: a\0b\r\n",
        "NUL in a field value (RFC 9110, 5.5)",
    ),
];

/// Asks everything once and says in what the server differs; what it cannot do at all is found when it is measured.
///
/// # Errors
/// If it does not start, or does not answer the simplest request.
pub(crate) fn check(server: &Server, options: &Options) -> Result<Vec<String>, Box<dyn Error>> {
    let mut remarks: Vec<String> = (!server.remark.is_empty())
        .then(|| server.remark.to_owned())
        .into_iter()
        .collect();
    if server.is_floor() {
        return Ok(remarks);
    }
    let running = Running::start(server, &[], options.server_core)?;
    let answer = ask(running.address, "Host: a\r\n")?;
    let head = answer
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if !is_right(&answer) {
        return Err(format!(
            "answers /plaintext with {:?}",
            answer.chars().take(80).collect::<String>()
        )
        .into());
    }
    let lacks = FIELDS
        .iter()
        .filter(|name| !head.contains(&format!("\r\n{name}:")));
    remarks.extend(lacks.map(|name| format!("sends no {name}")));
    remarks.push(format!("{} bytes an answer", answer.len()));
    if !closes(running.address)? {
        remarks.push("does not close when asked to".to_owned());
    }
    for (fields, what) in WRONG {
        if ask(running.address, fields).is_ok_and(|answer| is_right(&answer)) {
            remarks.push(format!("accepts {what}"));
        }
    }
    Ok(remarks)
}

fn is_right(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") && answer.ends_with(BODY)
}

/// Asks with these fields, on a connection that persists, and reads until the body has come or the server closes.
fn ask(address: SocketAddr, fields: &str) -> Result<String, Box<dyn Error>> {
    let mut socket = connect(address)?;
    socket.write_all(format!("GET /plaintext HTTP/1.1\r\n{fields}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(BODY.as_bytes()) {
        match socket.read(&mut buffer)? {
            0 => break,
            got => answer.extend_from_slice(&buffer[..got]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether the server closes after an answer that was asked to be the last.
fn closes(address: SocketAddr) -> Result<bool, Box<dyn Error>> {
    let mut socket = connect(address)?;
    socket.write_all(b"GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    Ok(socket.read_to_end(&mut Vec::new()).is_ok())
}

fn connect(address: SocketAddr) -> Result<TcpStream, Box<dyn Error>> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    Ok(socket)
}
