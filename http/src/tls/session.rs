//! One TLS connection without its socket: records go in and out, and bytes go out and in.
//!
//! # How it works
//!
//! ```text
//!   received ──► input ──► rustls ──► the reader's buffer, and `plain` for the rest
//!   written  ─────────────► rustls ──► output ──► sent
//! ```
//!
//! rustls has two interfaces. This one is its "unbuffered" one, in which the buffers are ours. Each of the three
//! buffers is freed when it is empty, so an idle connection has none.
//!
//! # Invariants
//!
//! - Always: rustls is asked with all unused input, because it keeps positions in it.
//! - Never: rustls is asked again after it has reported an error, except for the alert.

use std::mem;

use rustls::Error;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

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
    fn append_handshake(&mut self, mut data: EncodeTlsData<'_, ServerConnectionData>) {
        let mut size = 0;
        while let Err(EncodeError::InsufficientSize(short)) =
            self.append_with(size, |space| data.encode(space))
        {
            size = short.required_size;
        }
    }

    fn append_traffic(
        &mut self,
        mut traffic: WriteTraffic<'_, ServerConnectionData>,
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

/// The state of a TLS connection.
pub(super) struct Session {
    pub(super) tls: UnbufferedServerConnection,
    /// Received records that rustls has not used up.
    input: ByteQueue,
    /// Decrypted bytes for which the reader's buffer had no room.
    plain: ByteQueue,
    /// Records to send.
    pub(super) output: ByteQueue,
    /// True after the peer's `close_notify`. rustls reports it only once.
    peer_has_closed: bool,
    /// True if rustls has seen all of `input`. It leaves a part of a message there, also if that fills whole records.
    is_judged: bool,
}

impl Session {
    pub(super) fn new(tls: UnbufferedServerConnection) -> Self {
        Self {
            tls,
            input: ByteQueue::default(),
            plain: ByteQueue::default(),
            output: ByteQueue::default(),
            peer_has_closed: false,
            is_judged: false,
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    pub(super) fn peer_has_closed(&self) -> bool {
        self.peer_has_closed && self.plain.is_empty()
    }

    /// Returns true if a read would find bytes, or a whole record.
    pub(super) fn has_input(&self) -> bool {
        let has_record = match self.input.rest() {
            [_, _, _, high, low, record @ ..] => {
                record.len() >= usize::from(u16::from_be_bytes([*high, *low]))
            }
            _ => false,
        };
        !self.plain.is_empty() || (has_record && !self.is_judged && !self.peer_has_closed)
    }

    /// Takes received bytes in.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.input.rest().len() > INPUT_BYTES_MAX {
            return Err(Error::General("a message is too long".to_owned()));
        }
        self.input.append(bytes);
        self.is_judged = false;
        Ok(())
    }

    /// Moves decrypted bytes into `buffer`. Does the handshake until it needs more input.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Progress, Error> {
        if !self.plain.is_empty() {
            let count = buffer.len().min(self.plain.rest().len());
            buffer[..count].copy_from_slice(&self.plain.rest()[..count]);
            self.plain.use_up(count);
            return Ok(Progress::Received(count));
        }
        if self.peer_has_closed {
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
            let UnbufferedStatus { mut discard, state } = self
                .tls
                .process_tls_records(&mut self.input.bytes[self.input.used..]);
            let progress = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut count = 0;
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let mut direct = 0;
                        if let Task::Receive(buffer) = &mut task {
                            direct = record.payload.len().min(buffer.len() - count);
                            buffer[count..count + direct]
                                .copy_from_slice(&record.payload[..direct]);
                            count += direct;
                        }
                        self.plain.append(&record.payload[direct..]);
                    }
                    (count > 0).then_some(Progress::Received(count))
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    self.output.append_handshake(data);
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // From here on the output is ours to send, in its order.
                    data.done();
                    None
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let is_new = !mem::replace(&mut self.is_judged, true);
                    match &task {
                        // Only into an empty output: a client that does not read must not fill it.
                        Task::Receive(_) if is_new && self.output.is_empty() => {
                            // An attempt to write without space: rustls encrypts no byte, and releases the answer to
                            // a key update, which it holds back until the next write.
                            _ = traffic.encrypt(&[0], &mut []);
                            None
                        }
                        Task::Receive(_) => Some(Progress::Blocked),
                        task => Some(self.output.append_traffic(traffic, task)?),
                    }
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_has_closed = true;
                    matches!(task, Task::Receive(_)).then_some(Progress::PeerClosed)
                }
                Ok(ConnectionState::BlockedHandshake) => Some(Progress::Blocked),
                Ok(ConnectionState::Closed) => Some(Progress::PeerClosed),
                // Early data is off, so the last ones are states of later versions.
                Ok(state) => return Err(Error::General(format!("unknown state: {state:?}"))),
                Err(error) => {
                    self.input.use_up(discard);
                    self.collect_alert();
                    return Err(error);
                }
            };
            self.input.use_up(discard);
            if let Some(progress) = progress {
                return Ok(progress);
            }
        }
    }

    /// Moves the alert for the peer into the output, after an error.
    fn collect_alert(&mut self) {
        // Only while there is output: a second look at the same input would find the same fault again.
        while self.tls.wants_write() {
            let input = &mut self.input.bytes[self.input.used..];
            match self.tls.process_tls_records(input).state {
                Ok(ConnectionState::EncodeTlsData(data)) => self.output.append_handshake(data),
                _ => return,
            }
        }
    }
}
