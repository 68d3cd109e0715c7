//! One connection: bytes in, request ends counted, as many answers out.

use crate::answers::{Answers, BUFFER_BYTES};
use crate::options::{Life, Options, Trigger};
use memchr::memmem::Finder;
use std::io::{ErrorKind, Read, Write};

/// The end of a request's head, which ends the request as far as the floor is concerned.
const END: &[u8] = b"\r\n\r\n";

/// The most bytes of an end that one read can leave for the next.
const CARRY_BYTES: usize = END.len() - 1;

/// What all connections share.
pub(crate) struct Shared {
    answers: Answers,
    ends: Finder<'static>,
    buffer: Vec<u8>,
    trigger: Trigger,
    life: Life,
}

impl Shared {
    /// Renders the answers and makes the one buffer.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            answers: Answers::new(options),
            ends: Finder::new(END),
            buffer: vec![0; CARRY_BYTES + BUFFER_BYTES],
            trigger: options.mode.trigger(),
            life: options.life,
        }
    }
}

/// What a connection waits for after its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// More requests.
    Read,
    /// Room for the rest of its answers.
    Write,
    /// Nothing: it is over.
    Close,
}

/// A socket, what it still has to be sent, and the last bytes of a head that came in two parts.
pub(crate) struct Connection<S> {
    /// The socket.
    pub(crate) socket: S,
    carry: [u8; CARRY_BYTES],
    carried: usize,
    owed: usize,
    sent: usize,
}

impl<S: Read + Write> Connection<S> {
    /// A fresh connection, which owes nothing.
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
        if self.owed > 0 && self.write(&shared.answers) != After::Read {
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
            self.owed += ended * shared.answers.one;
            match self.write(&shared.answers) {
                After::Read if ended > 0 && shared.life == Life::OneAnswer => return After::Close,
                After::Read => {}
                other => return other,
            }
            if shared.trigger == Trigger::Level || got < BUFFER_BYTES {
                return After::Read;
            }
        }
    }

    /// Counts the heads that end within the `got` bytes just read, and keeps what may be part of an end.
    fn count_ends(&mut self, shared: &mut Shared, got: usize) -> usize {
        let start = CARRY_BYTES - self.carried;
        shared.buffer[start..CARRY_BYTES].copy_from_slice(&self.carry[..self.carried]);
        let data = &shared.buffer[start..CARRY_BYTES + got];
        let (mut ended, mut rest) = (0, data);
        while let Some(at) = shared.ends.find(rest) {
            ended += 1;
            rest = &rest[at + END.len()..];
        }
        self.carried = rest.len().min(CARRY_BYTES);
        self.carry[..self.carried].copy_from_slice(&rest[rest.len() - self.carried..]);
        ended
    }

    /// Writes what is owed, normally in one call; a short write is left to the next readiness.
    fn write(&mut self, answers: &Answers) -> After {
        while self.owed > 0 {
            let phase = self.sent % answers.one;
            let end = (phase + self.owed).min(answers.bytes.len());
            match self.socket.write(&answers.bytes[phase..end]) {
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
