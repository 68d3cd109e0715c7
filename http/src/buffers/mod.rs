//! A connection's buffers: the memory that it needs only while a request is under way.
//!
//! # How it works
//!
//! ```text
//!  bytes ──► input ──► head parser ──► head ──► handler ──► output ──► bytes
//!              └───────────── body ──────────────┘
//! ```
//!
//! All of this is one allocation of the server's pool. A connection takes it when bytes arrive, and returns it
//! when everything that has arrived is answered. So an idle connection has no buffers.
//!
//! Between two requests, the connection has the buffers to itself. While a request is under way, the request,
//! its body and its answer share them through an [`Exchange`](crate::exchange::handle::Exchange). So all that
//! a handler changes is in cells:
//!
//! ```text
//!  answer:  Awaited ──respond──────────────────────► Complete
//!              ├────start───► Streaming ──finish──────┘
//!              │                 └──dropped, failed──► (taken back: 500; or the connection is cut)
//!              ├────upgrade───► HandsOver ───────────► (the stream changes hands)
//!              └────abort─────► Aborted ─────────────► (the connection is cut)
//! ```
//!
//! # Resets
//!
//! | field | after each request | for each request | before another connection |
//! |---|---|---|---|
//! | function | [`end_request`](Buffers::end_request) | [`parse_head`](Buffers::parse_head), [`begin_request`](Buffers::begin_request) | [`reset`](Buffers::reset) |
//! | `input`, `start`, `end` | the request is removed | | emptied; a grown input is freed |
//! | `parser` | | is fresh after a whole head | made fresh |
//! | `head` | | overwritten, or found in its cache | stays, with its cache |
//! | `head_bytes` | 0 | set | 0 |
//! | `answer`, `persistence` | | set | |
//! | `has_body`, `body` | the end of the body is removed | set | emptied |
//! | `output` | the added lines are removed | | emptied; its cache stays |
//! | `extensions` | removed by the connection | | emptied |
//! | `promise` | taken by the hand-over | | emptied |
//! | `written`, the clocks | | | as in new buffers |
//!
//! `reset` first looks if any of this is to be done. After most requests it is not.
//!
//! # Invariants
//!
//! - Always: `start <= end <= input.len()`. The bytes of a head do not move while its request is under way.
//! - Always: the output holds whole answers, or ends within one that is `Streaming`.
//! - Never: a borrow across a poll, a wake or a call of the handler.

pub(crate) mod body_state;
pub(crate) mod output;
pub(crate) mod stall_clock;

use std::cell::{Cell, RefCell, RefMut};
use std::mem;

use waterwheel_runtime::time::Instant;

use crate::buffers::body_state::BodyState;
use crate::buffers::output::Output;
use crate::buffers::stall_clock::StallClock;
use crate::error::Refusal;
use crate::extensions::Extensions;
use crate::limits::Limits;
use crate::proto::framing::Framing;
use crate::proto::head::{Head, HeadParser, Parsed};
use crate::proto::keep_alive::Persistence;
use crate::transport::upgrade::Promise;

/// The usual size of the input. A larger head makes it grow.
const INPUT_BYTES: usize = 8 * 1024;

/// The number of bytes that TCP sends before it hears from the peer: ten segments (RFC 6928, 2). Such an answer
/// has left as a whole before a reset can overtake it.
const FLIGHT_BYTES: usize = 14 * 1024;

/// The state of the answer to the present request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AnswerState {
    /// No byte of it has been queued.
    #[default]
    Awaited,
    /// The head is queued, and may have left. The body is not at its end.
    Streaming,
    /// The whole answer is queued.
    Complete,
    /// The whole answer is queued, and it promises the stream.
    HandsOver,
    /// There will be no answer.
    Aborted,
}

/// The amount that was written in one call, or the end of all writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Written {
    /// At most one flight at a time.
    #[default]
    Little,
    Much,
    /// The peer has taken no byte for too long. No more bytes are written.
    Stalled,
}

