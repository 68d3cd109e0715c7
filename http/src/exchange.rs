//! The state of one request and its answer, and of the bytes on their way out.
//!
//! # How it works
//!
//! Request, body and answer all hold a shared reference to it; everything in it is a cell,
//! borrowed only within a poll. It names no socket: [`Link`](crate::link::Link) moves the bytes.
//!
//! ```text
//!  answer:  Awaited ──respond──────────────────────► Complete
//!              ├────start───► Streaming ──finish──────┘
//!              │                 └──dropped, failed──► (taken back: 500; or the connection is cut)
//!              ├────upgrade───► HandsOver ───────────► (the stream changes hands)
//!              └────abort─────► Aborted ─────────────► (the connection is cut)
//! ```
//!
//! # Invariants
//!
//! - Always: the output holds whole answers, or ends within one that is `Streaming`.
//! - Never: a borrow across a poll, a wake or a call of the handler.

use std::cell::{Cell, RefCell};
use std::mem;

use http::{HeaderMap, Method, StatusCode};
use waterwheel_runtime::time::{Instant, Sleep};

use crate::error::{InvalidAnswer, Refusal};
use crate::headers::AnswerHeaders;
use crate::limits::Limits;
use crate::proto::chunked::{Decoded, Decoder};
use crate::proto::encode::{self, Decided, OwnLines};
use crate::proto::framing::Framing;
use crate::proto::keep_alive::Persistence;
use crate::proto::rendered::{Asked, Rendered};
use crate::upgrade::Promise;

/// How far the answer to the present request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing has been queued.
    #[default]
    Awaited,
    /// The head is out; the body is not at its end.
    Streaming,
    /// All of it is queued.
    Complete,
    /// All of it is queued, and it promises the stream.
    HandsOver,
    /// There will be none.
    Aborted,
}

#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) answer: Cell<Answer>,
    /// What becomes of the connection after this answer.
    pub(crate) persistence: Cell<Persistence>,
    /// Whether the request has a body; if not, nothing is asked of its state.
    has_body: bool,
    pub(crate) body: RefCell<BodyState>,
    pub(crate) output: RefCell<Output>,
    /// To whom the stream is promised.
    pub(crate) promise: Cell<Option<Promise>>,
    /// Runs while the peer takes nothing.
    pub(crate) write_stall: Cell<Option<Box<Sleep>>>,
    /// Runs while the peer sends nothing.
    pub(crate) read_stall: Cell<Option<Box<Sleep>>>,
}

impl Exchange {
    /// A request's head is whole: what follows is its body.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        framing: Framing,
        awaits_continue: bool,
        persistence: Persistence,
    ) {
        self.answer.set(Answer::Awaited);
        self.persistence.set(persistence);
        self.output.get_mut().added.clear();
        let had_body = mem::replace(&mut self.has_body, framing != Framing::None);
        if had_body || self.has_body {
            self.body.get_mut().begin(framing, awaits_continue);
        }
    }

    /// Whether the request has no body, or all of it has been read.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        !self.has_body || self.body.borrow().is_done()
    }

    /// What becomes of the connection: a body that will not be read to its end, ends it.
    #[inline]
    pub(crate) fn persistence(&self, drain_bytes_max: u64) -> Persistence {
        if self.has_body && !self.body.borrow().can_be_drained(drain_bytes_max) {
            return Persistence::Close;
        }
        self.persistence.get()
    }

    /// Takes what was read of the body: how many of the bytes behind the head, and what came after
    /// the body's end into its own buffer.
    #[inline]
    pub(crate) fn take_read(&mut self) -> (usize, Option<Vec<u8>>) {
        if !self.has_body {
            return (0, None);
        }
        let body = self.body.get_mut();
        (body.cursor, body.take_rest())
    }

    /// Whether all is answered, nothing is left of the body, and the connection goes on.
    #[inline]
    pub(crate) fn is_through(&self) -> bool {
        self.answer.get() == Answer::Complete && self.persistence.get().persists() && self.is_read()
    }

    /// Whether [`reset`](Self::reset) would change nothing that [`begin`](Self::begin) does not.
    #[inline]
    pub(crate) fn is_clean(&mut self) -> bool {
        !self.has_body
            && self.body.get_mut().spill.capacity() == 0
            && self.output.get_mut().is_clean()
            && self.promise.get_mut().is_none()
            && self.write_stall.get_mut().is_none()
            && self.read_stall.get_mut().is_none()
    }

    pub(crate) fn reset(&mut self) {
        self.answer.set(Answer::Awaited);
        let body = self.body.get_mut();
        if mem::take(&mut self.has_body) {
            body.begin(Framing::None, false);
        }
        body.spill = Vec::new();
        self.output.get_mut().reset();
        self.promise.take();
        self.write_stall.take();
        self.read_stall.take();
    }
}

