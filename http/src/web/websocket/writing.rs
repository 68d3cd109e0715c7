//! The frames that a socket has accepted and the transport has not.

use std::io;
use std::task::{Context, Poll, ready};

use tungstenite::protocol::frame::coding::{Control, Data};
use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::transport::io::Io;
use crate::web::websocket::frame::{ServerHead, push_control};

/// The most bytes that wait when a pong is added to them. A client that sends pings and reads no pongs has the last one
/// answered later, which is allowed (RFC 6455, 5.5.3).
const BYTES_BEFORE_PONG_MAX: usize = 4096;

/// The first memory for frames. Answers to the messages of one read are usually many.
const FIRST_BYTES: usize = 1024;

/// The most bytes of memory that stay for the next frames of any socket.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Bytes on their way to the transport. A socket takes this from the shared memory while bytes wait, and returns it.
#[derive(Debug, Default)]
pub(super) struct Writing {
    bytes: Vec<u8>,
    /// The number of bytes that the transport has accepted.
    written: usize,
    /// The pong that follows when all bytes are written.
    last_pong: Option<Vec<u8>>,
    /// The time since which the transport has accepted no byte.
    pub(super) stalled_since: Option<Instant>,
    /// True if the driver has added a frame, so that it flushes at the end of its poll.
    pub(super) is_flushed_by_driver: bool,
    /// The bytes that the transport held back at the last poll.
    held: usize,
}

impl Writing {
    /// Returns the number of bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Adds a frame.
    pub(super) fn push(&mut self, head: &ServerHead, payload: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(FIRST_BYTES);
        }
        head.push_to(&mut self.bytes);
        self.bytes.extend_from_slice(payload);
    }

    /// Adds a whole message of less than 126 bytes.
    #[inline]
    pub(super) fn push_small(&mut self, data: Data, payload: &[u8]) {
        let head = ServerHead::small(data, payload.len());
        self.bytes.reserve(head.len() + payload.len());
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(payload);
    }

    /// Adds bytes of a frame whose first bytes the transport has accepted.
    pub(super) fn push_rest(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn push_control(&mut self, control: Control, payload: &[u8]) {
        push_control(&mut self.bytes, control, payload);
    }

    pub(super) fn push_pong(&mut self, payload: Vec<u8>) {
        if self.len() < BYTES_BEFORE_PONG_MAX {
            self.push_control(Control::Pong, &payload);
        } else {
            self.last_pong = Some(payload);
        }
    }

    /// Discards the last pong. After a close frame, no other frame follows (RFC 6455, 5.5.1).
    pub(super) fn push_close(&mut self, payload: &[u8]) {
        self.last_pong = None;
        self.push_control(Control::Close, payload);
    }

    /// Forgets all, so that another socket can use the memory. Returns false if that would be too much.
    pub(super) fn clear(&mut self) -> bool {
        self.bytes.clear();
        (self.written, self.held) = (0, 0);
        (self.last_pong, self.stalled_since) = (None, None);
        self.is_flushed_by_driver = false;
        self.bytes.capacity() <= KEPT_BYTES_MAX
    }

    /// Writes and flushes all bytes.
    pub(super) fn poll_flush(&mut self, io: &dyn Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.poll_flush_bytes(io, cx);
        if polled.is_pending() {
            let held = io.held_bytes();
            if held < self.held {
                self.stalled_since = None; // the client has accepted some
            }
            self.held = held;
            self.stalled_since.get_or_insert_with(Instant::of_turn);
        }
        polled
    }

    fn poll_flush_bytes(&mut self, io: &dyn Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.len() == 0 {
                let Some(pong) = self.last_pong.take() else {
                    return io.poll_flush(cx);
                };
                self.push_control(Control::Pong, &pong);
            }
            ready!(budget::poll_spend(cx, 1)); // the transport may always have room
            let count = ready!(io.poll_write_one(cx, &self.bytes[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.stalled_since = None;
        }
    }
}
