//! One connection: the bytes that it still has to send, and the part of an answer that has come so far.

use crate::answer::Judge;
use crate::request::Request;
use mio::net::TcpStream;
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a connection may take to open, and its first answer to come.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// When to stop reading.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Until {
    /// After one read.
    Once,
    /// After a short read, which has drained the socket.
    Short,
    /// At the end of the stream, or when the socket is empty.
    End,
}

/// The result of a read.
#[derive(Default)]
pub(crate) struct Got {
    /// Right answers.
    pub(crate) answers: usize,
    /// True if the peer has closed.
    pub(crate) is_closed: bool,
}

/// A socket with its batch under way.
pub(crate) struct Connection {
    /// The socket.
    pub(crate) socket: TcpStream,
    /// Requests without an answer yet.
    pub(crate) waiting: usize,
    /// When the request under way fell due, in an open loop.
    pub(crate) due: Option<Instant>,
    unsent: usize,
    size: usize,
    part: Vec<u8>,
}

impl Connection {
    /// A connection without a batch.
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            waiting: 0,
            due: None,
            unsent: 0,
            size: 0,
            part: Vec::new(),
        }
    }

    /// Connects and makes one request, so that no accept queue overflows.
    ///
    /// # Errors
    /// Returns an error if that takes too long, or the answer is wrong.
    pub(crate) fn open(
        address: SocketAddr,
        request: &Request,
        judge: &mut Judge,
    ) -> Result<Self, Box<dyn Error>> {
        let mut socket = std::net::TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)?;
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
        Ok(Self::new(TcpStream::from_std(socket)))
    }

    /// Begins a batch of `requests` requests.
    ///
    /// # Errors
    /// Returns the error of the write.
    pub(crate) fn begin(&mut self, request: &Request, requests: usize) -> Result<(), String> {
        self.waiting += requests;
        self.size = requests * request.one;
        self.unsent = self.size;
        self.send(request)
    }

    /// Begins a batch if the one before is sent, whether or not it is answered.
    ///
    /// # Errors
    /// Returns the error of the write.
    pub(crate) fn top_up(&mut self, request: &mut Request) -> Result<(), String> {
        if self.unsent > 0 {
            return self.send(request);
        }
        let requests = request.batch.len() / request.one;
        request.vary(requests);
        self.begin(request, requests)
    }

    /// Sends the rest of the batch until the socket is full.
    ///
    /// # Errors
    /// Returns the error of the write.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), String> {
        while self.unsent > 0 {
            let rest = &request.batch[self.size - self.unsent..self.size];
            match self.socket.write(rest) {
                Ok(wrote) => self.unsent -= wrote,
                Err(error) if must_wait(&error) => break,
                Err(error) => return Err(format!("send: {error}")),
            }
        }
        Ok(())
    }

    /// Reads and checks answers.
    ///
    /// # Errors
    /// Returns an error if an answer is wrong, or has no request.
    pub(crate) fn receive(
        &mut self,
        judge: &mut Judge,
        buffer: &mut [u8],
        until: Until,
    ) -> Result<Got, String> {
        let mut found = Got::default();
        while !found.is_closed {
            match self.socket.read(buffer) {
                Ok(0) => found.is_closed = true,
                Ok(got) => {
                    found.answers += self.judge(judge, &buffer[..got])?;
                    let is_drained = got < buffer.len() && until == Until::Short;
                    if is_drained || until == Until::Once {
                        break;
                    }
                }
                Err(error) if must_wait(&error) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => found.is_closed = true,
                Err(error) => return Err(format!("receive: {error}")),
            }
        }
        Ok(found)
    }

    /// Takes all whole answers and keeps the rest.
    fn judge(&mut self, judge: &mut Judge, data: &[u8]) -> Result<usize, String> {
        let mut joined = std::mem::take(&mut self.part);
        let mut rest = data;
        if !joined.is_empty() {
            joined.extend_from_slice(data);
            rest = &joined;
        }
        let mut answers = 0;
        while !rest.is_empty()
            && let Some(bytes) = judge.take(rest)?
        {
            rest = &rest[bytes..];
            answers += 1;
        }
        self.part = rest.to_vec();
        let waiting = self.waiting.checked_sub(answers);
        self.waiting = waiting.ok_or("more answers than requests")?;
        Ok(answers)
    }
}

/// Returns true if the socket is not ready, or not connected yet.
fn must_wait(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}
