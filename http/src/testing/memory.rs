//! A connection in memory: two ends, and the bytes between them.
//!
//! # How it works
//!
//! ```text
//!   near.write ──► pieces ──► far.read
//!   near.read  ◄── pieces ◄── far.write
//! ```
//!
//! Each direction is a queue of pieces. A read returns at most one piece. So a test decides by its writes
//! where the reads of the other end fall, which is useful for tests of a parser.
//!
//! # Invariants
//!
//! - Always: a direction is bounded, and a writer waits for its reader.
//! - Never: a waker is woken while a direction is borrowed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use futures_io::{AsyncRead, AsyncWrite};
use waterwheel_runtime::budget;

use crate::transport::io::Io;

/// The capacity of one direction: about that of a socket's buffers.
const CAPACITY_BYTES: usize = 64 * 1024;

/// One end of a connection in memory.
///
/// It reads and writes as a socket does, with an end of stream and broken pipes. One read returns the bytes
/// of one write at most, and all of them if the buffer is large enough. Dropping an end hangs up.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::http::testing::MemoryStream;
/// use waterwheel::runtime::block_on;
///
/// block_on(async {
///     let (mut near, mut far) = MemoryStream::pair();
///     near.write_all(b"water").await?;
///     near.end();
///     let mut received = String::new();
///     far.read_to_string(&mut received).await?;
///     assert_eq!(received, "water");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub struct MemoryStream {
    incoming: Rc<RefCell<Direction>>,
    outgoing: Rc<RefCell<Direction>>,
}

/// The bytes on their way from one end to the other.
#[derive(Default)]
struct Direction {
    pieces: VecDeque<Vec<u8>>,
    /// How many bytes of the first piece have been read.
    read: usize,
    bytes: usize,
    /// The writer has closed its write half.
    ended: bool,
    /// One of the ends is gone.
    broken: bool,
    waiters: Vec<Waker>,
}

impl MemoryStream {
    /// Returns the two ends of a new connection.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let there: Rc<RefCell<Direction>> = Rc::default();
        let back: Rc<RefCell<Direction>> = Rc::default();
        let near = Self {
            incoming: back.clone(),
            outgoing: there.clone(),
        };
        let far = Self {
            incoming: there,
            outgoing: back,
        };
        (near, far)
    }

    fn write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // Memory is always ready, so without a budget two ends could keep the thread for ever.
        ready!(budget::poll_spend(cx, 1));
        let asked: usize = slices.iter().map(|slice| slice.len()).sum();
        let room = {
            let direction = &mut *self.outgoing.borrow_mut();
            if direction.ended || direction.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let room = CAPACITY_BYTES - direction.bytes;
            // An empty write needs no room, and must not wait for any.
            if room == 0 && asked > 0 {
                direction.wait(cx);
                return Poll::Pending;
            }
            room
        };
        let mut piece = Vec::with_capacity(asked.min(room));
        // All slices become one piece, as one call of `writev` does.
        for slice in slices {
            let count = slice.len().min(room - piece.len());
            piece.extend_from_slice(&slice[..count]);
        }
        let count = piece.len();
        change(&self.outgoing, |direction| direction.push(piece));
        Poll::Ready(Ok(count))
    }

    fn read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(budget::poll_spend(cx, 1));
        let is_readable = {
            let incoming = self.incoming.borrow();
            !incoming.pieces.is_empty() || incoming.ended || incoming.broken
        };
        if !is_readable {
            self.incoming.borrow_mut().wait(cx);
            return Poll::Pending;
        }
        let count = change(&self.incoming, |direction| direction.take(buffer));
        Poll::Ready(Ok(count))
    }

    /// Closes the write half. The peer receives the written bytes, then the end.
    pub fn end(&self) {
        change(&self.outgoing, |direction| direction.ended = true);
    }
}

impl Direction {
    fn push(&mut self, piece: Vec<u8>) {
        self.bytes += piece.len();
        // A piece without bytes would look like the end to the reader.
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let Some(piece) = self.pieces.front() else {
            return 0;
        };
        let here = &piece[self.read..];
        let count = here.len().min(buffer.len());
        buffer[..count].copy_from_slice(&here[..count]);
        self.read += count;
        self.bytes -= count;
        if self.read == piece.len() {
            self.pieces.pop_front();
            self.read = 0;
        }
        count
    }

    fn wait(&mut self, cx: &Context<'_>) {
        // A test may poll the same end many times, and one waker for each would grow without bound.
        if !self
            .waiters
            .iter()
            .any(|waiter| waiter.will_wake(cx.waker()))
        {
            self.waiters.push(cx.waker().clone());
        }
    }
}

/// Changes a direction, and wakes all tasks that wait for a change.
fn change<T>(direction: &RefCell<Direction>, by: impl FnOnce(&mut Direction) -> T) -> T {
    let (value, waiters) = {
        let direction = &mut *direction.borrow_mut();
        (by(direction), mem::take(&mut direction.waiters))
    };
    // After the borrow, because a woken task may use this direction.
    waiters.into_iter().for_each(Waker::wake);
    value
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        change(&self.outgoing, |direction| direction.broken = true);
        change(&self.incoming, |direction| direction.broken = true);
    }
}

impl Io for MemoryStream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.write(cx, slices)
    }

    #[inline]
    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_end(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }

    fn has_input(&self) -> bool {
        !self.incoming.borrow().pieces.is_empty()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outgoing.borrow().broken {
            return Poll::Ready(());
        }
        self.outgoing.borrow_mut().wait(cx);
        Poll::Pending
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        {
            let direction = &mut *self.incoming.borrow_mut();
            if direction.ended || direction.broken {
                return Poll::Ready(());
            }
            direction.wait(cx);
        }
        self.poll_closed(cx)
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.read(cx, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for MemoryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStream")
            .field("to_be_read", &self.incoming.borrow().bytes)
            .field("under_way", &self.outgoing.borrow().bytes)
            .finish_non_exhaustive()
    }
}