/// Bytes queued for the peer.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: usize,
    /// Where the newest head begins, as long as nothing of it has been written.
    unsent_head: Option<usize>,
    /// Field lines for the next head, whoever gives the answer.
    pub(crate) added: Vec<u8>,
    rendered: Rendered,
}

/// More than this many queued bytes are written before more are queued.
const HIGH_WATER: usize = 64 * 1024;

/// A write buffer larger than this is not kept.
const OUTPUT_KEPT_MAX: usize = 32 * 1024;

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub(crate) fn queued(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Whether more is queued than should be before some of it is written.
    pub(crate) fn has_much(&self) -> bool {
        self.queued().len() >= HIGH_WATER
    }

    /// So many of the queued bytes are out.
    pub(crate) fn add_written(&mut self, count: usize) {
        self.written += count;
        if self.is_empty() {
            self.bytes.clear();
            (self.written, self.unsent_head) = (0, None);
            return;
        }
        self.unsent_head = self
            .unsent_head
            .filter(|head| self.written <= *head && *head < self.bytes.len());
    }

    /// Queues the last answer's head again, and `body` behind it, if just the same is asked for and
    /// that is not too much; says whether it did.
    #[inline]
    pub(crate) fn repeat(
        &mut self,
        asked: Asked,
        headers: &impl AnswerHeaders,
        body: &[u8],
    ) -> bool {
        if !self.added.is_empty() {
            return false;
        }
        let Some(head) = self.rendered.get(asked, headers) else {
            return false;
        };
        let start = self.bytes.len();
        if start + head.len() + body.len() >= HIGH_WATER {
            return false;
        }
        self.unsent_head = Some(start);
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(body);
        true
    }

    /// Queues the head of an answer.
    ///
    /// # Errors
    ///
    /// If the handler's fields cannot be sent. Then nothing is queued.
    pub(crate) fn push_head(
        &mut self,
        status: StatusCode,
        decided: Decided,
        own: OwnLines<'_>,
        headers: &impl AnswerHeaders,
    ) -> Result<Decided, InvalidAnswer> {
        self.unsent_head = Some(self.bytes.len());
        let added = &self.added;
        let own = OwnLines { added, ..own };
        let rendered = &mut self.rendered;
        encode::push_head(&mut self.bytes, rendered, status, decided, own, headers)
    }

    /// Queues an interim head, before which nothing is taken back.
    ///
    /// # Errors
    ///
    /// As [`push_head`](Self::push_head).
    pub(crate) fn push_bare(
        &mut self,
        status: StatusCode,
        decided: Decided,
        own: OwnLines<'_>,
        headers: &impl AnswerHeaders,
    ) -> Result<Decided, InvalidAnswer> {
        let rendered = &mut self.rendered;
        encode::push_head(&mut self.bytes, rendered, status, decided, own, headers)
    }

    /// Queues a whole answer of the server's own.
    pub(crate) fn push_error(
        &mut self,
        status: StatusCode,
        text: &str,
        method: &Method,
        own: OwnLines<'_>,
    ) {
        let added = &self.added;
        let own = OwnLines { added, ..own };
        encode::push_error(&mut self.bytes, status, text, method, own);
    }

    /// Takes the newest answer back, if nothing of it is out yet; says whether it did.
    pub(crate) fn retract(&mut self) -> bool {
        match self.unsent_head.take() {
            Some(head) => {
                self.bytes.truncate(head);
                true
            }
            None => false,
        }
    }

    fn is_clean(&self) -> bool {
        self.bytes.is_empty()
            && self.unsent_head.is_none()
            && self.bytes.capacity() <= OUTPUT_KEPT_MAX
            && self.added.capacity() == 0
    }

    fn reset(&mut self) {
        self.bytes.clear();
        self.written = 0;
        self.unsent_head = None;
        self.bytes.shrink_to(OUTPUT_KEPT_MAX);
        self.added = Vec::new();
    }
}

