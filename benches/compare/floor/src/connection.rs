//! One connection: reads bytes, counts the ends of requests, and writes as many answers.

use crate::{Answer, Options};
use memchr::memmem::Finder;
use std::io::{ErrorKind, Read, Write};

/// Bytes read at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// The end of a request's head. For the floor it ends the request.
const END: &[u8] = b"\r\n\r\n";

/// The most bytes of an end that one read can leave for the next.
const CARRY_BYTES: usize = END.len() - 1;

/// The largest number of requests that one read can end: the shortest request has 18 bytes.
const REPEATS: usize = BUFFER_BYTES / 18 + 1;

/// The state that all connections share.
pub(crate) struct Shared {
    /// The same answer over and over, so that any number of answers is one slice.
    answers: Vec<u8>,
    answer_bytes: usize,
    ends: Finder<'static>,
    buffer: Vec<u8>,
    reads_once: bool,
    closes: bool,
}

impl Shared {
    /// Renders the answers and allocates the buffer.
    pub(crate) fn new(options: &Options) -> Self {
        let (kind, body) = match options.answer {
            Answer::Plaintext => ("text/plain", "Hello, World!".to_owned()),
            Answer::Json => (
                "application/json",
                r#"{"message":"Hello, World!"}"#.to_owned(),
            ),
            Answer::Echo => ("application/octet-stream", "w".repeat(1024)),
        };
        let close = if options.close {
            "connection: close\r\n"
        } else {
            ""
        };
        // The fields and the length of a Waterwheel answer.
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nserver: ww\r\n\
             date: Thu, 01 Jan 1970 00:00:00 GMT\r\n{close}\r\n{body}",
            body.len()
        );
        Self {
            answers: answer.repeat(REPEATS).into_bytes(),
            answer_bytes: answer.len(),
            ends: Finder::new(END),
            buffer: vec![0; CARRY_BYTES + BUFFER_BYTES],
            reads_once: options.is_level_triggered(),
            closes: options.close,
        }
    }
}

/// The event that a connection waits for after its turn.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum After {
    /// More requests.
    Read,
    /// Room for the rest of its answers.
    Write,
    /// No event: it is over.
    Close,
}

/// A socket, the bytes that it still has to be sent, and the last bytes of a head that came in two parts.
pub(crate) struct Connection<S> {
    /// The socket.
    pub(crate) socket: S,
    carry: [u8; CARRY_BYTES],
    carried: usize,
    owed: usize,
    sent: usize,
}

impl<S: Read + Write> Connection<S> {
    /// A fresh connection.
    pub(crate) fn new(socket: S) -> Self {
        Self {
            socket,
            carry: [0; CARRY_BYTES],
            carried: 0,
            owed: 0,
            sent: 0,
        }
    }

    /// Takes one turn: level-triggered one read and one write, else until a read comes back short.
    pub(crate) fn on_ready(&mut self, shared: &mut Shared) -> After {
        if self.owed > 0 && self.write(shared) != After::Read {
            return After::Write;
        }
        loop {
            let got = match self.socket.read(&mut shared.buffer[CARRY_BYTES..]) {
                Ok(0) => return After::Close,
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return After::Read,
                Err(_) => return After::Close,
            };
            let ended = self.count_ends(shared, got);
            self.owed += ended * shared.answer_bytes;
            match self.write(shared) {
                After::Read if ended > 0 && shared.closes => return After::Close,
                After::Read if shared.reads_once || got < BUFFER_BYTES => return After::Read,
                After::Read => {}
                other => return other,
            }
        }
    }

    /// Counts the heads that end within the `got` bytes just read, and keeps the possible start of an end.
    fn count_ends(&mut self, shared: &mut Shared, got: usize) -> usize {
        let start = CARRY_BYTES - self.carried;
        shared.buffer[start..CARRY_BYTES].copy_from_slice(&self.carry[..self.carried]);
        let (mut ended, mut rest) = (0, &shared.buffer[start..CARRY_BYTES + got]);
        while let Some(at) = shared.ends.find(rest) {
            ended += 1;
            rest = &rest[at + END.len()..];
        }
        self.carried = rest.len().min(CARRY_BYTES);
        self.carry[..self.carried].copy_from_slice(&rest[rest.len() - self.carried..]);
        ended
    }

    /// Writes the owed answers, normally in one call. A short write continues at the next readiness.
    fn write(&mut self, shared: &Shared) -> After {
        while self.owed > 0 {
            let phase = self.sent % shared.answer_bytes;
            let end = (phase + self.owed).min(shared.answers.len());
            match self.socket.write(&shared.answers[phase..end]) {
                Ok(wrote) => {
                    self.owed -= wrote;
                    self.sent = phase + wrote;
                    if wrote < end - phase {
                        return After::Write;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return After::Write,
                Err(_) => return After::Close,
            }
        }
        After::Read
    }
}
