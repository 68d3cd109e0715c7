//! The end of a connection, in stages, so that the last answer arrives whole (RFC 9112, 9.6).
//!
//! # How it works
//!
//! The kernel answers with a reset if a socket is closed with unread bytes, or receives bytes after that. A
//! reset destroys the part of the answer that the client has not read yet. So if the client may have sent
//! more, the connection closes its write half first, and continues to read:
//!
//! ```text
//!  finish, refuse ──► send ───────► end ──────────► linger ────────────────► drop
//!                     the queue     the write       read and discard, until
//!                        │          half closes     the client ends too, or
//!                        │             │            the time is over
//!                        └─ reading meanwhile ─┘
//! ```
//!
//! - Sending and ending last as long as the client accepts bytes: the clock of a stalled write runs.
//!   Meanwhile the connection reads and discards, because a client may read no byte before it has sent
//!   all of its own.
//! - Lingering lasts as long as bytes arrive. It has two limits: one for a pause between two bytes, and one
//!   for the whole.
//! - A lingering connection is closed early if the server needs room for a new one. See
//!   [`Connections::reclaim`](crate::shared::connections::Connections::reclaim).
//!
//! A connection closes at once in one case: the client has announced that it sends no more, its request had
//! no body, and its answer fits into one flight of segments. Lingering would cost each short connection a
//! registration with epoll and a wake (LOG 32 measured how little such a connection costs).
//!
//! # Invariants
//!
//! - Always: a lingering connection has sent its last answer and its end.
//! - Never: bytes that are read here become a request.

use std::future::poll_fn;
use std::task::{Context, Poll};

use waterwheel_runtime::budget;
use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use super::Connection;
use crate::buffers::Written;
use crate::buffers::stall_clock::poll_due;
use crate::error::Result;
use crate::exchange::write::poll_discard;
use crate::shared::connections::GivesWay;
use crate::transport::io::Io;

impl<T: Io> Connection<T> {
    /// Sends the queue and the end, usually in one segment. Returns true if both are sent. Returns false if
    /// they must wait. Then the connection closes in stages.
    #[inline]
    pub(super) async fn closes_at_once(&self) -> bool {
        poll_fn(|cx| Poll::Ready(self.poll_end(cx).is_ready())).await
    }

    /// Sends the queue and the end, then reads and discards.
    pub(super) async fn close_in_stages(&mut self) {
        self.shared.connections.close(self.id);
        if poll_fn(|cx| self.poll_end(cx)).await.is_err() {
            return;
        }
        // Lingering needs no buffers, so the pool has them back.
        let Some(buffers) = self.buffers.take() else {
            return;
        };
        let gives_way = match buffers.written() {
            Written::Little if !buffers.has_body() => GivesWay::AtOnce,
            Written::Little => GivesWay::AfterMoment,
            Written::Much | Written::Stalled => GivesWay::AfterPause,
        };
        self.shared.return_buffers(buffers);
        self.shared.connections.linger(self.id, gives_way);
        let mut time = sleep_until(Instant::of_turn());
        poll_fn(|cx| self.poll_linger(cx, &mut time)).await;
    }

    /// Ends a connection without a request, but does not wait. A socket sends its end when it is dropped.
    /// Other transports, such as TLS, have an end of their own.
    #[cold]
    pub(super) fn end_without_waiting(&self, cx: &mut Context<'_>) {
        if let Some(io) = &self.io {
            // One try without a wait. A transport that cannot send its end now is dropped without it.
            let _ended = io.poll_end(cx); // after an error the client is gone
        }
    }

    /// Sends the queue and the end.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(exchange) = self.exchange() else {
            return Poll::Ready(Ok(()));
        };
        let ended = exchange.poll_end(cx);
        if ended.is_pending() {
            exchange.discard(cx);
        }
        ended
    }

    /// Reads and discards until the client has ended, the server needs the place, or the time is over.
    fn poll_linger(&self, cx: &mut Context<'_>, time: &mut Sleep) -> Poll<()> {
        let (shared, id) = self.place();
        let Some(io) = &self.io else {
            return Poll::Ready(());
        };
        let _flushed = io.poll_flush(cx); // the read below meets an error again
        // A transport that always has more must not hold the thread. The budget wakes the task.
        while budget::poll_spend(cx, 1).is_ready()
            && let Poll::Ready(read) = poll_discard(io, shared, cx)
        {
            if matches!(read, Ok(0) | Err(_)) {
                return Poll::Ready(());
            }
            shared.connections.linger_on(id);
        }
        // The table decides: the server may need the place, or may be ending, and then there is less time.
        let (stage, is_pressed) = (shared.stage.get(), shared.pressed.get());
        let Some(deadline) = shared.connections.lingers_until(id, stage, is_pressed) else {
            return Poll::Ready(()); // it gives way
        };
        if time.deadline() != deadline {
            time.reset(deadline);
        }
        shared.connections.reach(id, cx.waker());
        poll_due(time, cx)
    }
}
