//! One side of a TLS connection without its socket: records go in and out, and bytes go out and in.
//!
//! # How it works
//!
//! ```text
//!   received ──► input ──► rustls ──► the reader's buffer, and `plain` for the rest
//!   written  ─────────────► rustls ──► output ──► sent
//! ```
//!
//! rustls has two interfaces. This module uses the "unbuffered" one, in which the buffers are ours. Each of the three
//! buffers is freed when it is empty, so an idle connection has none.
//!
//! rustls has a type for each side. The code that handles their states is generic, so both sides share it.
//!
//! # Invariants
//!
//! - Always: each call of rustls sees all unused input, because rustls keeps positions in it.
//! - Never: rustls is called again after it has returned an error, except for the alert.

use std::mem;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};

/// The most bytes of a handshake message that has not arrived whole, with the records around it. rustls itself
/// refuses a message of more than 65,535 bytes.
const INPUT_BYTES_MAX: usize = 96 * 1024;

/// Bytes of which a part at the front is used up.
#[derive(Default)]
pub(super) struct ByteQueue {
    bytes: Vec<u8>,
    used: usize,
}

impl ByteQueue {
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// Uses up `count` bytes, and frees the memory with the last one.
    pub(super) fn use_up(&mut self, count: usize) {
        self.used += count;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends the bytes that `write` puts into a space of `size` bytes, and returns its result.
    fn append_with<E>(
        &mut self,
        size: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let before = self.bytes.len();
        self.bytes.resize(before + size, 0);
        let written = write(&mut self.bytes[before..]);
        self.bytes
            .truncate(before + written.as_ref().map_or(0, |count| *count));
        written.map(drop)
    }
}

/// Records of rustls. It names the space that it needs, if the first one was too small.
impl ByteQueue {
    fn append_handshake<Data>(&mut self, mut data: EncodeTlsData<'_, Data>) {
        let mut size = 0;
        while let Err(EncodeError::InsufficientSize(short)) =
            self.append_with(size, |space| data.encode(space))
        {
            size = short.required_size;
        }
    }

