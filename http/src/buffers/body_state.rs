//! How far the body of a request has been read, and what has been read ahead of it.

use std::mem;

use http::HeaderMap;
use waterwheel_runtime::time::Instant;

use crate::error::Refusal;
use crate::limits::Limits;
use crate::proto::chunked::{Decoded, Decoder};
use crate::proto::framing::Framing;

/// How far a request's body has been read.
#[derive(Default)]
pub(crate) struct BodyState {
    kind: BodyKind,
    /// Bytes used of those that came with the head.
    pub(super) cursor: usize,
    /// What was read after those; `spill[used..filled]` is to be used yet.
    pub(super) spill: Vec<u8>,
    used: usize,
    filled: usize,
    /// Whether 100 has to be sent before the client sends anything.
    pub(crate) owes_continue: bool,
    /// Bytes of the body handed out so far.
    pub(crate) received: u64,
    /// When the first wait for it began.
    pub(crate) waiting_since: Option<Instant>,
}

#[derive(Default)]
enum BodyKind {
    /// No body, or read to its end. The decoder stays for its trailers.
    #[default]
    Done,
    Sized {
        left: u64,
    },
    Chunked(Box<Decoder>),
    ChunkedDone(Box<Decoder>),
    /// Malformed or cut short: nothing more can be read.
    Broken(Refusal),
}

/// What [`BodyState::take`] found.
pub(crate) enum BodyPiece {
    /// That many bytes, at least one.
    Bytes(usize),
    /// More must be read first.
    Nothing,
    /// The body is over.
    End,
}

/// What is read at once of a body that did not come with its head.
const SPILL_BYTES: usize = 16 * 1024;

impl BodyState {
    pub(super) fn begin(&mut self, framing: Framing, awaits_continue: bool) {
        self.cursor = 0;
        (self.used, self.filled) = (0, 0);
        self.received = 0;
        self.kind = match framing {
            Framing::None => BodyKind::Done,
            Framing::Sized(left) => BodyKind::Sized { left },
            Framing::Chunked => BodyKind::Chunked(Box::default()),
        };
        self.owes_continue = awaits_continue;
        self.waiting_since = None;
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.kind, BodyKind::Done | BodyKind::ChunkedDone(_))
    }

    /// How many bytes are left, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match &self.kind {
            BodyKind::Done | BodyKind::ChunkedDone(_) => Some(0),
            BodyKind::Sized { left } => Some(*left),
            BodyKind::Chunked(_) | BodyKind::Broken(_) => None,
        }
    }

    /// Whether it will come, and no more of it than may be read past.
    pub(super) fn can_be_drained(&self, bytes_max: u64) -> bool {
        !self.owes_continue && self.left().is_none_or(|left| left <= bytes_max)
    }

    /// The trailers, once a chunked body is over.
    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        match &self.kind {
            BodyKind::ChunkedDone(decoder) => Some(decoder.trailers().to_header_map()),
            _ => None,
        }
    }

    /// The trailers, if there are any: once.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        let trailers = self.trailers().filter(|trailers| !trailers.is_empty())?;
        self.kind = BodyKind::Done;
        Some(trailers)
    }

    /// Gives up to `max` bytes of the body to `sink`, out of what is here: first the bytes that
    /// came `behind` the head, then those read later.
    ///
    /// # Errors
    ///
    /// When the body is malformed, then and ever after.
    pub(crate) fn take(
        &mut self,
        behind: &[u8],
        max: usize,
        limits: &Limits,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<BodyPiece, Refusal> {
        loop {
            if let BodyKind::Broken(refusal) = self.kind {
                return Err(refusal);
            }
            if self.is_done() {
                return Ok(BodyPiece::End);
            }
            let in_front = self.cursor < behind.len();
            let here = if in_front {
                &behind[self.cursor..]
            } else {
                &self.spill[self.used..self.filled]
            };
            if here.is_empty() {
                return Ok(BodyPiece::Nothing);
            }
            let here = &here[..here.len().min(max)];
            let step = self.kind.step(here, limits).inspect_err(|refusal| {
                self.kind = BodyKind::Broken(*refusal);
            })?;
            sink(&here[step.data.clone()]);
            let given = step.data.len();
            *(if in_front {
                &mut self.cursor
            } else {
                &mut self.used
            }) += step.used;
            self.received += given as u64;
            if given > 0 {
                return Ok(BodyPiece::Bytes(given));
            }
        }
    }

    /// Room to read more of the body into.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.spill.is_empty() {
            self.spill.resize(SPILL_BYTES, 0);
        }
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        }
        &mut self.spill[self.filled..]
    }

    pub(crate) fn add(&mut self, count: usize) {
        self.filled += count;
    }

    /// How many bytes could be read past this buffer, straight to whoever wants them.
    pub(crate) fn direct(&self, behind: &[u8]) -> Option<u64> {
        let nothing_here = self.cursor == behind.len() && self.used == self.filled;
        match self.kind {
            BodyKind::Sized { left } if nothing_here => Some(left),
            _ => None,
        }
    }

    /// So many bytes of a sized body went straight to whoever wanted them.
    pub(crate) fn add_direct(&mut self, count: usize) {
        if let BodyKind::Sized { left } = &mut self.kind {
            *left -= count as u64;
            self.received += count as u64;
            if *left == 0 {
                self.kind = BodyKind::Done;
            }
        }
    }

    /// The stream has ended, or was too slow, before the body did.
    pub(crate) fn break_off(&mut self, refusal: Refusal) {
        self.kind = BodyKind::Broken(refusal);
    }

    /// What has been read beyond the body's end, into the body's own buffer.
    pub(super) fn take_rest(&mut self) -> Option<Vec<u8>> {
        let rest = self.spill[self.used..self.filled].to_vec();
        (self.used, self.filled) = (0, 0);
        (!rest.is_empty()).then_some(rest)
    }
}

/// What a piece of the body was.
struct BodyStep {
    data: std::ops::Range<usize>,
    used: usize,
}

impl BodyKind {
    /// Reads the beginning of `here`, which is not empty.
    fn step(&mut self, here: &[u8], limits: &Limits) -> Result<BodyStep, Refusal> {
        match self {
            Self::Sized { left } => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(here.len());
                *left -= count as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(BodyStep {
                    data: 0..count,
                    used: count,
                })
            }
            Self::Chunked(decoder) => {
                let step = match decoder.decode(here, limits)? {
                    Decoded::Data(data) => BodyStep {
                        used: data.end,
                        data,
                    },
                    Decoded::Incomplete => BodyStep {
                        data: 0..0,
                        used: here.len(),
                    },
                    Decoded::End(used) => BodyStep { data: 0..0, used },
                };
                if decoder.is_done() {
                    *self = Self::ChunkedDone(mem::take(decoder));
                }
                Ok(step)
            }
            Self::Done | Self::ChunkedDone(_) | Self::Broken(_) => Ok(BodyStep {
                data: 0..0,
                used: 0,
            }),
        }
    }
}
