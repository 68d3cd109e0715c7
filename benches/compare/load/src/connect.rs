//! Opens connections one by one, each with one request, so that no accept queue overflows.

use crate::answer::Judge;
use crate::options::Options;
use crate::request::Request;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long one connection may take to open, and one answer to come.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How long all connections may take.
const ALL_TIME_MAX: Duration = Duration::from_secs(60);

/// Opens the connections that the options ask for; each has had one right answer.
///
/// # Errors
/// If one cannot be opened or is not answered rightly.
pub(crate) fn all(
    options: &Options,
    request: &Request,
    judge: &mut Judge,
) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let deadline = Instant::now() + ALL_TIME_MAX;
    (0..options.connections)
        .map(|index| {
            if Instant::now() > deadline {
                return Err(format!("only {index} connections within a minute").into());
            }
            one(options.address, request, judge)
                .map_err(|error| format!("connection {index}: {error}").into())
        })
        .collect()
}

/// Opens a connection on which one request has been answered rightly.
///
/// # Errors
/// If that takes too long, or is not so.
pub(crate) fn one(
    address: SocketAddr,
    request: &Request,
    judge: &mut Judge,
) -> Result<TcpStream, Box<dyn Error>> {
    let mut socket = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)?;
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
    let request = Request::new(options, 1);
    let mut judge = Judge::new(request.expected.clone());
    let held = all(options, &request, &mut judge)?;
    println!("{{\"held\":{}}}", held.len());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(())
}
