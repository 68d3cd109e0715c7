//! The steps of a socket towards its next message.
//!
//! # How it works
//!
//! ```text
//!  transport ──► a read ──► the decoder ──► a message: returned at once
//!                                │
//!                                └── further bytes: kept as the rest, and decoded first by the next step
//! ```
//!
//! # Invariants
//!
//! - Always: a ping and a close frame are answered in the order of the frames.
//! - Never: a read while bytes of an earlier read are not decoded.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::error::of_peer;
use crate::shared::upgraded::UpgradedEntry;
use crate::transport::io::Io;
use crate::web::websocket::decoder::{Incoming, MessageDecoder, MessageLimits, message_of};
use crate::web::websocket::error::{Violation, WebSocketError};
use crate::web::websocket::message::{CloseReason, Message};
use crate::web::websocket::reading::Reading;
use crate::web::websocket::socket::{INPUT_BYTES, ReaderState, Socket, SocketEnd, SocketPhase};

/// The most bytes of messages that are kept for a reader, besides the last message.
const KEPT_BYTES_MAX: usize = 64 * 1024;

impl Socket {
    /// Waits for the next message. Returns `None` after the client's close frame.
    #[inline]
    pub(super) fn poll_next(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, WebSocketError>> {
        match self.next_of_many() {
            Some(message) => Poll::Ready(Ok(Some(message))),
            // Taken apart, so that the message above stays in registers. // LOG W5
            None => match self.poll_next_of_few(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(None)) => Poll::Ready(Ok(None)),
                Poll::Ready(Ok(Some(message))) => Poll::Ready(Ok(Some(message))),
            },
        }
    }

    /// Returns a small message that has come with others, to a reader that has not waited for it. Returns `None` for
    /// other messages, and when the next one costs a unit of the budget. // LOG W5
    #[inline]
    fn next_of_many(&self) -> Option<Message> {
        // A reader that is away stays so: it leaves with this message, too.
        if self.phase.get() != SocketPhase::Open || self.reader.get() != ReaderState::Away {
            return None;
        }
        let settings = &self.settings;
        let bytes_max = settings.message_bytes_max.min(settings.frame_bytes_max);
        self.peek(|working| {
            working
                .reading
                .as_mut()?
                .next_of_many(bytes_max, &settings.shared.spare)
        })
    }

    /// As [`poll_next`](Self::poll_next), for any message.
    #[inline(never)]
    fn poll_next_of_few(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, WebSocketError>> {
        ready!(budget::poll_spend(cx, 1));
        let paid = self.peek(|working| working.reading.as_deref_mut().map(Reading::pay));
        if paid.is_some()
            && let Some(message) = self.next_of_many()
        {
            return Poll::Ready(Ok(Some(message)));
        }
        if self.phase.get() != SocketPhase::Open
            && let Some(message) = self.with_working(|working| working.kept.pop())
        {
            self.with_entry(UpgradedEntry::wake); // there is room for another one
            return Poll::Ready(Ok(Some(message)));
        }
        if self.phase.get() >= SocketPhase::Finishing {
            return Poll::Ready(self.take_error().map_or(Ok(None), Err));
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
                Poll::Ready(match read {
                    Some(message) => Ok(Some(message)),
                    None => self.take_error().map_or(Ok(None), Err),
                })
            }
        }
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
            reading.shrink();
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
        let limits = self.limits(self.has_deflate());
        while *done < bytes.len() {
            let (used, incoming) =
                decoder.decode(&bytes[*done..], limits, &self.settings.shared.spare)?;
            *done += used;
            match incoming {
                None | Some(Incoming::Pong) => {}
                Some(Incoming::Message(message)) => return Ok(Some(message)),
                Some(Incoming::Compressed { is_text, bytes }) => {
                    let shared = &self.settings.shared.deflate;
                    let bytes = self.with_working(|working| {
                        let deflate = working.deflate.as_mut().ok_or(Violation::ReservedBit)?;
                        deflate.decompress(bytes, limits.message_bytes_max, shared)
                    })?;
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

    fn limits(&self, may_be_compressed: bool) -> MessageLimits {
        MessageLimits {
            message_bytes_max: self.settings.message_bytes_max,
            frame_bytes_max: self.settings.frame_bytes_max,
            may_be_compressed,
        }
    }

    pub(super) fn has_deflate(&self) -> bool {
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
    pub(super) fn forgive_absence(&self) {
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