#[derive(Default)]
pub(crate) struct Buffers {
    /// Bytes from the client. `input[start..end]` is not used yet.
    input: Vec<u8>,
    start: usize,
    end: usize,
    parser: HeadParser,
    head: Head,
    /// The length of the head at the front of the unused bytes. It is 0 until that head is whole.
    head_bytes: usize,
    /// The time at which the request at the front began, if durations are measured.
    begun: Option<Instant>,
    answer: Cell<AnswerState>,
    /// Decides whether the connection serves another request after this answer.
    persistence: Cell<Persistence>,
    /// True if the request has a body. If not, no code asks for the state of the body (LOG 42).
    has_body: bool,
    body: RefCell<BodyState>,
    output: RefCell<Output>,
    /// True if a complete answer stays in the queue while its handler waits.
    is_held: Cell<bool>,
    /// The values that middleware has handed on.
    extensions: Extensions,
    /// The receiver of the stream, if the answer promises it.
    promise: Cell<Option<Promise>>,
    /// The largest amount since the connection was last idle.
    written: Cell<Written>,
    /// Runs while a write waits.
    write_clock: StallClock,
    /// Runs while a flush or the end waits. It is a clock of its own, because the connection flushes beside a
    /// handler whose write waits.
    flush_clock: StallClock,
    /// The bytes that the transport held back when a write or a flush last had to wait.
    held_bytes: Cell<usize>,
    /// Runs while the peer sends no byte.
    read_clock: StallClock,
}

/// For the pool.
impl Buffers {
    /// Removes all traces of this connection, so that another one can use the buffers.
    #[inline]
    pub(crate) fn reset(&mut self) {
        // A flush of the next connection may wait before it has a request, and must not find this answer.
        self.answer.set(AnswerState::Awaited);
        // A look at each part costs less than to clear them all, and is enough after most requests (LOG 49).
        if !self.is_clean() {
            self.clear();
        }
    }

    /// Returns true if [`clear`](Self::clear) would change no part that the next request does not set.
    #[inline]
    fn is_clean(&mut self) -> bool {
        self.head_bytes == 0
            && self.parser.is_fresh()
            && !self.has_unread()
            && self.input.len() == INPUT_BYTES
            && !self.has_body
            && self.written.get() == Written::Little
            && self.body.get_mut().is_clean()
            && self.output.get_mut().is_clean()
            && self.extensions.is_clean()
            && self.promise.get_mut().is_none()
            && !self.write_clock.runs()
            && !self.flush_clock.runs()
            && !self.read_clock.runs()
    }

    #[inline(never)]
    fn clear(&mut self) {
        // Part by part: each request with a body comes here, and a move of the whole would cost it 450 instructions.
        // The head and the answer stay with their caches, because the next client's are often the same.
        self.parser = HeadParser::default();
        (self.head_bytes, self.start, self.end) = (0, 0, 0);
        if self.input.len() != INPUT_BYTES {
            self.input = Vec::new();
        }
        self.has_body = false;
        self.body.get_mut().clear();
        self.output.get_mut().clear();
        self.extensions.clear();
        self.promise.take();
        self.written.set(Written::Little);
        self.write_clock.stop();
        self.flush_clock.stop();
        self.read_clock.stop();
    }
}

