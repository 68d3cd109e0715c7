//! The steps of a message towards the transport.
//!
//! # How it works
//!
//! ```text
//!  a message ──► small: behind the frames that wait ──► more bytes are read: the driver flushes
//!     │                                        └──────► otherwise: flushed at once
//!     └───────► large: written from its own memory
//! ```
//!
//! # Invariants
//!
//! - Always: the bytes of an accepted frame are in the transport, or a task flushes them.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use tungstenite::protocol::frame::coding::{Data, OpCode};
use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::shared::upgraded::UpgradedEntry;
use crate::web::websocket::as_message::Outgoing;
use crate::web::websocket::error::WebSocketError;
use crate::web::websocket::frame::{SMALL_BYTES_MAX, ServerHead};
use crate::web::websocket::message::Message;
use crate::web::websocket::socket::{Socket, SocketPhase};
use crate::web::websocket::writing::Writing;

/// A message below this size is not compressed, because it would hardly become smaller.
const COMPRESSED_BYTES_MIN: usize = 64;

/// A message up to this size is copied behind its head.
const COPIED_BYTES_MAX: usize = 4096;

/// The most bytes that a sink takes before it must be flushed, and that answers wait for one another.
const SINK_BYTES_MAX: usize = 16 * 1024;

impl Socket {
    /// Accepts a small message behind others that the driver flushes. Returns false if it must go another way. // LOG W5
    #[inline]
    pub(super) fn sends_with_others(&self, data: Data, payload: &[u8]) -> bool {
        let is_small = payload.len() < COMPRESSED_BYTES_MIN
            || payload.len() <= SMALL_BYTES_MAX && self.settings.compression.is_none();
        if self.phase.get() != SocketPhase::Open || !is_small {
            return false;
        }
        let is_sent = self.peek(|working| {
            let (writing, reading) = (working.writing.as_mut()?, working.reading.as_ref()?);
            let joins = writing.is_flushed_by_driver
                && reading.has_rest()
                && writing.len() + payload.len() <= SINK_BYTES_MAX;
            joins.then(|| writing.push_small(data, payload))
        });
        is_sent.is_some()
    }

    /// Sends a message. `is_accepted` must be false in the first poll. Once it is true, the message will be sent even if
    /// the socket is polled no more.
    #[inline(never)]
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: Data,
        payload: &[u8],
        is_accepted: &mut bool,
    ) -> Poll<Result<(), WebSocketError>> {
        if !*is_accepted {
            // Answers to messages that came with one read leave with one write. // LOG W2
            let (waiting, has_unread, is_flushed) = self
                .peek(|working| Some(working.waiting()))
                .unwrap_or_default();
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
    pub(super) fn error_of_sender(&self) -> WebSocketError {
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
    pub(super) fn start_send(&self, message: Message) -> Result<(), WebSocketError> {
        if self.phase.get() != SocketPhase::Open {
            return Err(WebSocketError::Closed);
        }
        self.push(message.data(), message.as_bytes(), false);
        self.settings.shared.spare.put(message.into_memory());
        Ok(())
    }

    fn push(&self, data: Data, payload: &[u8], is_flushed_by_driver: bool) {
        let mut compressed = None;
        if self.compresses(payload) {
            let shared = &self.settings.shared.deflate;
            compressed = self.with_working(|working| {
                let deflate = working.deflate.as_mut()?;
                Some(deflate.compress(payload, shared))
            });
        }
        let payload = compressed.as_deref().unwrap_or(payload);
        let head = ServerHead::new(OpCode::Data(data), compressed.is_some(), payload.len());
        self.write_later(|writing| {
            writing.push(&head, payload);
            writing.is_flushed_by_driver |= is_flushed_by_driver;
        });
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
    pub(super) fn write_later(&self, add: impl FnOnce(&mut Writing)) {
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
        let is_writing = self.peek(|working| working.writing.as_ref().map(drop));
        if is_writing.is_some() {
            self.store_waker(|others| others.sender.take());
            self.with_entry(UpgradedEntry::wake);
        }
    }

    /// Returns how long the oldest byte may still wait, as a point in time.
    pub(super) fn write_due(&self) -> Instant {
        let stalled = self.peek(|working| working.writing.as_ref()?.stalled_since);
        stalled.map_or(Instant::FAR_FUTURE, |since| {
            since + self.settings.write_stall_max
        })
    }
}
