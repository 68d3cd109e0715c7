//! One WebSocket: its transport, its state, and the steps that its tasks take.
//!
//! # How it works
//!
//! ```text
//!            begin_close                       the client's close frame
//!  Open ────────────────────► CloseSent ──────────────────────────────► Finishing ──► Gone
//!   │                             │                                        ▲            ▲
//!   │  the client's close frame, or a violation                            │            │
//!   ├──────────────────────────────────────────────────────────────────────┘            │
//!   │                             │      the client is lost, silent, or cut             │
//!   └─────────────────────────────┴─────────────────────────────────────────────────────┘
//! ```
//!
//! In `Finishing`, both close frames are exchanged, or the server has sent one because of a violation. The task flushes
//! it, closes the write half, and reads until the client closes, too. In `Gone`, the transport is dropped.
//!
//! Up to three tasks use the socket: the [driver](crate::web::websocket::driver), a reader and a sender. The entry in the
//! server's table has the waker of the driver. Usually, all three are one task, and no other waker is stored.
//!
//! One of them reads. This is the reader while it waits. Otherwise it is the driver: in `CloseSent`, it keeps messages for
//! a reader that may come back, and without a reader, it discards them.
//!
//! A value that a step needs is taken out of its cell and put back, so no foreign waker can meet a borrow.
//!
//! # Invariants
//!
//! - Always: a frame is accepted as a whole. So a dropped `send` leaves no half of a frame.
//! - Always: a socket that waits for the first byte of a message has no buffer.
//! - Never: more than one message waits to be written, 16 KiB of small ones before it, and a few control frames.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::num::NonZeroU8;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::error::of_peer;
use crate::shared::upgraded::UpgradedEntry;
use crate::transport::io::Io;
use crate::transport::stream::Stream;
use crate::web::websocket::decoder::{Incoming, MessageDecoder, MessageLimits, message_of};
use crate::web::websocket::deflate::DeflateCodec;
use crate::web::websocket::error::{Violation, WebSocketError};
use crate::web::websocket::frame::{CONTROL_BYTES_MAX, ServerHead};
use crate::web::websocket::message::{CloseCode, CloseReason, Message};
use crate::web::websocket::options::SocketSettings;
use crate::web::websocket::reading::Reading;
use crate::web::websocket::writing::Writing;

/// The bytes of one read. A message of 64 KiB needs one read, and a short read needs no second one. // LOG W3
const INPUT_BYTES: usize = 72 * 1024;

/// A message below this size is not compressed, because it would hardly become smaller.
const COMPRESSED_BYTES_MIN: usize = 64;

/// A message up to this size is copied behind its head.
const COPIED_BYTES_MAX: usize = 4096;

/// The most bytes of messages that are kept for a reader, besides the last message.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The most bytes that a sink takes before it must be flushed, and that answers wait for one another.
const SINK_BYTES_MAX: usize = 16 * 1024;

/// The progress towards the end. See the diagram of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SocketPhase {
    Open,
    CloseSent,
    Finishing,
    Gone,
}

/// The end of a socket, as its reader learns of it.
#[derive(Debug)]
enum SocketEnd {
    /// A close frame of the client, with its reason.
    Closed(Option<CloseReason>),
    Failed {
        error: WebSocketError,
        /// True if the reader has it.
        is_returned: bool,
    },
}

impl SocketEnd {
    /// Returns the error for a task that is not the first to ask.
    fn error_again(&self) -> Option<WebSocketError> {
        Some(match self {
            Self::Closed(_) => return None,
            Self::Failed { error, .. } => match error {
                WebSocketError::Closed => WebSocketError::Closed,
                WebSocketError::TimedOut => WebSocketError::TimedOut,
                WebSocketError::Violation(violation) => WebSocketError::Violation(*violation),
                WebSocketError::Lost(error) => {
                    let again = io::Error::new(error.kind(), error.to_string());
                    WebSocketError::Lost(of_peer(again))
                }
            },
        })
    }
}

/// The end of the socket that reads messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReaderState {
    /// A task waits for a message.
    Waits,
    /// A task may ask for a message later.
    Away,
    /// No task can ask for a message.
    Dropped,
}

/// The messages that arrived in `CloseSent` while the reader was away.
#[derive(Debug, Default)]
struct KeptMessages {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl KeptMessages {
    fn size(message: &Message) -> usize {
        // Many empty messages take memory, too.
        size_of::<Message>() + message.as_bytes().len()
    }

