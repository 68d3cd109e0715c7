//! Writing the queue, and bodies from the handler's memory.
//!
//! # How it works
//!
//! ```text
//!  write, flush, end ──► the transport ──► all of it: the clock stops
//!                              │
//!                              └─ Pending ──► the clock runs ──► its time is over: the client has stalled
//! ```
//!
//! A client that has stalled receives no more bytes. Its connection ends in a reset.
//!
//! # Invariants
//!
//! - Always: bytes leave in the order in which they were queued, before a body from the handler's memory.
//! - Never: a write after the client has stalled.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::buffers::stall_clock::StallClock;
use crate::buffers::{AnswerState, Written};
use crate::error::{Result, of_peer};
use crate::exchange::handle::Exchange;
use crate::shared::ServerState;
use crate::shared::disconnect::OnHalfClose;
use crate::transport::io::Io;

/// The most bytes of the handler's memory that one call writes. The kernel may take megabytes at once, and other
/// tasks have no turn meanwhile (LOG 9).
const WRITE_BYTES_MAX: usize = 256 * 1024;

/// The most bytes that one read discards.
const DISCARDED_BYTES: usize = 16 * 1024;

/// Writing.
impl Exchange<'_> {
    /// Writes all queued bytes, and waits until the transport has passed them on.
    pub(crate) async fn flush(&self) -> Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // The transport is flushed also if the queue is empty: its last flush may have had to wait.
        ready!(self.poll_write_queue(cx, Io::poll_write_one))?;
        let flushed = self.io.poll_flush(cx);
        self.or_held_back(flushed, cx)
    }

    /// As [`poll_flush`](Self::poll_flush), after a first write that did not take the whole queue.
    pub(crate) fn poll_flush_behind(
        &self,
        first: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        ready!(self.poll_written(first, cx))?;
        self.poll_flush(cx)
    }

    /// Writes all queued bytes, and the end after them. Usually both leave in one segment.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // `poll_write_last` marks the bytes as followed by more, so that they and the end share a segment (LOG 32).
        ready!(self.poll_write_queue(cx, Io::poll_write_last))?;
        let ended = self.io.poll_end(cx);
        self.or_held_back(ended, cx)
    }

    #[inline]
    fn poll_write_queue(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&dyn Io, &mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<Result<()>> {
        self.or_stalled_before()?;
        while !self.buffers.output().is_empty() {
            ready!(budget::poll_spend(cx, 1)); // the transport may always have room
            let poll = write(self.io, cx, self.buffers.output().queued());
            ready!(self.poll_written(poll, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Notes the result of a write of queued bytes.
    #[inline]
    fn poll_written(
        &self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let count = ready!(self.or_stalled(written, cx))?;
        self.buffers.output().add_written(count);
        Poll::Ready(Ok(()))
    }

    /// Waits until there is room for more in the queue.
    pub(crate) async fn back_pressure(&self) -> Result<()> {
        if self.has_much_queued() {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes the queued bytes, and then `data` without a copy.
    pub(crate) async fn write_through(&self, data: &[u8]) -> Result<()> {
        let mut written = 0;
        poll_fn(|cx| self.poll_write_through(cx, data, &mut written)).await
    }

    fn poll_write_through(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        written: &mut usize,
    ) -> Poll<Result<()>> {
        self.or_stalled_before()?;
        while *written < data.len() {
            ready!(budget::poll_spend(cx, 1));
            let (poll, queued) = {
                let output = self.buffers.output();
                let queued = output.queued();
                let end = data.len().min(*written + WRITE_BYTES_MAX);
                // One call writes the head from the queue and the body from the handler's memory.
                let slices = [IoSlice::new(queued), IoSlice::new(&data[*written..end])];
                let slices = if queued.is_empty() {
                    &slices[1..]
                } else {
                    &slices[..]
                };
                (self.io.poll_write(cx, slices), queued.len())
            };
            let count = ready!(self.or_stalled(poll, cx))?;
            let of_output = count.min(queued);
            self.buffers.output().add_written(of_output);
            *written += count - of_output;
        }
        self.poll_flush(cx)
    }

    /// Sends up to `count` bytes of a file by the transport itself. Returns `None` if the transport cannot do so,
    /// and 0 at the end of the file.
    pub(crate) async fn send_file(
        &self,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Result<usize>> {
        if let Err(error) = self.or_stalled_before() {
            return Some(Err(error));
        }
        let count = count.min(WRITE_BYTES_MAX);
        poll_fn(|cx| {
            ready!(budget::poll_spend(cx, 1));
            match self.io.poll_send_file(cx, file, offset, count) {
                Some(Poll::Ready(Ok(0))) => Poll::Ready(Some(Ok(0))),
                Some(poll) => self.or_stalled(poll, cx).map(Some),
                None => Poll::Ready(None),
            }
        })
        .await
    }
}

/// Limits on the time of a write.
impl Exchange<'_> {
    /// Limits the time of a write that has to wait.
    #[inline]
    fn or_stalled(
        &self,
        poll: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        match poll {
            Poll::Ready(Ok(count)) if count > 0 => {
                self.buffers.note_written(count);
                self.shared.counters.bytes_written.add(count);
                Poll::Ready(Ok(count))
            }
            // A transport that takes no byte and does not wait would make this loop without end.
            Poll::Ready(Ok(_)) => Poll::Ready(Err(of_peer(io::ErrorKind::WriteZero.into()).into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(of_peer(error).into())),
            Poll::Pending => self
                .poll_stalled(self.buffers.write_clock(), cx)
                .map(|stalled| Err(stalled.into())),
        }
    }

    /// Limits the time of a flush or an end that has to wait. It may wait as long as a write.
    #[inline]
    pub(crate) fn or_held_back(
        &self,
        poll: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let clock = self.buffers.flush_clock();
        match poll {
            Poll::Ready(done) => {
                clock.stop();
                Poll::Ready(done.map_err(|error| of_peer(error).into()))
            }
            Poll::Pending => self
                .poll_stalled(clock, cx)
                .map(|stalled| Err(stalled.into())),
        }
    }

    #[cold]
    fn poll_stalled(&self, clock: &StallClock, cx: &mut Context<'_>) -> Poll<io::Error> {
        // Two waits may find the same stall: that of the handler's write, and the flush beside it. It counts once.
        if !self.is_stalled() {
            self.buffers.note_held(self.io.held_bytes());
            let limit = self.shared.limits.write_stall_duration_max;
            // The clock comes first, because discarding may spend the whole budget.
            if clock.poll(cx, || Instant::now() + limit).is_pending() {
                let is_answered = matches!(
                    self.buffers.answer(),
                    AnswerState::Streaming | AnswerState::Complete
                );
                // A client may read no byte before it has sent all of its own. After the last request, its bytes
                // have no use.
                if is_answered && !self.persists() && self.is_read() {
                    self.discard(cx);
                }
                return Poll::Pending;
            }
            self.buffers.note_stalled();
            self.shared.counters.write_timeouts.one();
            // Without a reset, the kernel would keep the unsent bytes, perhaps megabytes, for minutes.
            self.io.reset_on_drop();
        }
        Poll::Ready(stalled())
    }

    /// # Errors
    ///
    /// If the client has stalled. The connection ends in a reset, so no more is written.
    #[inline]
    fn or_stalled_before(&self) -> Result<()> {
        if self.is_stalled() {
            return Err(stalled().into());
        }
        Ok(())
    }

    /// Returns true if the client has taken no byte for too long. Then the connection is cut.
    #[inline]
    pub(crate) fn is_stalled(&self) -> bool {
        self.buffers.written() == Written::Stalled
    }
}

/// The client after its last request.
impl Exchange<'_> {
    /// Reads and discards all bytes that are there, as far as the task's budget goes.
    #[cold]
    pub(crate) fn discard(&self, cx: &mut Context<'_>) {
        while budget::poll_spend(cx, 1).is_ready()
            && matches!(poll_discard(self.io, self.shared, cx), Poll::Ready(Ok(1..)))
        {}
    }

    /// Waits until the client has left. A setting decides whether the end of its write half counts as that.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.shared.departure.half_close {
            OnHalfClose::KeepServing => self.io.poll_closed(cx),
            OnHalfClose::Disconnect => self.io.poll_read_closed(cx),
        }
    }
}

/// Reads once, and discards the bytes. Returns 0 at the end of the stream.
#[inline(never)] // keeps the scrap out of the loop's frame
pub(crate) fn poll_discard(
    io: &dyn Io,
    shared: &ServerState,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut scrap = [0; DISCARDED_BYTES];
    let read = ready!(io.poll_read(cx, &mut scrap));
    if let Ok(count) = read {
        shared.counters.bytes_read.add(count);
    }
    Poll::Ready(read)
}

/// Returns the error of a write to a client that has taken no byte for too long.
#[cold]
fn stalled() -> io::Error {
    of_peer(io::Error::new(
        io::ErrorKind::TimedOut,
        "the peer takes no more of its answer",
    ))
}