/// How far a request's body has been read.
#[derive(Default)]
pub(crate) struct BodyState {
    kind: Kind,
    /// Bytes used of those that came with the head.
    cursor: usize,
    /// What was read after those; `spill[used..filled]` is to be used yet.
    spill: Vec<u8>,
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
enum Kind {
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
pub(crate) enum Taken {
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
    fn begin(&mut self, framing: Framing, awaits_continue: bool) {
        self.cursor = 0;
        (self.used, self.filled) = (0, 0);
        self.received = 0;
        self.kind = match framing {
            Framing::None => Kind::Done,
            Framing::Sized(left) => Kind::Sized { left },
            Framing::Chunked => Kind::Chunked(Box::default()),
        };
        self.owes_continue = awaits_continue;
        self.waiting_since = None;
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.kind, Kind::Done | Kind::ChunkedDone(_))
    }

    /// How many bytes are left, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match &self.kind {
            Kind::Done | Kind::ChunkedDone(_) => Some(0),
            Kind::Sized { left } => Some(*left),
            Kind::Chunked(_) | Kind::Broken(_) => None,
        }
    }

    /// Whether it will come, and no more of it than may be read past.
    fn can_be_drained(&self, bytes_max: u64) -> bool {
        !self.owes_continue && self.left().is_none_or(|left| left <= bytes_max)
    }

    /// The trailers, once a chunked body is over.
    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        match &self.kind {
            Kind::ChunkedDone(decoder) => Some(decoder.trailers().to_header_map()),
            _ => None,
        }
    }

    /// The trailers, if there are any: once.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        let trailers = self.trailers().filter(|trailers| !trailers.is_empty())?;
        self.kind = Kind::Done;
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
    ) -> Result<Taken, Refusal> {
        loop {
            if let Kind::Broken(refusal) = self.kind {
                return Err(refusal);
            }
            if self.is_done() {
                return Ok(Taken::End);
            }
            let in_front = self.cursor < behind.len();
            let here = if in_front {
                &behind[self.cursor..]
            } else {
                &self.spill[self.used..self.filled]
            };
            if here.is_empty() {
                return Ok(Taken::Nothing);
            }
            let here = &here[..here.len().min(max)];
            let step = self.kind.step(here, limits).inspect_err(|refusal| {
                self.kind = Kind::Broken(*refusal);
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
                return Ok(Taken::Bytes(given));
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
            Kind::Sized { left } if nothing_here => Some(left),
            _ => None,
        }
    }

    /// So many bytes of a sized body went straight to whoever wanted them.
    pub(crate) fn add_direct(&mut self, count: usize) {
        if let Kind::Sized { left } = &mut self.kind {
            *left -= count as u64;
            self.received += count as u64;
            if *left == 0 {
                self.kind = Kind::Done;
            }
        }
    }

    /// The stream has ended, or was too slow, before the body did.
    pub(crate) fn break_off(&mut self, refusal: Refusal) {
        self.kind = Kind::Broken(refusal);
    }

    /// What has been read beyond the body's end, into the body's own buffer.
    fn take_rest(&mut self) -> Option<Vec<u8>> {
        let rest = self.spill[self.used..self.filled].to_vec();
        (self.used, self.filled) = (0, 0);
        (!rest.is_empty()).then_some(rest)
    }
}

/// What a piece of the body was.
struct Step {
    data: std::ops::Range<usize>,
    used: usize,
}

impl Kind {
    /// Reads the beginning of `here`, which is not empty.
    fn step(&mut self, here: &[u8], limits: &Limits) -> Result<Step, Refusal> {
        match self {
            Self::Sized { left } => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(here.len());
                *left -= count as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Step {
                    data: 0..count,
                    used: count,
                })
            }
            Self::Chunked(decoder) => {
                let step = match decoder.decode(here, limits)? {
                    Decoded::Data(data) => Step {
                        used: data.end,
                        data,
                    },
                    Decoded::Incomplete => Step {
                        data: 0..0,
                        used: here.len(),
                    },
                    Decoded::End(used) => Step { data: 0..0, used },
                };
                if decoder.is_done() {
                    *self = Self::ChunkedDone(mem::take(decoder));
                }
                Ok(step)
            }
            Self::Done | Self::ChunkedDone(_) | Self::Broken(_) => Ok(Step {
                data: 0..0,
                used: 0,
            }),
        }
    }
}