    fn push(&mut self, message: Message) {
        self.bytes += Self::size(&message);
        self.messages.push_back(message);
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= Self::size(&message);
        Some(message)
    }
}

/// The tasks that wait. The driver is among them only as a closer.
#[derive(Debug, Default)]
struct OtherTasks {
    reader: Option<Waker>,
    sender: Option<Waker>,
    /// The task that waits for the client's close frame, and reads no messages.
    closer: Option<Waker>,
}

/// The parts that an idle socket does not have. A socket takes this from the shared memory, and returns it.
#[derive(Debug, Default)]
pub(super) struct Working {
    reading: Option<Box<Reading>>,
    writing: Option<Box<Writing>>,
    deflate: Option<Box<DeflateCodec>>,
    others: OtherTasks,
    kept: KeptMessages,
    end: Option<SocketEnd>,
}

#[cold]
fn new_working() -> Box<Working> {
    Box::default()
}

impl Working {
    /// Returns how many bytes wait to be written. The first flag is true if bytes behind the last message have been read,
    /// and the second one if the driver flushes the bytes that wait.
    fn waiting(&mut self) -> Option<(usize, bool, bool)> {
        let writing = self.writing.as_ref();
        let (bytes, is_flushed) = writing.map_or((0, false), |writing| {
            (writing.len(), writing.is_flushed_by_driver)
        });
        let has_rest = self
            .reading
            .as_ref()
            .is_some_and(|reading| reading.has_rest());
        Some((bytes, has_rest, is_flushed))
    }

    fn is_idle(&self) -> bool {
        self.reading.is_none()
            && self.writing.is_none()
            && self.deflate.is_none()
            && self.others.reader.is_none()
            && self.others.sender.is_none()
            && self.others.closer.is_none()
            && self.kept.messages.is_empty()
            && self.end.is_none()
    }
}

/// A transport. The usual one has no box of its own.
enum SocketTransport {
    Stream(Stream),
    Other(Box<dyn Io>),
}

impl SocketTransport {
    fn new(io: Box<dyn Io>) -> Self {
        let any: &dyn Any = &*io;
        if !any.is::<Stream>() {
            return Self::Other(io);
        }
        let any: Box<dyn Any> = io;
        match any.downcast() {
            Ok(stream) => Self::Stream(*stream),
            Err(_) => unreachable!("the type was compared"),
        }
    }

    fn io(&self) -> &dyn Io {
        match self {
            Self::Stream(stream) => stream,
            Self::Other(io) => &**io,
        }
    }
}

/// An idle socket has one of these, so each byte counts. // LOG W1
pub(super) struct Socket {
    transport: Cell<Option<SocketTransport>>,
    entry: Cell<Option<UpgradedEntry>>,
    settings: Rc<SocketSettings>,
    working: Cell<Option<Box<Working>>>,
    /// The last sign of life while the socket is open, moved forward by the times in which the reader is away. After that,
    /// the begin of the phase.
    since: Cell<Instant>,
    /// The milliseconds from `since` to the time at which the last reader left.
    left_after: Cell<u32>,
    phase: Cell<SocketPhase>,
    reader: Cell<ReaderState>,
    /// True if a ping was sent after the last sign of life.
    is_pinged: Cell<bool>,
    /// The number of the subprotocol in the options, from one.
    protocol: Option<NonZeroU8>,
}

const _: () = assert!(size_of::<Socket>() <= 72);

/// The parts of a new socket.
pub(super) struct SocketParts {
    pub(super) io: Box<dyn Io>,
    pub(super) entry: UpgradedEntry,
    /// The bytes that were read behind the handshake.
    pub(super) read: Vec<u8>,
    pub(super) deflate: Option<DeflateCodec>,
    pub(super) protocol: Option<usize>,
}

impl Socket {
    pub(super) fn new(parts: SocketParts, settings: Rc<SocketSettings>) -> Self {
        let protocol = parts
            .protocol
            .and_then(|index| u8::try_from(index + 1).ok());
        let socket = Self {
            transport: Cell::new(Some(SocketTransport::new(parts.io))),
            entry: Cell::new(Some(parts.entry)),
            settings,
            working: Cell::default(),
            since: Cell::new(Instant::of_turn()),
            left_after: Cell::new(0),
            phase: Cell::new(SocketPhase::Open),
            reader: Cell::new(ReaderState::Away),
            is_pinged: Cell::new(false),
            protocol: protocol.and_then(NonZeroU8::new),
        };
        socket.with_working(|working| {
            working.deflate = parts.deflate.map(Box::new);
            if !parts.read.is_empty() {
                working.reading.get_or_insert_default().keep(&parts.read);
            }
        });
        socket
    }

    pub(super) fn phase(&self) -> SocketPhase {
        self.phase.get()
    }