/// For the connection, which has the buffers to itself between two requests. So it borrows no cell (LOG 41).
impl Buffers {
    /// Returns room to read into, at least one byte.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if !self.has_unread() {
            (self.start, self.end) = (0, 0);
        }
        // The growth is out of line, because the usual head fits the buffer many times (LOG 13).
        if self.end == self.input.len() {
            self.make_room();
        }
        &mut self.input[self.end..]
    }

    #[cold]
    fn make_room(&mut self) {
        // Growth would let a client that pipelines enlarge its buffer without end, so used bytes give way first.
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else {
            self.input
                .resize((self.input.len() * 2).max(INPUT_BYTES), 0);
        }
    }

    /// Notes that so many bytes were read into the room.
    #[inline]
    pub(crate) fn add_read(&mut self, count: usize) {
        self.end += count;
    }

    #[inline]
    pub(crate) fn has_unread(&self) -> bool {
        self.start != self.end
    }

    /// Frees the room that the unread bytes do not need, because the wait may be long.
    pub(crate) fn shrink(&mut self) {
        let unread = self.unread().to_vec();
        self.replace_input(unread);
    }

    fn replace_input(&mut self, bytes: Vec<u8>) {
        (self.start, self.end) = (0, bytes.len());
        self.input = bytes;
    }

    /// Reads on in the head at the front. Returns true if the head is whole.
    ///
    /// # Errors
    ///
    /// If the bytes are no head of a request that can be served.
    #[inline]
    pub(crate) fn parse_head(&mut self, limits: &Limits) -> Result<bool, Refusal> {
        let unread = &self.input[self.start..self.end];
        match self.parser.parse(unread, &mut self.head, limits)? {
            Parsed::Complete(head_bytes) => {
                self.head_bytes = head_bytes;
                Ok(true)
            }
            Parsed::Incomplete => Ok(false),
        }
    }

    /// Begins the request whose head is at the front. The connection ends after it if `is_last`.
    #[inline]
    pub(crate) fn begin_request(&mut self, is_last: bool) {
        let persistence = if is_last {
            Persistence::Close
        } else {
            self.head.persistence()
        };
        self.answer.set(AnswerState::Awaited);
        self.persistence.set(persistence);
        let framing = self.head.framing();
        let had_body = mem::replace(&mut self.has_body, framing != Framing::None);
        // The state of the last body stays for its trailers, so a request without a body ends it, too.
        if had_body || self.has_body {
            // A client that has sent a part of the body already does not wait for 100.
            let has_waited = self.end - self.start == self.head_bytes;
            let awaits_continue = has_waited && self.head.awaits_continue();
            self.body.get_mut().begin(framing, awaits_continue);
        }
    }

    /// Returns true if a request is at hand: its head is at the front, and it has not ended.
    pub(crate) fn has_request(&self) -> bool {
        self.head_bytes > 0
    }

    /// Notes the time at which the request began.
    pub(crate) fn set_begun(&mut self, now: Instant) {
        self.begun = Some(now);
    }

    pub(crate) fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// Forgets the last head. A refusal before the first head must not look at that of another connection.
    pub(crate) fn forget_head(&mut self) {
        // With its cache: a cached head would say whether the last client had sent HEAD.
        self.head = Head::default();
    }

    /// Returns true if the request is answered and read to its end, has no extensions, and the connection persists.
    #[inline]
    pub(crate) fn is_through(&mut self) -> bool {
        self.answer.get() == AnswerState::Complete
            && self.persistence.get().persists()
            && self.is_read()
            && self.extensions.is_clean()
    }

    /// Ends the request: removes its head and its body from the input.
    #[inline]
    pub(crate) fn end_request(&mut self) {
        self.start += mem::take(&mut self.head_bytes);
        // Fields that were added to this answer are in no other one, nor in a refusal of the next request.
        self.output.get_mut().clear_added();
        if self.has_body {
            let (used, rest) = self.body.get_mut().end();
            self.start += used;
            // Bytes of the next request may have been read with the end of the body. They become the input.
            if let Some(rest) = rest {
                // The body was read into its own buffer, so the input has been used up.
                self.replace_input(rest);
            }
        }
    }

    /// Returns true if the client has announced that it sends no more. If it still sends bytes, such as a line
    /// end after a body, these come too late to destroy its answer.
    pub(crate) fn ends_here(&mut self) -> bool {
        // The answer must fit one flight: then it has left before a reset for such bytes can overtake it.
        !self.head.persistence().persists()
            && !self.has_body
            && !self.has_unread()
            && self.written.get() == Written::Little
            && self.output.get_mut().queued().len() <= FLIGHT_BYTES
    }

    /// Returns the queued bytes.
    #[inline]
    pub(crate) fn queued(&mut self) -> &[u8] {
        self.output.get_mut().queued()
    }

    /// Notes that all queued bytes have been written.
    #[inline]
    pub(crate) fn add_written(&mut self, count: usize) {
        self.output.get_mut().add_written(count);
        self.note_taken();
    }

    /// Returns true if the last flush had to wait.
    #[inline]
    pub(crate) fn has_flush_waited(&mut self) -> bool {
        self.flush_clock.runs()
    }

    pub(crate) fn take_promise(&mut self) -> Option<Promise> {
        self.promise.take()
    }
}

/// For the connection and for the exchange.
impl Buffers {
    /// Returns the bytes that have arrived and are not used, from the first byte of the head.
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// Returns the bytes that have arrived after the head.
    #[inline]
    pub(crate) fn behind_head(&self) -> &[u8] {
        &self.input[self.start + self.head_bytes..self.end]
    }

    #[inline]
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    #[inline]
    pub(crate) fn answer(&self) -> AnswerState {
        self.answer.get()
    }

    #[inline]
    pub(crate) fn set_answer(&self, state: AnswerState) {
        self.answer.set(state);
    }