    fn append_traffic<Data>(
        &mut self,
        mut traffic: WriteTraffic<'_, Data>,
        task: &Task<'_>,
    ) -> Result<Progress, Error> {
        let bytes = match task {
            Task::Send(bytes) => bytes,
            _ => &[][..],
        };
        // A record has 16 KiB of content, and at most 29 bytes more (RFC 8446, 5.2; RFC 5288, 3).
        let mut size = bytes.len() + (bytes.len() / (16 * 1024) + 1) * 32;
        loop {
            let done = self.append_with(size, |space| match task {
                Task::Close => traffic.queue_close_notify(space),
                _ => traffic.encrypt(bytes, space),
            });
            match done {
                Ok(()) => return Ok(Progress::Sent),
                // A key update stands before the bytes.
                Err(EncryptError::InsufficientSize(short)) => size = short.required_size,
                Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
            }
        }
    }
}

/// The purpose of a call of rustls.
enum Task<'a> {
    Receive(&'a mut [u8]),
    Send(&'a [u8]),
    Close,
}

/// The end of a call of rustls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many bytes are in the reader's buffer.
    Received(usize),
    /// rustls needs more input. During the handshake the peer may need our output first.
    Blocked,
    /// The peer has sent its `close_notify`.
    PeerClosed,
    /// The bytes or the `close_notify` are in the output.
    Sent,
}

/// A connection of rustls, by its side.
pub(super) enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// The state of a TLS connection.
pub(super) struct Session {
    side: Side,
    /// Received records that rustls has not used up.
    input: ByteQueue,
    results: Results,
}

/// The results of rustls' work.
#[derive(Default)]
struct Results {
    /// Decrypted bytes for which the reader's buffer had no room.
    plain: ByteQueue,
    /// Records to send.
    output: ByteQueue,
    /// True after the peer's `close_notify`. rustls reports it only once.
    peer_has_closed: bool,
    /// True if rustls has seen the whole input. It leaves an incomplete message there, even one of whole records.
    has_seen_input: bool,
}

impl Session {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            input: ByteQueue::default(),
            results: Results::default(),
        }
    }

    /// Returns the state that both sides have in rustls.
    pub(super) fn common_state(&self) -> &CommonState {
        match &self.side {
            Side::Server(tls) => tls,
            Side::Client(tls) => tls,
        }
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self.side, Side::Client(_))
    }

    /// Returns true if the peer's `close_notify` has arrived and the bytes before it have been read.
    pub(super) fn peer_has_closed(&self) -> bool {
        self.results.peer_has_closed && self.results.plain.is_empty()
    }

    /// Returns true if a read would find bytes, or a whole record.
    pub(super) fn has_input(&self) -> bool {
        let has_record = match self.input.rest() {
            [_, _, _, high, low, record @ ..] => {
                record.len() >= usize::from(u16::from_be_bytes([*high, *low]))
            }
            _ => false,
        };
        let results = &self.results;
        !results.plain.is_empty()
            || (has_record && !results.has_seen_input && !results.peer_has_closed)
    }

    /// Returns the records to send.
    pub(super) fn output(&self) -> &ByteQueue {
        &self.results.output
    }

    pub(super) fn output_mut(&mut self) -> &mut ByteQueue {
        &mut self.results.output
    }

    /// Takes received bytes in.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.input.rest().len() > INPUT_BYTES_MAX {
            return Err(Error::General("a message is too long".to_owned()));
        }
        self.input.append(bytes);
        self.results.has_seen_input = false;
        Ok(())
    }

    /// Moves decrypted bytes into `buffer`. Does the handshake until it needs more input.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Progress, Error> {
        let plain = &mut self.results.plain;
        if !plain.is_empty() {
            let count = buffer.len().min(plain.rest().len());
            buffer[..count].copy_from_slice(&plain.rest()[..count]);
            plain.use_up(count);
            return Ok(Progress::Received(count));
        }
        if self.results.peer_has_closed {
            return Ok(Progress::PeerClosed);
        }
        self.ask(Task::Receive(buffer))
    }

    /// Encrypts bytes into the output.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.ask(Task::Send(bytes)).map(drop)
    }

    /// Puts a `close_notify` into the output, unless it has been there already.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        self.ask(Task::Close).map(drop)
    }

    /// Lets rustls work until the task is done, or until it needs more input.
    fn ask(&mut self, mut task: Task<'_>) -> Result<Progress, Error> {
        loop {
            match self.step(&mut task) {
                Ok(Some(progress)) => return Ok(progress),
                Ok(None) => {}
                Err(error) => {
                    // The alert for the peer. Only while rustls has output: a second look at the same input would
                    // find the same fault again.
                    while self.common_state().wants_write() {
                        let Ok(None) = self.step(&mut Task::Close) else {
                            break;
                        };
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Calls rustls once. Returns `None` if it has to be called again.
    fn step(&mut self, task: &mut Task<'_>) -> Result<Option<Progress>, Error> {
        let input = &mut self.input.bytes[self.input.used..];
        let results = &mut self.results;
        let (used, progress) = match &mut self.side {
            Side::Server(tls) => results.collect(tls.process_tls_records(input), task),
            Side::Client(tls) => results.collect(tls.process_tls_records(input), task),
        };
        self.input.use_up(used);
        progress
    }
}

impl Results {
    /// Takes the results of one call of rustls. Returns the number of used bytes of the input, and the progress.
    fn collect<Data>(
        &mut self,
        status: UnbufferedStatus<'_, '_, Data>,
        task: &mut Task<'_>,
    ) -> (usize, Result<Option<Progress>, Error>) {
        let mut used = status.discard;
        // Each state must be handled before the next call. `None` asks for that call.
        let progress = status.state.and_then(|state| match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                let mut count = 0;
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    used += record.discard;
                    let mut direct = 0;
                    if let Task::Receive(buffer) = &mut *task {
                        direct = record.payload.len().min(buffer.len() - count);
                        buffer[count..count + direct].copy_from_slice(&record.payload[..direct]);
                        count += direct;
                    }
                    self.plain.append(&record.payload[direct..]);
                }
                Ok((count > 0).then_some(Progress::Received(count)))
            }
            ConnectionState::EncodeTlsData(data) => {
                self.output.append_handshake(data);
                Ok(None)
            }
            ConnectionState::TransmitTlsData(data) => {
                // From here on the output is ours to send, in its order.
                data.done();
                Ok(None)
            }
            ConnectionState::WriteTraffic(mut traffic) => {
                let is_new = !mem::replace(&mut self.has_seen_input, true);
                match task {
                    // Only into an empty output: a peer that does not read must not fill it.
                    Task::Receive(_) if is_new && self.output.is_empty() => {
                        // An attempt to write without space: rustls encrypts no byte, and releases the answer to a
                        // key update, which it holds back until the next write.
                        _ = traffic.encrypt(&[0], &mut []);
                        Ok(None)
                    }
                    Task::Receive(_) => Ok(Some(Progress::Blocked)),
                    task => self.output.append_traffic(traffic, task).map(Some),
                }
            }
            ConnectionState::PeerClosed => {
                self.peer_has_closed = true;
                Ok(matches!(task, Task::Receive(_)).then_some(Progress::PeerClosed))
            }
            ConnectionState::BlockedHandshake => Ok(Some(Progress::Blocked)),
            ConnectionState::Closed => Ok(Some(Progress::PeerClosed)),
            // Early data is off, so the last ones are states of later versions.
            state => Err(Error::General(format!("unknown state: {state:?}"))),
        });
        (used, progress)
    }
}