    pub(super) fn protocol(&self) -> Option<&str> {
        let number = self.protocol?;
        let protocol = self.settings.protocols.get(usize::from(number.get()) - 1);
        protocol.map(String::as_str)
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.with_working(|working| match &working.end {
            Some(SocketEnd::Closed(reason)) => reason.clone(),
            _ => None,
        })
    }

    /// Calls a function with the parts that are there while the socket has work. The function must not call a waker.
    fn with_working<R>(&self, call: impl FnOnce(&mut Working) -> R) -> R {
        let shared = &self.settings.shared.working;
        let own = self.working.take();
        let mut working = own.or_else(|| shared.take()).unwrap_or_else(new_working);
        let result = call(&mut working);
        self.put_back(working);
        result
    }

    /// Takes a part out of those that are there while the socket has work. The usual socket has none.
    fn take_part<T>(&self, take: impl FnOnce(&mut Working) -> Option<T>) -> Option<T> {
        let mut working = self.working.take()?;
        let part = take(&mut working);
        self.put_back(working);
        part
    }

    fn put_back(&self, working: Box<Working>) {
        let is_idle = working.is_idle();
        let place = if is_idle {
            &self.settings.shared.working
        } else {
            &self.working
        };
        place.set(Some(working));
    }

    /// Looks at the parts that are there while the socket has work. The usual socket has none.
    fn peek<R>(&self, look: impl FnOnce(&mut Working) -> Option<R>) -> Option<R> {
        let mut working = self.working.take()?;
        let result = look(&mut working);
        self.working.set(Some(working));
        result
    }

    /// Calls a function with the entry, unless the socket is gone.
    pub(super) fn with_entry<R>(&self, call: impl FnOnce(&UpgradedEntry) -> R) -> Option<R> {
        let entry = self.entry.take()?;
        let result = call(&entry);
        // A waker that was woken may have ended the socket meanwhile.
        if self.phase.get() != SocketPhase::Gone {
            self.entry.set(Some(entry));
        }
        Some(result)
    }

    /// Calls a function with the transport. Returns `Pending` if the socket is gone, or if a foreign waker calls this
    /// within such a call.
    fn poll_io<R>(&self, poll: impl FnOnce(&dyn Io) -> Poll<R>) -> Poll<R> {
        let Some(transport) = self.transport.take() else {
            return Poll::Pending;
        };
        let polled = poll(transport.io());
        if self.phase.get() != SocketPhase::Gone {
            self.transport.set(Some(transport));
        }
        polled
    }
}

/// Reading.
impl Socket {
    /// Waits for the next message. Returns `None` after the client's close frame.
    pub(super) fn poll_next(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, WebSocketError>>> {
        // Many messages may have arrived with one read.
        ready!(budget::poll_spend(cx, 1));
        if self.phase.get() == SocketPhase::Open
            && let Some(message) = self.next_of_many()
        {
            self.note_absence();
            return Poll::Ready(Some(Ok(message)));
        }
        if self.phase.get() != SocketPhase::Open
            && let Some(message) = self.with_working(|working| working.kept.pop())
        {
            self.with_entry(UpgradedEntry::wake); // there is room for another one
            return Poll::Ready(Some(Ok(message)));
        }
        if self.phase.get() >= SocketPhase::Finishing {
            return Poll::Ready(self.take_error().map(Err));
        }
        let before = self.phase.get();
        let polled = self.poll_message(cx);
        // The driver writes the close frame, reads on, and finishes. It is woken only by a change, because it may poll
        // the handler, which polls this.
        let phase = self.phase.get();
        let is_changed = phase != before || polled.is_ready() && phase != SocketPhase::Open;
        let is_other = (is_changed || polled.is_pending()) && !self.is_driver(cx);
        if is_other && is_changed {
            self.with_entry(UpgradedEntry::wake);
        }
        match polled {
            Poll::Pending => {
                self.forgive_absence();
                self.reader.set(ReaderState::Waits);
                if is_other {
                    let waker = cx.waker().clone();
                    self.store_waker(|others| others.reader.replace(waker));
                }
                Poll::Pending
            }
            Poll::Ready(read) => {
                // Also a reader that did not have to wait leaves now.
                self.note_absence();
                Poll::Ready(read.map(Ok).or_else(|| self.take_error().map(Err)))
            }
        }
    }

    /// Returns a message that has come with others.
    fn next_of_many(&self) -> Option<Message> {
        self.peek(|working| {
            let has_deflate = working.deflate.is_some();
            working
                .reading
                .as_mut()?
                .next_of_many(self.limits_with(has_deflate))
        })
    }

    /// Reads for the driver, if the reader does not. Returns `Pending` if more may follow.
    pub(super) fn poll_read_aside(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let keeps = match (self.reader.get(), self.phase.get()) {
                (_, SocketPhase::Finishing | SocketPhase::Gone)
                | (ReaderState::Waits, _)
                | (ReaderState::Away, SocketPhase::Open) => return Poll::Ready(()),
                (ReaderState::Away, SocketPhase::CloseSent) => true,
                (ReaderState::Dropped, _) => false,
            };
            // A reader that comes back wakes the driver.
            if keeps && self.with_working(|working| working.kept.bytes >= KEPT_BYTES_MAX) {
                return Poll::Pending;
            }
            ready!(budget::poll_spend(cx, 1));
            let Some(message) = ready!(self.poll_message(cx)) else {
                return Poll::Ready(());
            };
            if keeps {
                self.with_working(|working| working.kept.push(message));
            }
        }
    }

