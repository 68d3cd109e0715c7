//! The state of a request's body: how much has been read, and the bytes that were read ahead.
//!
//! # How it works
//!
//! The first bytes of a body may arrive behind its head, in the connection's input. They stay there. Later bytes
//! are read into a buffer of the body's own, the spill, because the head before them must not move. A large body
//! of a known length can also be read directly into the reader's buffer, once both are used up.
//!
//! # Invariants
//!
//! - Always: bytes are used in the order in which they arrived: those behind the head, the spill, direct reads.
//! - Always: `used <= filled <= spill.len()`.
//! - Never: a byte after the body's end is used.

use std::mem;
use std::ops::Range;

use http::HeaderMap;
use waterwheel_runtime::time::Instant;

use crate::error::Refusal;
use crate::limits::Limits;
use crate::proto::chunked::{Decoded, Decoder};
use crate::proto::framing::Framing;

/// The state of a request's body.
#[derive(Default)]
pub(crate) struct BodyState {
    kind: BodyKind,
    /// The number of used bytes among those behind the head.
    cursor: usize,
    /// Bytes that were read after those. `spill[used..filled]` is not used yet.
    spill: Vec<u8>,
    used: usize,
    filled: usize,
    /// True if the client may be waiting for 100 before it sends the body.
    owes_continue: bool,
    /// The number of bytes of the body that were passed on.
    received: u64,
    /// The time at which the first wait for the body began.
    waiting_since: Option<Instant>,
}

#[derive(Default)]
enum BodyKind {
    /// There is no body, or it has been read to its end.
    #[default]
    Done,
    Sized {
        left: u64,
    },
    Chunked(Box<Decoder>),
    /// Read to its end. The decoder stays for its trailers.
    ChunkedDone(Box<Decoder>),
    /// The body is malformed or cut short, so no more of it can be read.
    Broken(Refusal),
}

/// The number of bytes that one read asks for, beyond those that came with the head.
const SPILL_BYTES: usize = 16 * 1024;

impl BodyState {
    pub(super) fn begin(&mut self, framing: Framing, awaits_continue: bool) {
        self.kind = match framing {
            Framing::None => BodyKind::Done,
            Framing::Sized(left) => BodyKind::Sized { left },
            Framing::Chunked => BodyKind::Chunked(Box::default()),
        };
        // The spill keeps its memory, so that the next body on this connection costs no allocation.
        (self.cursor, self.used, self.filled) = (0, 0, 0);
        self.received = 0;
        self.owes_continue = awaits_continue;
        self.waiting_since = None;
    }

    /// Ends the body of another connection, and frees its memory.
    pub(super) fn clear(&mut self) {
        self.begin(Framing::None, false);
        self.spill = Vec::new();
    }

    /// Ends the body. Returns the number of used bytes behind the head, and the bytes after the body's end
    /// that were read into the spill.
    pub(super) fn end(&mut self) -> (usize, Option<Vec<u8>>) {
        // A copy, because the spill keeps its memory for the next body. Usually there is no rest, and no allocation.
        let rest = self.spill[self.used..self.filled].to_vec();
        (self.used, self.filled) = (0, 0);
        (self.cursor, (!rest.is_empty()).then_some(rest))
    }

