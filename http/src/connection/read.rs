//! How a connection reads, and how it waits when there are no bytes.
//!
//! # Invariants
//!
//! - Always: a connection that waits without a part of a head holds no buffers.
//! - Never: a wait for the client without a deadline.

use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::time::Instant;

use super::Connection;
use crate::buffers::Work;
use crate::error::{Refusal, Result};
use crate::exchange::link::Link;
use crate::log;
use crate::proto::head::Head;
use crate::shared::stop::Stage;
use crate::transport::io::Io;

impl<T: Io> Connection<T> {
    /// Writes the queue and flushes the transport. The transport is flushed also if the queue is empty,
    /// because the last flush may have had to wait.
    ///
    /// This is [`Link::poll_flush`] for the usual case: one write takes the whole queue, through a transport
    /// whose type is known and cells that need no check (LOG R18).
    #[inline]
    pub(super) fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (Some(io), Some(work)) = (&self.io, &mut self.work) else {
            return Poll::Ready(Ok(()));
        };
        let output = work.exchange.output.get_mut();
        if !output.is_empty() {
            let queued = output.queued();
            let written = io.poll_write_one(cx, queued);
            if !matches!(written, Poll::Ready(Ok(count)) if count == queued.len()) {
                return self.with_link(|link| link.poll_flush_behind(written, cx));
            }
            self.shared.counters.bytes_written.add(queued.len());
            output.add_written(queued.len());
            work.exchange.note_taken();
        }
        match io.poll_flush(cx) {
            Poll::Ready(Ok(())) if !work.exchange.has_flush_waited() => Poll::Ready(Ok(())),
            flushed => self.with_link(|link| link.or_held_back(flushed, cx)),
        }
    }

    #[cold]
    fn with_link(&self, poll: impl FnOnce(Link<'_>) -> Poll<Result<()>>) -> Poll<Result<()>> {
        self.link().map_or(Poll::Ready(Ok(())), poll)
    }

    #[inline]
    pub(super) fn poll_read_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = &self.io else {
            return Poll::Ready(Ok(0));
        };
        let work = self.work.get_or_insert_with(|| self.shared.take_work());
        let read = ready!(io.poll_read(cx, work.input.room()));
        if let Ok(count) = read {
            work.input.add(count);
            self.shared.counters.bytes_read.add(count);
        }
        Poll::Ready(read)
    }

    /// Answers a client with a refusal before it has asked for anything, and closes.
    pub(crate) async fn turn_away(mut self, refusal: Refusal) {
        // Unread bytes turn the close into a reset, which costs the client its answer.
        poll_fn(|cx| Poll::Ready(self.poll_read_once(cx).is_ready())).await;
        if let Some(work) = &mut self.work {
            work.head = Head::default(); // the last one may be a HEAD request of another connection
        }
        let next = self.refuse(refusal);
        let _over = self.carry_out(next).await;
    }

    /// Takes `spare` buffers, unless the connection has buffers of its own.
    #[inline]
    pub(super) fn borrow_work(&mut self, spare: &mut Option<Box<Work>>) {
        if self.work.is_none() {
            self.work = spare.take();
        }
    }

    /// Returns the buffers, ready for another connection. A part of a head stays, in a buffer of its size.
    #[inline]
    pub(super) fn prepare_to_wait(&mut self) -> Option<Box<Work>> {
        if let Some(work) = &mut self.work
            && !work.input.is_empty()
        {
            work.input.shrink();
            return None;
        }
        let mut unused = self.work.take()?;
        unused.reset();
        Some(unused)
    }

    /// Waits after an attempt to read. The reactor wakes the task when bytes come, the reaper when the time is
    /// over. Continues if there is something to do although no byte has come, and breaks if the connection
    /// is over.
    #[inline]
    pub(super) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<()>> {
        let (shared, id) = self.place();
        let now = Instant::of_turn();
        let is_closing = shared.is_closing();
        if is_closing && shared.stage.get() == Stage::Cutting {
            return Poll::Ready(ControlFlow::Break(()));
        }
        // The buffers are left only with a part of a head in them.
        let is_within_head = self.work.is_some();
        let wait = if is_within_head {
            shared.connections.wait_within_head(id, now, cx.waker())
        } else {
            let wait = shared.connections.wait(id, now, cx.waker());
            if (wait.is_leaving || is_closing) && self.is_to_leave(wait.is_leaving) {
                return self.poll_leave(wait.is_leaving, cx);
            }
            wait
        };
        if now >= wait.due {
            return Poll::Ready(self.time_is_over(is_within_head, cx));
        }
        shared.reaper.look_at(wait.due);
        if !wait.is_reached {
            shared.connections.reach(id, cx.waker());
        }
        Poll::Pending
    }

    /// While the server needs room or ends, a connection leaves once it has been answered.
    #[cold]
    fn is_to_leave(&self, is_asked: bool) -> bool {
        is_asked || self.shared.connections.requests(self.id) > 0
    }

    #[cold]
    fn time_is_over(&self, is_within_head: bool, cx: &mut Context<'_>) -> ControlFlow<()> {
        if is_within_head {
            self.shared.connections.head_overdue(self.id);
            return ControlFlow::Continue(()); // the client is told so
        }
        self.end_without_waiting(cx);
        self.shared.counters.idle_timeouts.one();
        log::timed_out(self.peer_address(), "a request");
        ControlFlow::Break(())
    }

    /// Leaves, unless bytes have come in the meantime. They are served first: the reactor reports them
    /// before the next turn.
    fn poll_leave(&self, is_asked: bool, cx: &mut Context<'_>) -> Poll<ControlFlow<()>> {
        if !self.io.as_ref().is_some_and(Io::has_input) {
            if is_asked && self.shared.stage.get() != Stage::Open {
                self.shared.counters.dismissed.one();
            }
            self.end_without_waiting(cx);
            return Poll::Ready(ControlFlow::Break(()));
        }
        self.shared.connections.reach(self.id, cx.waker());
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
