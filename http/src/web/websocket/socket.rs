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
use std::io;
use std::num::NonZeroU8;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tungstenite::protocol::frame::coding::Control;
use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::error::of_peer;
use crate::shared::upgraded::UpgradedEntry;
use crate::transport::io::Io;
use crate::transport::stream::Stream;
use crate::web::websocket::deflate::DeflateCodec;
use crate::web::websocket::error::WebSocketError;
use crate::web::websocket::frame::CONTROL_BYTES_MAX;
use crate::web::websocket::message::{CloseCode, CloseReason, Message};
use crate::web::websocket::options::SocketSettings;
use crate::web::websocket::reading::Reading;
use crate::web::websocket::writing::Writing;

/// The bytes of one read. A message of 64 KiB needs one read, and a short read needs no second one. // LOG W3
pub(super) const INPUT_BYTES: usize = 72 * 1024;

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
pub(super) enum SocketEnd {
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
    pub(super) fn error_again(&self) -> Option<WebSocketError> {
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
pub(super) struct KeptMessages {
    messages: VecDeque<Message>,
    pub(super) bytes: usize,
}

impl KeptMessages {
    fn size(message: &Message) -> usize {
        // Many empty messages take memory, too.
        size_of::<Message>() + message.as_bytes().len()
    }

    pub(super) fn push(&mut self, message: Message) {
        self.bytes += Self::size(&message);
        self.messages.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= Self::size(&message);
        Some(message)
    }
}

/// The tasks that wait. The driver is among them only as a closer.
#[derive(Debug, Default)]
pub(super) struct OtherTasks {
    pub(super) reader: Option<Waker>,
    pub(super) sender: Option<Waker>,
    /// The task that waits for the client's close frame, and reads no messages.
    pub(super) closer: Option<Waker>,
}

/// The parts that an idle socket does not have. A socket takes this from the shared memory, and returns it.
#[derive(Debug, Default)]
pub(super) struct Working {
    pub(super) reading: Option<Box<Reading>>,
    pub(super) writing: Option<Box<Writing>>,
    pub(super) deflate: Option<Box<DeflateCodec>>,
    pub(super) others: OtherTasks,
    pub(super) kept: KeptMessages,
    pub(super) end: Option<SocketEnd>,
}

#[cold]
fn new_working() -> Box<Working> {
    Box::default()
}

impl Working {
    /// Returns how many bytes wait to be written. The first flag is true if bytes behind the last message have been read,
    /// and the second one if the driver flushes the bytes that wait.
    pub(super) fn waiting(&self) -> (usize, bool, bool) {
        let writing = self.writing.as_ref();
        let (bytes, is_flushed) = writing.map_or((0, false), |writing| {
            (writing.len(), writing.is_flushed_by_driver)
        });
        let has_rest = self
            .reading
            .as_ref()
            .is_some_and(|reading| reading.has_rest());
        (bytes, has_rest, is_flushed)
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
    pub(super) settings: Rc<SocketSettings>,
    working: Cell<Option<Box<Working>>>,
    /// The last sign of life while the socket is open, moved forward by the times in which the reader is away. After that,
    /// the begin of the phase.
    pub(super) since: Cell<Instant>,
    /// The milliseconds from `since` to the time at which the last reader left.
    pub(super) left_after: Cell<u32>,
    pub(super) phase: Cell<SocketPhase>,
    pub(super) reader: Cell<ReaderState>,
    /// True if a ping was sent after the last sign of life.
    pub(super) is_pinged: Cell<bool>,
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
    pub(super) fn with_working<R>(&self, call: impl FnOnce(&mut Working) -> R) -> R {
        let shared = &self.settings.shared.working;
        let own = self.working.take();
        let mut working = own.or_else(|| shared.take()).unwrap_or_else(new_working);
        let result = call(&mut working);
        self.put_back(working);
        result
    }

    /// Takes a part out of those that are there while the socket has work. The usual socket has none.
    pub(super) fn take_part<T>(&self, take: impl FnOnce(&mut Working) -> Option<T>) -> Option<T> {
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
    #[inline]
    pub(super) fn peek<R>(&self, look: impl FnOnce(&mut Working) -> Option<R>) -> Option<R> {
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
    pub(super) fn poll_io<R>(&self, poll: impl FnOnce(&dyn Io) -> Poll<R>) -> Poll<R> {
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
    pub(super) fn lose(&self, error: io::Error) -> WebSocketError {
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
    pub(super) fn take_error(&self) -> Option<WebSocketError> {
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

    pub(super) fn is_driver(&self, cx: &mut Context<'_>) -> bool {
        self.with_entry(|entry| entry.is_watched_by(cx.waker())) == Some(true)
    }

    /// Changes a waker. Returns true if there was one before.
    pub(super) fn store_waker(&self, store: impl FnOnce(&mut OtherTasks) -> Option<Waker>) -> bool {
        let old = self.with_working(|working| store(&mut working.others));
        // The drop of a foreign waker may run user code, so it comes last.
        old.is_some()
    }

    pub(super) fn wake_waiting(&self) {
        self.wake_others(|others| others.reader.take());
        self.wake_others(|others| others.sender.take());
        self.wake_others(|others| others.closer.take());
    }

    pub(super) fn wake_others(&self, which: impl FnOnce(&mut OtherTasks) -> Option<Waker>) {
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
