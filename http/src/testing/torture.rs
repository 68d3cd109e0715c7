//! A transport that uses every freedom of the contract of [`Io`].
//!
//! # How it works
//!
//! ```text
//!  core ──write──► held ──(flush, end, or full)──short writes──► the transport below
//!  core ◄──short reads───────────────────────────────────────── the transport below
//! ```
//!
//! A seed decides each delay and each length, so a failure can be repeated.
//!
//! # Invariants
//!
//! - Always: a call that is pending without a reason wakes its task, so a patient caller gets on.
//! - Never: a byte is passed on before a flush, the end, or a full buffer releases it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker, ready};

use crate::transport::io::Io;

/// The most bytes that are held back.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// A transport around another one that uses every delay and every short result that [`Io`] allows.
///
/// - Reads and writes move 1 byte to a few thousand at a time, seldom all that was asked for.
/// - Up to 16 KiB of the written bytes are held back until [`poll_flush`](Io::poll_flush) or
///   [`poll_end`](Io::poll_end) releases them. Bytes that are still held when this is dropped are lost.
/// - Reads, writes, flushes and ends are often pending for a while without a reason.
/// - Tasks are woken without a reason.
/// - Files are not sent by the transport ([`poll_send_file`](Io::poll_send_file) returns `None`).
///
/// The same seed makes the same decisions in the same order.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::{TestClient, Torture};
/// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// async fn large(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, vec![b'x'; 100_000], ()).await
/// }
///
/// block_on(async {
///     let server = Server::builder().without_listener();
///     for seed in 0..10 {
///         let mut client = TestClient::through(&server, large, |io| Torture::new(io, seed));
///         assert_eq!(client.get("/").await.body.len(), 100_000);
///     }
/// });
/// ```
pub struct Torture<T: Io> {
    io: T,
    random: Cell<u64>,
    held: RefCell<Vec<u8>>,
    /// How many more times a flush or an end is pending.
    delay: Cell<u32>,
    has_ended: Cell<bool>,
    /// The waker of a task that waits for the transport below. It may be woken without a reason.
    waiting: Cell<Option<Waker>>,
}

impl<T: Io> Torture<T> {
    /// Wraps a transport.
    pub fn new(io: T, seed: u64) -> Self {
        Self {
            io,
            // xorshift needs a state other than 0.
            random: Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            held: RefCell::default(),
            delay: Cell::new(0),
            has_ended: Cell::new(false),
            waiting: Cell::new(None),
        }
    }

    /// Returns a number below `bound` (xorshift).
    fn below(&self, bound: u64) -> u64 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        (random >> 11) % bound
    }

    /// Returns how many of `asked` bytes to move: at least one, unless `asked` is 0.
    fn some_of(&self, asked: usize) -> usize {
        let most = [1, 16, 1000, 16 * 1024][usize::try_from(self.below(4)).unwrap_or(0)];
        let count = usize::try_from(self.below(most)).unwrap_or(0) + 1;
        count.min(asked)
    }

    /// Is pending without a reason in one of four calls.
    fn poll_mood(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Only sometimes: two waits of one task would wake each other without end.
        if self.below(4) == 0
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
        if self.below(4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Stores the waker of a caller that has to wait.
    fn note<V>(&self, cx: &Context<'_>, poll: Poll<V>) -> Poll<V> {
        if poll.is_pending() {
            self.waiting.set(Some(cx.waker().clone()));
        }
        poll
    }

    /// Is pending a few times, then ready.
    fn poll_delay(&self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.delay.get();
        if left == 0 {
            return Poll::Ready(());
        }
        self.delay.set(left - 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Passes on held bytes, until at most `rest` are left.
    fn poll_release(&self, cx: &mut Context<'_>, rest: usize) -> Poll<io::Result<()>> {
        while self.held.borrow().len() > rest {
            let count = self.some_of(self.held.borrow().len());
            let piece = self.held.borrow()[..count].to_vec();
            let written = self.io.poll_write_one(cx, &piece);
            let count = ready!(self.note(cx, written))?;
            self.held.borrow_mut().drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Io> Io for Torture<T> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_mood(cx));
        let count = self.some_of(buffer.len());
        let read = self.io.poll_read(cx, &mut buffer[..count]);
        self.note(cx, read)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.has_ended.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_mood(cx));
        // Room for one byte at least, because a write may not return 0.
        ready!(self.poll_release(cx, HELD_BYTES_MAX - 1))?;
        let asked = slices.iter().map(|slice| slice.len()).sum();
        let mut held = self.held.borrow_mut();
        let count = self.some_of(asked).min(HELD_BYTES_MAX - held.len());
        let mut left = count;
        for slice in slices {
            let piece = &slice[..left.min(slice.len())];
            held.extend_from_slice(piece);
            left -= piece.len();
        }
        self.delay.set(u32::try_from(self.below(4)).unwrap_or(0));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.borrow().is_empty() {
            let flushed = self.io.poll_flush(cx);
            return self.note(cx, flushed);
        }
        ready!(self.poll_delay(cx));
        ready!(self.poll_release(cx, 0))?;
        let flushed = self.io.poll_flush(cx);
        self.note(cx, flushed)
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A new delay, because the last flush may have used up the one before.
        if !self.has_ended.replace(true) {
            self.delay.set(u32::try_from(self.below(6)).unwrap_or(0));
        }
        ready!(self.poll_delay(cx));
        ready!(self.poll_release(cx, 0))?;
        let ended = self.io.poll_end(cx);
        self.note(cx, ended)
    }

    fn held_bytes(&self) -> usize {
        self.held.borrow().len() + self.io.held_bytes()
    }

    fn reset_on_drop(&self) {
        self.io.reset_on_drop();
    }

    fn has_input(&self) -> bool {
        self.io.has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let closed = self.io.poll_closed(cx);
        self.note(cx, closed)
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let closed = self.io.poll_read_closed(cx);
        self.note(cx, closed)
    }
}

impl<T: Io> fmt::Debug for Torture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Torture")
            .field("held", &self.held.borrow().len())
            .field("has_ended", &self.has_ended.get())
            .finish_non_exhaustive()
    }
}
