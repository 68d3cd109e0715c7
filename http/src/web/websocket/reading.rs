//! The bytes that a socket has read and not returned.

use crate::web::websocket::decoder::{MessageDecoder, decode_small};
use crate::web::websocket::message::Message;
use crate::web::websocket::spare::SpareMemory;

/// The messages of one read that cost a unit of the budget. To take eight out of the memory costs about as much as a
/// system call, and a handler has room for a batch of some hundreds in one poll.
const MESSAGES_PER_UNIT: u8 = 8;

/// The state of reading. A socket has one only between the first and the last byte of a message.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) decoder: MessageDecoder,
    /// Bytes behind the message that was returned, and the number of those that are decoded.
    rest: Vec<u8>,
    decoded: usize,
    /// The number of messages for which no unit of the budget has been spent.
    unpaid: u8,
}

impl Reading {
    /// Returns true if no byte is kept.
    pub(super) fn is_idle(&self) -> bool {
        self.decoder.is_idle() && self.rest.is_empty()
    }

    /// Returns true if there are bytes behind the message that was returned.
    pub(super) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Keeps the bytes behind a message.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.rest.extend_from_slice(rest);
    }

    /// Notes that a unit of the budget has been spent.
    pub(super) fn pay(&mut self) {
        self.unpaid = 0;
    }

    /// Returns the next message if it is small, if more bytes follow it, and if it costs no unit of the budget. // LOG W3
    #[inline]
    pub(super) fn next_of_many(
        &mut self,
        bytes_max: usize,
        spare: &SpareMemory,
    ) -> Option<Message> {
        debug_assert!(!self.has_rest() || self.decoder.is_idle());
        if self.unpaid >= MESSAGES_PER_UNIT {
            return None;
        }
        // The last byte is left out, so that the memory of the rest is freed in one place.
        let (_, bytes) = self.rest.split_last()?;
        let (message, used) = decode_small(bytes.get(self.decoded..)?, bytes_max, spare)?;
        self.decoded += used;
        self.unpaid += 1;
        Some(message)
    }

    /// Returns the kept bytes. They must come back with [`put_back`](Self::put_back).
    pub(super) fn take_rest(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.rest), self.decoded)
    }

    /// Takes kept bytes back, of which `decoded` are no longer needed.
    pub(super) fn put_back(&mut self, mut rest: Vec<u8>, mut decoded: usize) {
        if decoded >= rest.len() {
            rest.clear();
            decoded = 0;
        }
        (self.rest, self.decoded) = (rest, decoded);
    }

    /// Frees memory without bytes, because the next wait may be long. An idle state is shared, and keeps it. // LOG W5
    pub(super) fn shrink(&mut self) {
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }
}
