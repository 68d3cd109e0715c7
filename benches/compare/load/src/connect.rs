//! Opens connections one by one, each with one request, so that no accept queue overflows.

use crate::answer::Judge;
use crate::options::Options;
use crate::request::Request;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long one answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Opens the connections that the options ask for; each has had one right answer.
///
/// # Errors
/// If one cannot be opened or is not answered rightly.
pub(crate) fn all(
    options: &Options,
    request: &Request,
    judge: &mut Judge,
) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    (0..options.connections)
        .map(|index| {
            one(options, request, judge)
                .map_err(|error| format!("connection {index}: {error}").into())
        })
        .collect()
}

fn one(
    options: &Options,
    request: &Request,
    judge: &mut Judge,
) -> Result<TcpStream, Box<dyn Error>> {
    let mut socket = TcpStream::connect(options.address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.write_all(&request.batch[..request.one])?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while judge.take(&answer)?.is_none() {
        match socket.read(&mut buffer)? {
            0 => return Err("closed before its answer was complete".into()),
            got => answer.extend_from_slice(&buffer[..got]),
        }
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Opens the connections, says so in a line, and keeps them until standard input ends.
///
/// # Errors
/// As [`all`].
pub(crate) fn hold(options: &Options) -> Result<(), Box<dyn Error>> {
    let request = Request::new(options);
    let mut judge = Judge::new(request.expected.clone());
    let held = all(options, &request, &mut judge)?;
    println!("{{\"held\":{}}}", held.len());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(())
}