    /// Reads a message. Returns `None` when no more can follow: the phase is a later one then.
    fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let shared = &self.settings.shared;
        // The rest of the parts stays, because this one comes back, and most times as it was.
        let own = self.peek(|working| working.reading.take());
        let mut reading = own.or_else(|| shared.reading.take()).unwrap_or_default();
        let before = self.phase.get();
        let polled = self.poll_read(&mut reading, cx);
        if reading.is_idle() {
            shared.reading.set(Some(reading));
            self.take_part(|_| None::<()>);
        } else if self.phase.get() < SocketPhase::Finishing {
            self.with_working(|working| working.reading = Some(reading));
        }
        if self.phase.get() != before {
            self.wake_others(|others| others.closer.take());
        }
        match ready!(polled) {
            Ok(message) => Poll::Ready(message),
            Err(error) => {
                self.fail(error);
                Poll::Ready(None)
            }
        }
    }

    fn poll_read(
        &self,
        reading: &mut Reading,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, WebSocketError>> {
        if reading.has_rest() {
            let (rest, mut decoded) = reading.take_rest();
            let taken = self.take_in(&mut reading.decoder, &rest, &mut decoded, cx);
            reading.put_back(rest, decoded);
            let message = taken?;
            if message.is_some() || self.phase.get() >= SocketPhase::Finishing {
                return Poll::Ready(Ok(message));
            }
        }
        let mut input = self.settings.shared.input.take();
        input.resize(INPUT_BYTES, 0);
        let polled = self.poll_io(|io| self.poll_input(io, reading, &mut input, cx));
        self.settings.shared.input.set(input);
        polled
    }

    /// Reads from the transport until a message is complete.
    fn poll_input(
        &self,
        io: &dyn Io,
        reading: &mut Reading,
        input: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, WebSocketError>> {
        loop {
            ready!(budget::poll_spend(cx, 1));
            let count = match ready!(io.poll_read(cx, input)) {
                Ok(0) if self.phase.get() == SocketPhase::Open => {
                    let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Err(WebSocketError::Lost(of_peer(ended))));
                }
                // A client may leave so after the server's close frame.
                Ok(0) => {
                    self.enter(SocketPhase::Finishing);
                    return Poll::Ready(Ok(None));
                }
                Ok(count) => count,
                // As above, over TLS and without a `close_notify`.
                Err(error)
                    if error.kind() == io::ErrorKind::UnexpectedEof
                        && self.phase.get() == SocketPhase::CloseSent =>
                {
                    self.enter(SocketPhase::Finishing);
                    return Poll::Ready(Ok(None));
                }
                Err(error) => return Poll::Ready(Err(WebSocketError::Lost(of_peer(error)))),
            };
            if self.phase.get() == SocketPhase::Open {
                self.since.set(Instant::of_turn());
                self.is_pinged.set(false);
            }
            let mut decoded = 0;
            let taken = self.take_in(&mut reading.decoder, &input[..count], &mut decoded, cx);
            let message = taken?;
            if message.is_some() || self.phase.get() >= SocketPhase::Finishing {
                reading.keep(&input[decoded..count]);
                return Poll::Ready(Ok(message));
            }
        }
    }

    /// Decodes bytes from `done` on up to the end of a message, and answers control frames. A close frame of the client
    /// ends the bytes, too.
    fn take_in(
        &self,
        decoder: &mut MessageDecoder,
        bytes: &[u8],
        done: &mut usize,
        cx: &mut Context<'_>,
    ) -> Result<Option<Message>, WebSocketError> {
        let limits = self.limits();
        while *done < bytes.len() {
            let (used, incoming) = decoder.decode(&bytes[*done..], limits)?;
            *done += used;
            match incoming {
                None | Some(Incoming::Pong) => {}
                Some(Incoming::Message(message)) => return Ok(Some(message)),
                Some(Incoming::Compressed { is_text, bytes }) => {
                    let bytes = self.decompress(bytes)?;
                    return Ok(Some(message_of(is_text, bytes)?));
                }
                Some(Incoming::Ping(payload)) => {
                    if self.phase.get() == SocketPhase::Open {
                        self.write_later(|writing| writing.push_pong(payload));
                        if !self.is_driver(cx) {
                            self.with_entry(UpgradedEntry::wake); // it writes the pong
                        }
                    }
                }
                Some(Incoming::Close(reason)) => {
                    self.answer_close(reason);
                    break;
                }
            }
        }
        Ok(None)
    }

    #[inline(never)] // LOG W3
    fn decompress(&self, bytes: Vec<u8>) -> Result<Vec<u8>, Violation> {
        let shared = &self.settings.shared.deflate;
        self.with_working(|working| {
            let deflate = working.deflate.as_mut().ok_or(Violation::ReservedBit)?;
            deflate.decompress(bytes, self.settings.message_bytes_max, shared)
        })
    }

    fn limits(&self) -> MessageLimits {
        self.limits_with(self.has_deflate())
    }

    fn limits_with(&self, may_be_compressed: bool) -> MessageLimits {
        MessageLimits {
            message_bytes_max: self.settings.message_bytes_max,
            frame_bytes_max: self.settings.frame_bytes_max,
            may_be_compressed,
        }
    }

    fn has_deflate(&self) -> bool {
        // Most options have no compression.
        self.settings.compression.is_some()
            && self.with_working(|working| working.deflate.is_some())
    }

    /// Answers the client's close frame with its code, unless it is the answer to the server's (RFC 6455, 5.5.1).
    fn answer_close(&self, reason: Option<CloseReason>) {
        if self.phase.get() == SocketPhase::Open {
            let code = reason
                .as_ref()
                .map(|reason| reason.code.get().to_be_bytes());
            let payload = code.as_ref().map_or(&[][..], |code| code);
            self.write_later(|writing| writing.push_close(payload));
        }
        self.with_working(|working| working.end = Some(SocketEnd::Closed(reason)));
        self.enter(SocketPhase::Finishing);
    }

    /// Moves the last sign of life forward by the time in which the reader is away: a pong may have come unread.
    fn forgive_absence(&self) {
        if self.reader.get() == ReaderState::Away && self.phase.get() == SocketPhase::Open {
            let left_after = Duration::from_millis(self.left_after.get().into());
            let away = Instant::of_turn() - (self.since.get() + left_after);
            self.since.set(self.since.get() + away);
        }
    }

    /// Notes that no task waits for a message.
    #[inline]
    pub(super) fn leave(&self) {
        if self.reader.get() == ReaderState::Waits {
            self.note_absence();
        }
    }

    fn note_absence(&self) {
        self.reader.set(ReaderState::Away);
        let (now, since) = (Instant::of_turn(), self.since.get());
        // The usual reader leaves with a message that has just arrived.
        let after = if now == since {
            0
        } else {
            (now - since).as_millis()
        };
        self.left_after
            .set(u32::try_from(after).unwrap_or(u32::MAX));
        // Now the driver reads the client's answer. It knows that if it was the reader.
        if self.phase.get() == SocketPhase::CloseSent
            && self
                .take_part(|working| working.others.reader.take())
                .is_some()
        {
            self.with_entry(UpgradedEntry::wake);
        }
    }

    /// Notes that no task can ask for a message. The driver reads from now on, once it is woken.
    pub(super) fn drop_reader(&self) {
        self.leave();
        self.forgive_absence();
        self.reader.set(ReaderState::Dropped);
        let kept = self.with_working(|working| std::mem::take(&mut working.kept));
        drop(kept);
    }

    /// Takes a [`drop_reader`](Self::drop_reader) back, because the reading half lives on.
    pub(super) fn keep_reader(&self) {
        self.note_absence();
    }
}

/// Writing.
impl Socket {
    /// Sends a message. `is_accepted` must be false in the first poll. Once it is true, the message will be sent even if
    /// the socket is polled no more.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: Data,
        payload: &[u8],
        is_accepted: &mut bool,
    ) -> Poll<Result<(), WebSocketError>> {
        if !*is_accepted {
            // Answers to messages that came with one read leave with one write. // LOG W2
            let (waiting, has_unread, is_flushed) = self.peek(Working::waiting).unwrap_or_default();
            let joins = waiting + payload.len() <= SINK_BYTES_MAX;
            let may_wait = joins && has_unread && (is_flushed || self.is_driver(cx));
            if !may_wait {
                ready!(budget::poll_spend(cx, 1));
            }
            if !joins {
                ready!(self.poll_flush(cx))?;
            }
            if self.phase.get() != SocketPhase::Open {
                return Poll::Ready(Err(WebSocketError::Closed));
            }
            *is_accepted = true;
            if may_wait {
                self.push(data, payload, true);
                return Poll::Ready(Ok(())); // the driver flushes at the end of its poll
            }
            // A write of one slice costs the kernel less than one of two. // LOG W3
            let is_small = payload.len() <= COPIED_BYTES_MAX;
            if joins && (waiting > 0 || is_small) || self.compresses(payload) {
                self.push(data, payload, false);
            } else if let Err(error) = self.write(cx, data, payload) {
                return Poll::Ready(Err(self.lose(error)));
            }
        }
        ready!(self.poll_flush(cx))?;
        // Another task may have found the end meanwhile, and the bytes are gone.
        Poll::Ready(match self.phase.get() {
            SocketPhase::Gone => Err(self.error_of_sender()),
            _ => Ok(()),
        })
    }

