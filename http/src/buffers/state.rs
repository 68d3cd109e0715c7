//! The state of one request and its answer, and of the bytes on their way out.
//!
//! # How it works
//!
//! Request, body and answer all hold a shared reference to it; everything in it is a cell,
//! borrowed only within a poll. It names no socket: [`Link`](crate::exchange::link::Link) moves the bytes.
//!
//! ```text
//!  answer:  Awaited ──respond──────────────────────► Complete
//!              ├────start───► Streaming ──finish──────┘
//!              │                 └──dropped, failed──► (taken back: 500; or the connection is cut)
//!              ├────upgrade───► HandsOver ───────────► (the stream changes hands)
//!              └────abort─────► Aborted ─────────────► (the connection is cut)
//! ```
//!
//! - `exchange/output.rs`: the bytes on their way out
//! - `exchange/body_state.rs`: how far the body has been read
//!
//! # Invariants
//!
//! - Always: the output holds whole answers, or ends within one that is `Streaming`.
//! - Never: a borrow across a poll, a wake or a call of the handler.

use std::cell::{Cell, RefCell};
use std::mem;

use waterwheel_runtime::time::Sleep;

use crate::extensions::Extensions;
use crate::proto::framing::Framing;
use crate::proto::keep_alive::Persistence;
use crate::transport::upgrade::Promise;

pub(crate) use super::body_state::BodyPiece;
use super::body_state::BodyState;
use super::output::Output;

/// How far the answer to the present request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AnswerState {
    /// Nothing has been queued.
    #[default]
    Awaited,
    /// The head is queued, perhaps out; the body is not at its end.
    Streaming,
    /// All of it is queued.
    Complete,
    /// All of it is queued, and it promises the stream.
    HandsOver,
    /// There will be none.
    Aborted,
}

/// The amount that was written in one call, or the end of all writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Written {
    /// One flight at the most at a time.
    #[default]
    Little,
    Much,
    /// The peer has taken no byte for too long. Nothing more is written.
    Stalled,
}

#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) answer: Cell<AnswerState>,
    /// Whether the connection goes on after this answer.
    pub(crate) persistence: Cell<Persistence>,
    /// Whether the request has a body; if not, nothing is asked of its state.
    has_body: bool,
    pub(crate) body: RefCell<BodyState>,
    pub(crate) output: RefCell<Output>,
    /// The values that middleware has handed on.
    pub(crate) extensions: Extensions,
    /// The receiver of the stream, if the answer promises it.
    pub(crate) promise: Cell<Option<Promise>>,
    /// The largest amount since the connection was last idle.
    pub(crate) written: Cell<Written>,
    /// Runs while a write waits.
    pub(crate) write_stall: Cell<Option<Box<Sleep>>>,
    /// Runs while a flush or the end waits. It has a clock of its own, because the connection flushes
    /// beside a handler whose write waits. It is empty whenever a flush was ready or bytes were written, so
    /// only the end of a connection has to clear it.
    pub(crate) flush_stall: Cell<Option<Box<Sleep>>>,
    /// The bytes that the transport held back when a write or a flush last had to wait.
    pub(crate) held_bytes: Cell<usize>,
    /// Runs while the peer sends nothing.
    pub(crate) read_stall: Cell<Option<Box<Sleep>>>,
}

/// Bytes that TCP sends before it hears from the peer: ten segments (RFC 6928, 2). Such an answer has
/// left as a whole before a reset can overtake it.
const FLIGHT_BYTES: usize = 14 * 1024;

impl Exchange {
    /// A request's head is whole: what follows is its body.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        framing: Framing,
        awaits_continue: bool,
        persistence: Persistence,
    ) {
        self.answer.set(AnswerState::Awaited);
        self.persistence.set(persistence);
        let had_body = mem::replace(&mut self.has_body, framing != Framing::None);
        if had_body || self.has_body {
            self.body.get_mut().begin(framing, awaits_continue);
        }
    }

    pub(crate) fn has_body(&self) -> bool {
        self.has_body
    }

    /// Returns true if the last flush had to wait.
    #[inline]
    pub(crate) fn has_flush_waited(&mut self) -> bool {
        self.flush_stall.get_mut().is_some()
    }

    /// Notes that the transport has taken bytes, so the client has not stalled. A transport that holds
    /// bytes back takes more only when the client has taken some.
    #[inline]
    pub(crate) fn note_taken(&self) {
        self.write_stall.take();
        self.flush_stall.take();
    }

    /// Notes that so many bytes were written at once.
    #[inline]
    pub(crate) fn note_written(&self, count: usize) {
        if count > FLIGHT_BYTES {
            self.written.set(Written::Much);
        }
    }

    /// Returns true if the queued bytes and those written not long ago are one flight.
    pub(crate) fn is_one_flight(&mut self) -> bool {
        self.written.get() == Written::Little
            && self.output.get_mut().queued().len() <= FLIGHT_BYTES
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

    /// The request is over: takes what was read of its body, which is how many of the bytes behind the
    /// head, and what came after the body's end into its own buffer. What was added to its answer is
    /// in no other, nor in the refusal of what follows.
    #[inline]
    pub(crate) fn end(&mut self) -> (usize, Option<Vec<u8>>) {
        self.output.get_mut().added.clear();
        self.extensions.clear();
        if !self.has_body {
            return (0, None);
        }
        let body = self.body.get_mut();
        (body.cursor, body.take_rest())
    }

    /// Whether all is answered, nothing is left of the body, and the connection goes on.
    #[inline]
    pub(crate) fn is_through(&self) -> bool {
        self.answer.get() == AnswerState::Complete
            && self.persistence.get().persists()
            && self.is_read()
    }

    /// Whether [`reset`](Self::reset) would change nothing that [`begin`](Self::begin) does not.
    #[inline]
    pub(crate) fn is_clean(&mut self) -> bool {
        !self.has_body
            && self.written.get() == Written::Little
            && self.body.get_mut().spill.capacity() == 0
            && self.output.get_mut().is_clean()
            && self.extensions.is_clean()
            && self.promise.get_mut().is_none()
            && self.write_stall.get_mut().is_none()
            && self.read_stall.get_mut().is_none()
    }

    pub(crate) fn reset(&mut self) {
        self.answer.set(AnswerState::Awaited);
        let body = self.body.get_mut();
        if mem::take(&mut self.has_body) {
            body.begin(Framing::None, false);
        }
        body.spill = Vec::new();
        self.output.get_mut().reset();
        self.extensions.clear();
        self.promise.take();
        self.written.set(Written::Little);
        self.write_stall.take();
        self.flush_stall.take();
        self.read_stall.take();
    }
}
