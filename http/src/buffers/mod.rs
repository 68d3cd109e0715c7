//! A connection's working set: what it needs only while there is something to work on.
//!
//! # How it works
//!
//! ```text
//!  bytes ──► input ──► head parser ──► head ──► handler ──► output ──► bytes
//!              └───────────── body ──────────────┘
//! ```
//!
//! The read buffer, the parser, the head, the state of the exchange and the write buffer are one
//! allocation of the server's pool. A connection takes one when it becomes readable and gives it
//! back when everything that came has been answered: an idle connection has none.
//!
//! # Invariants
//!
//! - Always: `start <= end <= bytes.len()`; the bytes of a head do not move while it is used.

pub(crate) mod body_state;
pub(crate) mod output;
pub(crate) mod state;

use std::mem;

use waterwheel_runtime::time::Instant;

use crate::buffers::state::Exchange;
use crate::proto::head::{Head, HeadParser};

/// What is read at once; a head that is larger makes it grow.
const INPUT_BYTES: usize = 8 * 1024;

#[derive(Default)]
pub(crate) struct Work {
    pub(crate) input: Input,
    pub(crate) parser: HeadParser,
    pub(crate) head: Head,
    pub(crate) exchange: Exchange,
    /// The length of the head at the front of the input, once that is whole.
    pub(crate) head_bytes: usize,
    /// When the request at the front began, if durations are measured.
    pub(crate) begun: Option<Instant>,
}

impl Work {
    /// Ready for another connection: nothing of this one is left to be seen. Mostly it is so already.
    #[inline]
    pub(crate) fn reset(&mut self) {
        if !self.is_clean() {
            self.clean();
        }
    }

    #[inline]
    fn is_clean(&mut self) -> bool {
        self.head_bytes == 0
            && self.parser.is_fresh()
            && self.input.is_clean()
            && self.exchange.is_clean()
    }

    #[cold]
    fn clean(&mut self) {
        self.parser = HeadParser::default();
        self.head_bytes = 0;
        self.input.reset();
        self.exchange.reset();
    }

    /// Returns true if the client has announced that it sends no more, and if bytes that it sends all
    /// the same (such as a line end behind a body) come too late to destroy its answer.
    pub(crate) fn ends_here(&mut self) -> bool {
        !self.head.persistence().persists()
            && !self.exchange.has_body()
            && self.input.is_empty()
            && self.exchange.is_one_flight()
    }

    /// Drops what has been answered: the head, and what the exchange has read of the bytes
    /// behind it.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.input.start += mem::take(&mut self.head_bytes);
        let (taken, rest) = self.exchange.end();
        self.input.start += taken;
        if let Some(rest) = rest {
            // The exchange has read on by itself: all that was here is used up.
            self.input.replace(rest);
        }
    }
}

/// The read buffer: `bytes[start..end]` has come and has not been used.
#[derive(Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// What has come and has not been used.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Room to read into, at least one byte: what is there moves to the front if it must.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.bytes.len() {
            self.make_room();
        }
        &mut self.bytes[self.end..]
    }

    #[cold]
    fn make_room(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else {
            self.bytes
                .resize((self.bytes.len() * 2).max(INPUT_BYTES), 0);
        }
    }

    /// So many bytes have been read into the room.
    pub(crate) fn add(&mut self, count: usize) {
        self.end += count;
    }

    fn replace(&mut self, bytes: Vec<u8>) {
        (self.start, self.end) = (0, bytes.len());
        self.bytes = bytes;
    }

    /// Whether it is empty, and of the usual size.
    fn is_clean(&self) -> bool {
        self.is_empty() && self.bytes.len() == INPUT_BYTES
    }

    fn reset(&mut self) {
        (self.start, self.end) = (0, 0);
        if self.bytes.len() != INPUT_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// Gives back the room it does not need, for a wait of unknown length.
    pub(crate) fn shrink(&mut self) {
        let filled = self.filled().to_vec();
        self.replace(filled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_been_used_survives_a_move_to_the_front() {
        let mut input = Input::default();
        let room = input.room().len();
        input.room()[room - 2..].copy_from_slice(b"ab");
        input.add(room);
        input.start = room - 2;
        assert!(!input.room().is_empty());
        assert_eq!(input.filled(), b"ab");
    }

    #[test]
    fn a_reset_leaves_nothing_of_a_connection() {
        let soils: [fn(&mut Work); 7] = [
            |work| work.head_bytes = 1,
            |work| work.exchange.note_written(100_000),
            |work| work.input.add(1),
            |work| work.exchange.output.get_mut().bytes.push(b'x'),
            |work| work.exchange.output.get_mut().added.push(b'x'),
            |work| work.exchange.body.get_mut().room()[0] = b'x',
            |work| {
                let stall = waterwheel_runtime::time::sleep_until(Instant::FAR_FUTURE);
                work.exchange.write_stall.set(Some(Box::new(stall)));
            },
        ];
        let mut work = Work::default();
        work.input.room();
        assert!(work.is_clean());
        for (index, soil) in soils.iter().enumerate() {
            soil(&mut work);
            assert!(!work.is_clean(), "{index}");
            work.reset();
            assert!(work.is_clean(), "{index}");
        }
    }

    #[test]
    fn a_full_buffer_grows() {
        let mut input = Input::default();
        let room = input.room().len();
        input.add(room);
        assert_eq!(input.room().len(), room);
        assert_eq!(input.filled().len(), room);
    }
}