    /// Returns true if the state has no memory of its own.
    pub(super) fn is_clean(&self) -> bool {
        self.spill.capacity() == 0
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.kind, BodyKind::Done | BodyKind::ChunkedDone(_))
    }

    /// Returns how many bytes are left, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match &self.kind {
            BodyKind::Done | BodyKind::ChunkedDone(_) => Some(0),
            BodyKind::Sized { left } => Some(*left),
            BodyKind::Chunked(_) | BodyKind::Broken(_) => None,
        }
    }

    /// Returns true if the client sends the rest, and if the rest is short enough to be discarded.
    pub(crate) fn can_be_drained(&self, bytes_max: u64) -> bool {
        !self.owes_continue && self.left().is_none_or(|left| left <= bytes_max)
    }

    /// Returns true once if the client has to be told to send the body.
    pub(crate) fn take_owed_continue(&mut self) -> bool {
        mem::take(&mut self.owes_continue)
    }

    /// Returns the trailers if a chunked body has been read to its end.
    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        match &self.kind {
            BodyKind::ChunkedDone(decoder) => Some(decoder.trailers().to_header_map()),
            _ => None,
        }
    }

    /// Returns the trailers once, if there are any.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        let trailers = self.trailers().filter(|trailers| !trailers.is_empty())?;
        self.kind = BodyKind::Done;
        Some(trailers)
    }

    /// Passes up to `max` bytes of the body on to `sink`: first the bytes `behind` the head, then the spill.
    /// Returns their number, which is 0 at the body's end. Returns `None` if more bytes must be read first.
    ///
    /// # Errors
    ///
    /// If the body is malformed. Each later call returns the same error.
    pub(crate) fn take(
        &mut self,
        behind: &[u8],
        max: usize,
        limits: &Limits,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>, Refusal> {
        loop {
            if let BodyKind::Broken(refusal) = self.kind {
                return Err(refusal);
            }
            if self.is_done() {
                return Ok(Some(0));
            }
            let in_front = self.cursor < behind.len();
            // The two are never one slice: the bytes behind the head stay in the input, because the head must not move.
            let here = if in_front {
                &behind[self.cursor..]
            } else {
                &self.spill[self.used..self.filled]
            };
            if here.is_empty() {
                return Ok(None);
            }
            let here = &here[..here.len().min(max)];
            let (data, used) = self.kind.step(here, limits).inspect_err(|refusal| {
                self.kind = BodyKind::Broken(*refusal);
            })?;
            sink(&here[data.clone()]);
            let passed_on = data.len();
            *(if in_front {
                &mut self.cursor
            } else {
                &mut self.used
            }) += used;
            self.received += passed_on as u64;
            // A step over a chunk's frame has no data, and 0 would mean the end. So the loop goes on then.
            if passed_on > 0 {
                return Ok(Some(passed_on));
            }
        }
    }

    /// Returns room to read more of the body into.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        // Made at the first read, because most bodies arrive whole with their head.
        if self.spill.is_empty() {
            self.spill.resize(SPILL_BYTES, 0);
        }
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        }
        &mut self.spill[self.filled..]
    }

    /// Notes that so many bytes were read into the room.
    pub(crate) fn add(&mut self, count: usize) {
        self.filled += count;
    }

    /// Returns how many bytes can be read directly into the reader's buffer, without the spill.
    pub(crate) fn direct(&self, behind: &[u8]) -> Option<u64> {
        let is_used_up = self.cursor == behind.len() && self.used == self.filled;
        match self.kind {
            // Only a body of a known length: a chunked one needs the decoder between the socket and the reader.
            BodyKind::Sized { left } if is_used_up => Some(left),
            _ => None,
        }
    }

    /// Notes that so many bytes were read directly into the reader's buffer.
    pub(crate) fn add_direct(&mut self, count: usize) {
        if let BodyKind::Sized { left } = &mut self.kind {
            *left -= count as u64;
            self.received += count as u64;
            if *left == 0 {
                self.kind = BodyKind::Done;
            }
        }
    }

    /// Notes that the stream has ended, or was too slow, before the body's end.
    pub(crate) fn break_off(&mut self, refusal: Refusal) {
        self.kind = BodyKind::Broken(refusal);
    }

    /// Returns the time at which the first wait for this body began, which is `now` at the first call, and the
    /// number of bytes that have been passed on since the start of the body.
    pub(crate) fn progress(&mut self, now: Instant) -> (Instant, u64) {
        let since = *self.waiting_since.get_or_insert(now);
        (since, self.received)
    }
}

impl BodyKind {
    /// Reads the start of `here`, which is not empty. Returns the place of the data in it, and the number of bytes
    /// that were used, with those of a chunk's frame.
    fn step(&mut self, here: &[u8], limits: &Limits) -> Result<(Range<usize>, usize), Refusal> {
        match self {
            Self::Sized { left } => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(here.len());
                *left -= count as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok((0..count, count))
            }
            Self::Chunked(decoder) => {
                let step = match decoder.decode(here, limits)? {
                    Decoded::Data(data) => (data.clone(), data.end),
                    Decoded::Incomplete => (0..0, here.len()),
                    Decoded::End(used) => (0..0, used),
                };
                // The decoder moves to the next state with its trailers, which the handler may read after the body.
                if decoder.is_done() {
                    *self = Self::ChunkedDone(mem::take(decoder));
                }
                Ok(step)
            }
            Self::Done | Self::ChunkedDone(_) | Self::Broken(_) => Ok((0..0, 0)),
        }
    }
}