    /// Returns the error of a socket that is gone. The reader receives the error itself.
    fn error_of_sender(&self) -> WebSocketError {
        let error = self.peek(|working| working.end.as_ref()?.error_again());
        let error = error.filter(|error| !matches!(error, WebSocketError::Violation(_)));
        error.unwrap_or(WebSocketError::Closed)
    }

    /// Writes a frame from the memory of its sender. Bytes that the transport does not accept at once are copied.
    fn write(&self, cx: &mut Context<'_>, data: Data, payload: &[u8]) -> io::Result<()> {
        let head = ServerHead::new(OpCode::Data(data), false, payload.len());
        let head = head.as_bytes();
        let slices = [IoSlice::new(head), IoSlice::new(payload)];
        let count = match self.poll_io(|io| io.poll_write(cx, &slices)) {
            Poll::Pending => 0,
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(count) => count?,
        };
        let (head, payload) = match count.checked_sub(head.len()) {
            Some(count) => (&[][..], &payload[count..]),
            None => (&head[count..], payload),
        };
        let is_written = head.is_empty() && payload.is_empty();
        if !is_written || self.poll_io(|io| io.poll_flush(cx)).is_pending() {
            self.write_later(|writing| {
                writing.push_rest(head);
                writing.push_rest(payload);
            });
        }
        Ok(())
    }

