//! The contract: what every server must answer, checked before anything is measured.

use crate::options::Options;
use crate::running::Running;
use crate::servers::Server;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The fields that an answer should have; who leaves one out sends fewer bytes.
const FIELDS: [&str; 4] = ["content-type", "content-length", "server", "date"];

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
    let answer = ask(
        running.address,
        "GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )?;
    let head = answer
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") || !answer.ends_with("Hello, World!") {
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
    remarks.push(format!(
        "{} bytes an answer",
        persistent_answer_bytes(running.address)?
    ));
    if let Ok(answer) = ask(
        running.address,
        "GET /plaintext HTTP/1.1\r\nConnection: close\r\n\r\n",
    ) && answer.starts_with("HTTP/1.1 200")
    {
        remarks.push("accepts a request without Host".to_owned());
    }
    let bad = "GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: close\r\nBad\0Name: x\r\n\r\n";
    if let Ok(answer) = ask(running.address, bad)
        && answer.starts_with("HTTP/1.1 200")
    {
        remarks.push("accepts NUL in a field name".to_owned());
    }
    Ok(remarks)
}

/// Sends a request and reads until the server closes, as it was asked to.
fn ask(address: SocketAddr, request: &str) -> Result<String, Box<dyn Error>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket
        .read_to_end(&mut answer)
        .map_err(|_| "does not close when asked to")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Bytes of the answer as it is measured, on a connection that stays open.
fn persistent_answer_bytes(address: SocketAddr) -> Result<usize, Box<dyn Error>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.write_all(b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"Hello, World!") {
        match socket.read(&mut buffer)? {
            0 => return Err("closes a connection that should persist".into()),
            got => answer.extend_from_slice(&buffer[..got]),
        }
    }
    Ok(answer.len())
}
