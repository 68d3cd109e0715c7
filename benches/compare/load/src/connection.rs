//! One connection of the loop: what it still has to send, and what has come back so far.

use crate::answer::Judge;
use crate::request::Request;
use mio::net::TcpStream;
use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

/// Bytes read at once.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;

/// Whether to read once more after a short read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// One read is all there is time for.
    Once,
    /// A short read has drained the socket.
    Short,
    /// The end is expected, or known to have come.
    End,
}

/// What a read found.
#[derive(Default)]
pub(crate) struct Got {
    /// Right answers.
    pub(crate) answers: usize,
    /// Whether the peer has closed.
    pub(crate) closed: bool,
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
    /// A connection with nothing under way.
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

    /// Begins a batch of so many requests.
    ///
    /// # Errors
    /// Whatever the write says.
    pub(crate) fn begin(&mut self, request: &Request, requests: usize) -> Result<(), String> {
        self.waiting = requests;
        self.size = requests * request.one;
        self.unsent = self.size;
        self.send(request)
    }

    /// Begins a batch as soon as the one before is sent, whether or not it is answered.
    ///
    /// # Errors
    /// Whatever the write says.
    pub(crate) fn top_up(&mut self, request: &mut Request) -> Result<(), String> {
        if self.unsent == 0 {
            let requests = request.batch.len() / request.one;
            request.vary(requests);
            self.waiting += requests;
            self.size = request.batch.len();
            self.unsent = self.size;
        }
        self.send(request)
    }

    /// Sends what is left of the batch, as far as there is room.
    ///
    /// # Errors
    /// Whatever the write says.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), String> {
        while self.unsent > 0 {
            match self
                .socket
                .write(&request.batch[self.size - self.unsent..self.size])
            {
                Ok(wrote) => self.unsent -= wrote,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) =>
                {
                    break;
                }
                Err(error) => return Err(format!("send: {error}")),
            }
        }
        Ok(())
    }

    /// Reads what is there and judges it.
    ///
    /// # Errors
    /// If an answer is wrong, or none was asked for.
    pub(crate) fn receive(
        &mut self,
        judge: &mut Judge,
        buffer: &mut [u8],
        until: Until,
    ) -> Result<Got, String> {
        let mut found = Got::default();
        while !found.closed {
            match self.socket.read(buffer) {
                Ok(0) => found.closed = true,
                Ok(got) => {
                    found.answers += self.judge(judge, &buffer[..got])?;
                    let is_drained = got < buffer.len() && until == Until::Short;
                    if is_drained || until == Until::Once {
                        break;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) =>
                {
                    break;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => found.closed = true,
                Err(error) => return Err(format!("receive: {error}")),
            }
        }
        Ok(found)
    }

    /// Takes all whole answers from what has come and keeps the rest.
    fn judge(&mut self, judge: &mut Judge, data: &[u8]) -> Result<usize, String> {
        let mut joined = std::mem::take(&mut self.part);
        let mut rest = if joined.is_empty() {
            data
        } else {
            joined.extend_from_slice(data);
            &joined
        };
        let mut answers = 0;
        while !rest.is_empty() {
            let Some(bytes) = judge.take(rest)? else {
                break;
            };
            rest = &rest[bytes..];
            answers += 1;
        }
        self.part = rest.to_vec();
        self.waiting = self
            .waiting
            .checked_sub(answers)
            .ok_or("more answers than requests")?;
        Ok(answers)
    }
}