    /// Accepts a message, to be written by a later flush.
    pub(super) fn start_send(&self, message: &Message) -> Result<(), WebSocketError> {
        if self.phase.get() != SocketPhase::Open {
            return Err(WebSocketError::Closed);
        }
        self.push(message.data(), message.as_bytes(), false);
        Ok(())
    }

    fn push(&self, data: Data, payload: &[u8], is_flushed_by_driver: bool) {
        if self.compresses(payload) {
            return self.push_compressed(data, payload);
        }
        let head = ServerHead::new(OpCode::Data(data), false, payload.len());
        self.write_later(|writing| {
            writing.push(&head, payload);
            writing.is_flushed_by_driver |= is_flushed_by_driver;
        });
    }

    #[inline(never)] // LOG W3
    fn push_compressed(&self, data: Data, payload: &[u8]) {
        let shared = &self.settings.shared.deflate;
        let compressed = self.with_working(|working| {
            let deflate = working.deflate.as_mut()?;
            Some(deflate.compress(payload, shared))
        });
        let payload = compressed.as_deref().unwrap_or(payload);
        let head = ServerHead::new(OpCode::Data(data), compressed.is_some(), payload.len());
        self.write_later(|writing| writing.push(&head, payload));
    }

    /// Waits until a sink has room for a message.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        let is_full = self.with_working(|working| {
            (working.writing.as_ref()).is_some_and(|writing| writing.len() > SINK_BYTES_MAX)
        });
        if is_full {
            ready!(self.poll_flush(cx))?;
        }
        Poll::Ready(match self.phase.get() {
            SocketPhase::Open => Ok(()),
            _ => Err(WebSocketError::Closed),
        })
    }

    fn compresses(&self, payload: &[u8]) -> bool {
        payload.len() >= COMPRESSED_BYTES_MIN && self.has_deflate()
    }

    /// Adds bytes that a flush writes.
    fn write_later(&self, add: impl FnOnce(&mut Writing)) {
        let shared = &self.settings.shared.writing;
        self.with_working(|working| {
            let writing = &mut working.writing;
            add(writing.get_or_insert_with(|| shared.take().unwrap_or_default()));
        });
    }

    /// Writes and flushes all accepted frames.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        let Some(mut writing) = self.take_part(|working| working.writing.take()) else {
            return Poll::Ready(Ok(()));
        };
        let polled = self.poll_io(|io| writing.poll_flush(io, cx));
        let Poll::Ready(flushed) = polled else {
            self.with_working(|working| working.writing = Some(writing));
            if !self.is_driver(cx) {
                let waker = cx.waker().clone();
                if !self.store_waker(|others| others.sender.replace(waker)) {
                    // The driver watches the deadline.
                    self.with_entry(UpgradedEntry::wake);
                }
            }
            return Poll::Pending;
        };
        match flushed {
            Ok(()) => {
                if writing.clear() {
                    self.settings.shared.writing.set(Some(writing));
                }
                self.wake_others(|others| others.sender.take());
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.lose(error))),
        }
    }

    /// Notes that a sender waits no more. The driver goes on with its bytes.
    pub(super) fn leave_sender(&self) {
        if self.is_writing() {
            self.store_waker(|others| others.sender.take());
            self.with_entry(UpgradedEntry::wake);
        }
    }

    fn is_writing(&self) -> bool {
        self.peek(|working| working.writing.as_ref().map(drop))
            .is_some()
    }

    /// Returns how long the oldest byte may still wait, as a point in time.
    fn write_due(&self) -> Instant {
        let stalled = self.peek(|working| working.writing.as_ref()?.stalled_since);
        stalled.map_or(Instant::FAR_FUTURE, |since| {
            since + self.settings.write_stall_max
        })
    }
}

