//! Reading a request's body: from the buffers, and from the stream when they are used up.
//!
//! # Invariants
//!
//! - Always: the queue is written before a wait for the client, which may wait for an answer itself.
//! - Never: a wait for the client without a deadline. The deadline moves with each byte, but a client must also
//!   keep up a rate.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderMap;
use waterwheel_runtime::budget;
use waterwheel_runtime::time::Instant;

use crate::error::{Refusal, Result, of_peer};
use crate::exchange::handle::Exchange;

impl Exchange<'_> {
    /// Reads up to `buffer.len()` bytes of the body. Returns 0 at its end.
    pub(crate) fn poll_read_body(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize>> {
        loop {
            // Bytes that have arrived come first. The stream is read only if they are used up.
            let mut at = 0;
            let taken = self.take(buffer.len(), &mut |data| {
                buffer[at..at + data.len()].copy_from_slice(data);
                at += data.len();
            })?;
            if let Some(count) = taken {
                return Poll::Ready(Ok(count));
            }
            // A read into the reader's buffer saves the copy through the spill.
            let direct = self.buffers.body().direct(self.buffers.behind_head());
            if let Some(left) = direct {
                return self.poll_read_direct(cx, buffer, left);
            }
            ready!(self.poll_more(cx))?;
        }
    }

    /// Passes the next piece of the body to `sink`. Returns false at the end.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<bool>> {
        loop {
            match self.take(usize::MAX, sink)? {
                Some(count) => return Poll::Ready(Ok(count > 0)),
                None => ready!(self.poll_more(cx))?,
            }
        }
    }

    /// Takes bytes that have arrived. Returns `None` if more must be read first.
    fn take(&self, max: usize, sink: &mut dyn FnMut(&[u8])) -> Result<Option<usize>, Refusal> {
        let behind = self.buffers.behind_head();
        self.buffers.body().take(behind, max, self.limits(), sink)
    }

    /// Reads into the reader's own buffer. A body of a known length needs no copy in between.
    fn poll_read_direct(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        left: u64,
    ) -> Poll<Result<usize>> {
        ready!(self.poll_continue(cx))?;
        // A transport that always has more must not hold the thread.
        ready!(budget::poll_spend(cx, 1));
        let max = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let poll = self.io.poll_read(cx, &mut buffer[..max]);
        let count = ready!(self.or_too_slow(poll, cx))?;
        self.buffers.body().add_direct(count);
        Poll::Ready(Ok(count))
    }

    /// Reads more of the body into the buffers.
    fn poll_more(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_continue(cx))?;
        // A chunk's frame may arrive byte by byte, so each read costs budget even if it has no data.
        ready!(budget::poll_spend(cx, 1));
        let poll = self.io.poll_read(cx, self.buffers.body().room());
        let count = ready!(self.or_too_slow(poll, cx))?;
        self.buffers.body().add(count);
        Poll::Ready(Ok(()))
    }

    /// Sends 100 if the client may be waiting for it, and all other queued bytes.
    fn poll_continue(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Also without 100: a client may wait for an earlier answer before it sends its body.
        self.queue_continue();
        self.poll_flush(cx)
    }

    /// Limits the time of a read that has to wait. The end of the stream is an error, because the body has not
    /// ended.
    fn or_too_slow(
        &self,
        poll: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        let clock = self.buffers.read_clock();
        let refusal = match poll {
            Poll::Ready(Ok(0)) => Refusal::BodyCutShort,
            Poll::Ready(count) => {
                clock.stop();
                if let Ok(count) = count {
                    self.shared.counters.bytes_read.add(count);
                }
                return Poll::Ready(count.map_err(|error| of_peer(error).into()));
            }
            Poll::Pending => {
                ready!(clock.poll(cx, || self.body_deadline()));
                Refusal::BodyTooSlow
            }
        };
        // The refusal stays in the state of the body: no later read may take other bytes for its rest.
        self.buffers.body().break_off(refusal);
        Poll::Ready(Err(refusal.into()))
    }

    /// Returns the time at which the body counts as too slow: no byte for a while, or too few bytes since the
    /// first wait.
    fn body_deadline(&self) -> Instant {
        let now = Instant::now();
        let limits = self.limits();
        let stalled = now + limits.body_stall_duration_max;
        if limits.body_bytes_per_second_min == 0 {
            return stalled;
        }
        // Without a rate, one byte before each deadline would hold the connection for ever. Each byte earns time,
        // counted from the first wait: a slow handler does not shorten it.
        let (since, received) = self.buffers.body().progress(now);
        let earned_seconds = received / u64::from(limits.body_bytes_per_second_min);
        let earned = since + limits.body_stall_duration_max + Duration::from_secs(earned_seconds);
        stalled.min(earned)
    }

    /// Returns how many bytes of the body are left, if that is known.
    pub(crate) fn body_left(&self) -> Option<u64> {
        self.buffers.body().left()
    }

    /// Returns true if the request has no body, or if it has been read to its end.
    pub(crate) fn is_read(&self) -> bool {
        self.buffers.is_read()
    }

    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        self.buffers.body().trailers()
    }

    /// Returns the trailers once.
    pub(crate) fn take_trailers(&self) -> Option<HeaderMap> {
        self.buffers.body().take_trailers()
    }
}