    /// Returns true if a complete answer stays in the queue while its handler waits.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.get()
    }

    #[cfg(feature = "sessions")]
    pub(crate) fn set_held(&self, is_held: bool) {
        self.is_held.set(is_held);
    }

    /// Makes the answer one that promises the stream.
    pub(crate) fn set_promise(&self, promise: Promise) {
        self.promise.set(Some(promise));
        self.answer.set(AnswerState::HandsOver);
    }

    #[inline]
    pub(crate) fn persistence(&self) -> Persistence {
        self.persistence.get()
    }

    #[inline]
    pub(crate) fn set_persistence(&self, persistence: Persistence) {
        self.persistence.set(persistence);
    }

    #[inline]
    pub(crate) fn has_body(&self) -> bool {
        self.has_body
    }

    /// Returns true if the request has no body, or if its body has been read to its end.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        !self.has_body || self.body.borrow().is_done()
    }

    #[inline]
    pub(crate) fn body(&self) -> RefMut<'_, BodyState> {
        self.body.borrow_mut()
    }

    #[inline]
    pub(crate) fn output(&self) -> RefMut<'_, Output> {
        self.output.borrow_mut()
    }

    #[inline]
    pub(crate) fn written(&self) -> Written {
        self.written.get()
    }

    /// Drops the values that middleware has handed on.
    pub(crate) fn clear_extensions(&mut self) {
        self.extensions.clear();
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Notes that so many bytes were written in one call.
    #[inline]
    pub(crate) fn note_written(&self, count: usize) {
        self.note_taken();
        if count > FLIGHT_BYTES {
            self.written.set(Written::Much);
        }
    }

    /// Notes that the peer has taken no byte for too long.
    pub(crate) fn note_stalled(&self) {
        self.written.set(Written::Stalled);
    }

    /// Notes the bytes that the transport holds back. If they have become fewer, the client has taken some.
    pub(crate) fn note_held(&self, held_bytes: usize) {
        if self.held_bytes.replace(held_bytes) > held_bytes {
            self.note_taken();
        }
    }

    /// The transport has taken bytes, so the client has not stalled. A transport that holds bytes back takes more
    /// only when the client has taken some.
    #[inline]
    fn note_taken(&self) {
        self.write_clock.stop();
        self.flush_clock.stop();
    }

    #[inline]
    pub(crate) fn write_clock(&self) -> &StallClock {
        &self.write_clock
    }

    #[inline]
    pub(crate) fn flush_clock(&self) -> &StallClock {
        &self.flush_clock
    }

    #[inline]
    pub(crate) fn read_clock(&self) -> &StallClock {
        &self.read_clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_bytes_survive_a_move_to_the_front() {
        let mut buffers = Buffers::default();
        let room = buffers.room().len();
        buffers.room()[room - 2..].copy_from_slice(b"ab");
        buffers.add_read(room);
        buffers.start = room - 2;
        assert!(!buffers.room().is_empty());
        assert_eq!(buffers.unread(), b"ab");
    }

    fn start(clock: &StallClock) {
        waterwheel_runtime::block_on(std::future::poll_fn(|cx| {
            assert!(clock.poll(cx, || Instant::FAR_FUTURE).is_pending());
            std::task::Poll::Ready(())
        }));
    }

    #[test]
    fn a_reset_leaves_no_trace_of_a_connection() {
        let soils: [fn(&mut Buffers); 10] = [
            |buffers| buffers.head_bytes = 1,
            |buffers| buffers.note_written(100_000),
            |buffers| buffers.add_read(1),
            |buffers| buffers.has_body = true,
            |buffers| buffers.output().queue(b"x"),
            |buffers| buffers.output().added().push(b'x'),
            |buffers| buffers.body().room()[0] = b'x',
            |buffers| start(&buffers.write_clock),
            |buffers| start(&buffers.flush_clock),
            |buffers| start(&buffers.read_clock),
        ];
        let mut buffers = Buffers::default();
        buffers.room();
        assert!(buffers.is_clean());
        for (index, soil) in soils.iter().enumerate() {
            soil(&mut buffers);
            assert!(!buffers.is_clean(), "{index}");
            buffers.reset();
            buffers.room();
            assert!(buffers.is_clean(), "{index}");
        }
    }

    #[test]
    fn a_full_input_grows() {
        let mut buffers = Buffers::default();
        let room = buffers.room().len();
        buffers.add_read(room);
        assert_eq!(buffers.room().len(), room);
        assert_eq!(buffers.unread().len(), room);
    }
}