/// Closing.
impl Socket {
    /// Sends a close frame, if the socket is open. Cuts a text that is too long.
    pub(super) fn begin_close(&self, code: CloseCode, text: &str) {
        if self.phase.get() == SocketPhase::Open {
            self.push_close(code, text);
            self.enter(SocketPhase::CloseSent);
        }
    }

    /// As [`begin_close`](Self::begin_close), for a task that may not be the driver.
    pub(super) fn ask_to_close(&self, code: CloseCode, text: &str) {
        if self.phase.get() == SocketPhase::Open {
            self.begin_close(code, text);
            // The driver writes the frame, reads the answer, and watches the deadline.
            self.with_entry(UpgradedEntry::wake);
        }
    }

    fn push_close(&self, code: CloseCode, text: &str) {
        let room = CONTROL_BYTES_MAX - 2;
        let fits = (0..=text.len().min(room))
            .rev()
            .find(|len| text.is_char_boundary(*len));
        let text = &text[..fits.unwrap_or(0)];
        let payload = [&code.get().to_be_bytes()[..], text.as_bytes()].concat();
        self.write_later(|writing| writing.push_close(&payload));
    }

    /// Ends the socket because of an error.
    pub(super) fn fail(&self, error: WebSocketError) {
        let phase = self.phase.get();
        if phase >= SocketPhase::Finishing {
            return self.enter(SocketPhase::Gone);
        }
        let violation = match error {
            WebSocketError::Violation(violation) => Some(violation),
            _ => None,
        };
        let is_returned = false;
        self.with_working(|working| working.end = Some(SocketEnd::Failed { error, is_returned }));
        match violation {
            Some(violation) => {
                if phase == SocketPhase::Open {
                    self.push_close(violation.code(), violation.text());
                }
                self.enter(SocketPhase::Finishing);
            }
            None => self.enter(SocketPhase::Gone),
        }
        self.wake_waiting();
    }

    /// Ends the socket because of the transport, and returns the error of the sender.
    fn lose(&self, error: io::Error) -> WebSocketError {
        self.fail(WebSocketError::Lost(of_peer(error)));
        self.error_of_sender()
    }

    pub(super) fn enter(&self, phase: SocketPhase) {
        self.phase.set(phase);
        self.since.set(Instant::of_turn());
        self.is_pinged.set(false);
        if phase >= SocketPhase::Finishing {
            self.with_working(|working| working.reading = None);
        }
        if phase == SocketPhase::Gone {
            self.with_working(|working| (working.writing, working.deflate) = (None, None));
            // The destructor of a transport may be foreign code, and the phase is set by now.
            drop(self.transport.take());
            if let Some(entry) = self.entry.take() {
                entry.wake();
            }
        }
    }

    /// Returns the error of the socket to its reader, once.
    fn take_error(&self) -> Option<WebSocketError> {
        self.with_working(|working| {
            let end = working.end.as_mut()?;
            let again = end.error_again()?;
            match end {
                SocketEnd::Failed { error, is_returned } if !*is_returned => {
                    *is_returned = true;
                    Some(std::mem::replace(error, again))
                }
                _ => None,
            }
        })
    }

    /// Waits for the client's close frame, and leaves the messages before it to the reader.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        if self.phase.get() >= SocketPhase::Finishing {
            return Poll::Ready(self.result_of_close());
        }
        // Stored also for the driver's task, in which a reader may be polled after this.
        let waker = cx.waker().clone();
        self.store_waker(|others| others.closer.replace(waker));
        Poll::Pending
    }

    /// Returns the error that has ended the socket, also if the reader has it.
    pub(super) fn result_of_close(&self) -> Result<(), WebSocketError> {
        let error = self.peek(|working| working.end.as_ref()?.error_again());
        error.map_or(Ok(()), Err)
    }

    /// Flushes the last frames, closes the write half, and reads until the client closes, too.
    pub(super) fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<()> {
        let flushed = self.poll_flush(cx);
        let mut input = self.settings.shared.input.take();
        input.resize(INPUT_BYTES, 0);
        let polled = self.poll_io(|io| {
            let ended = match flushed {
                Poll::Ready(Ok(())) => io.poll_end(cx),
                _ => Poll::Pending,
            };
            // A client may read only after it has sent all of its own.
            loop {
                ready!(budget::poll_spend(cx, 1));
                match ready!(io.poll_read(cx, &mut input)) {
                    Ok(1..) => {}
                    Ok(0) => return ended.map(drop),
                    Err(_) => return Poll::Ready(()),
                }
            }
        });
        self.settings.shared.input.set(input);
        ready!(polled);
        self.enter(SocketPhase::Gone);
        Poll::Ready(())
    }
}

/// Time, and the other tasks.
impl Socket {
    /// Returns the time of the next act of [`keep_time`](Self::keep_time).
    pub(super) fn due(&self) -> Instant {
        let settings = &self.settings;
        let since = self.since.get();
        let silence = match self.phase.get() {
            SocketPhase::Open if self.is_pinged.get() => since + settings.silence_max,
            SocketPhase::Open => since + settings.ping_after.min(settings.silence_max),
            SocketPhase::CloseSent if self.is_ending() => Instant::FAR_FUTURE,
            SocketPhase::CloseSent | SocketPhase::Finishing => since + settings.close_duration_max,
            SocketPhase::Gone => Instant::FAR_FUTURE,
        };
        silence.min(self.write_due())
    }

    /// Says goodbye if the server ends, sends a ping, or gives the client up, if the time for that has come.
    pub(super) fn keep_time(&self) {
        let ending = self.with_entry(|entry| (entry.is_ending(), entry.is_cut()));
        let (is_ending, is_cut) = ending.unwrap_or_default();
        if is_cut {
            let cut = io::Error::new(io::ErrorKind::ConnectionAborted, "the server has shut down");
            return self.fail(WebSocketError::Lost(of_peer(cut)));
        }
        if is_ending {
            self.begin_close(CloseCode::GOING_AWAY, "the server shuts down");
        }
        self.forgive_absence();
        let now = Instant::of_turn();
        if now < self.due() {
            return;
        }
        let is_open = self.phase.get() == SocketPhase::Open;
        let is_overdue =
            self.is_pinged.get() || now >= self.since.get() + self.settings.silence_max;
        if is_open && now < self.write_due() && !is_overdue {
            self.is_pinged.set(true);
            self.write_later(|writing| writing.push_control(Control::Ping, &[]));
        } else {
            self.fail(WebSocketError::TimedOut);
        }
    }

    fn is_ending(&self) -> bool {
        self.with_entry(UpgradedEntry::is_ending) == Some(true)
    }

    fn is_driver(&self, cx: &mut Context<'_>) -> bool {
        self.with_entry(|entry| entry.is_watched_by(cx.waker())) == Some(true)
    }

    /// Changes a waker. Returns true if there was one before.
    fn store_waker(&self, store: impl FnOnce(&mut OtherTasks) -> Option<Waker>) -> bool {
        let old = self.with_working(|working| store(&mut working.others));
        // The drop of a foreign waker may run user code, so it comes last.
        old.is_some()
    }

    pub(super) fn wake_waiting(&self) {
        self.wake_others(|others| others.reader.take());
        self.wake_others(|others| others.sender.take());
        self.wake_others(|others| others.closer.take());
    }

    fn wake_others(&self, which: impl FnOnce(&mut OtherTasks) -> Option<Waker>) {
        let waker = self.take_part(|working| which(&mut working.others));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("phase", &self.phase.get())
            .finish_non_exhaustive()
    }
}
