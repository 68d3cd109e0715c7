//! How a connection waits, and reads when there is something.
//!
//! # Invariants
//!
//! - Always: with nothing begun, a connection that waits holds no working set.
//! - Never: a wait for the client without a deadline.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::time::Instant;

use super::{Connection, Filled, Quiet, Stage};
use crate::buffers::Work;
use crate::error::{Refusal, Result};
use crate::proto::head::Head;
use crate::shared::stop;
use crate::transport::io::Io;

impl<T: Io> Connection<T> {
    /// Sends what is queued, and reads what there is.
    #[inline]
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Filled> {
        if ready!(self.poll_send(cx)).is_err() {
            return Poll::Ready(Filled::Over);
        }
        Poll::Ready(match self.poll_read_once(cx) {
            Poll::Ready(Ok(0)) => {
                self.end_without_waiting(cx);
                Filled::Over
            }
            Poll::Ready(Err(_)) => Filled::Over,
            Poll::Ready(Ok(_)) => Filled::More,
            Poll::Pending => Filled::Nothing,
        })
    }

    /// Sends what is queued: mostly all of it goes out at once. The transport is flushed also if
    /// nothing is queued, because the last flush may have had to wait.
    #[inline]
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (Some(io), Some(work)) = (&self.io, &mut self.work) else {
            return Poll::Ready(Ok(()));
        };
        let output = work.exchange.output.get_mut();
        if !output.is_empty() {
            let queued = output.queued();
            match io.poll_write_one(cx, queued) {
                Poll::Ready(Ok(count)) if count == queued.len() => {
                    output.add_written(count);
                    work.exchange.note_taken();
                    self.shared.counters.bytes_written.add(count);
                }
                written => return self.poll_send_rest(written, cx),
            }
        }
        match io.poll_flush(cx) {
            Poll::Ready(Ok(())) if !work.exchange.has_flush_waited() => Poll::Ready(Ok(())),
            flushed => self.poll_held_back(flushed, cx),
        }
    }

    #[cold]
    fn poll_send_rest(
        &self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let link = self.link();
        link.map_or(Poll::Ready(Ok(())), |link| {
            link.poll_flush_rest(written, cx)
        })
    }

    #[cold]
    fn poll_held_back(
        &self,
        flushed: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let link = self.link();
        link.map_or(Poll::Ready(Ok(())), |link| link.or_held_back(flushed, cx))
    }

    /// Reads what there is. What is known to be drained costs no call to find out.
    #[inline]
    fn poll_read_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
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
        self.shared.register.turned_away(self.key);
        // What is unread when a connection closes costs the client its answer.
        poll_fn(|cx| Poll::Ready(self.poll_read_once(cx).is_ready())).await;
        if let Some(work) = &mut self.work {
            work.head = Head::default(); // not that of somebody else, who may have asked by HEAD
        }
        self.refuse(refusal).await;
    }

    /// Takes a working set that is ready for use, unless it has one of its own.
    #[inline]
    pub(crate) fn borrow_work(&mut self, spare: &mut Option<Box<Work>>) {
        if self.work.is_none() {
            self.work = spare.take();
        }
    }

    /// Gives back what a wait of unknown length does not need: with nothing begun, the working set,
    /// ready for the use of another connection.
    #[inline]
    pub(crate) fn prepare_to_wait(&mut self) -> Option<Box<Work>> {
        match &mut self.work {
            Some(work) if !work.input.is_empty() => {
                work.input.shrink();
                self.stage = Stage::WithinHead;
                None
            }
            work => {
                self.stage = Stage::Between;
                let mut unused = work.take()?;
                unused.reset();
                Some(unused)
            }
        }
    }

    /// Waits, after a try to read: ready when there is nothing to wait for any more, though nothing
    /// has come. Whoever polls now is told when something comes, and when the time is over.
    #[inline]
    pub(crate) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Quiet> {
        let (shared, key) = self.place();
        let now = Instant::of_turn();
        let is_closing = shared.is_closing();
        if is_closing && shared.stage.get() == stop::Stage::Cutting {
            return Poll::Ready(Quiet::Over);
        }
        let wait = if self.stage == Stage::WithinHead {
            shared.register.wait_within_head(key, now, cx.waker())
        } else {
            let wait = shared.register.wait(key, now, cx.waker());
            if (wait.leaving || is_closing) && self.is_to_leave(wait.leaving) {
                return self.poll_leave(wait.leaving, cx);
            }
            wait
        };
        if now >= wait.due {
            return Poll::Ready(self.has_waited(cx));
        }
        shared.sweeper.look_at(wait.due);
        if !wait.is_reached {
            shared.register.reach(key, cx.waker());
        }
        Poll::Pending
    }

    /// While the server needs room or ends, a connection leaves once it has been answered.
    #[cold]
    fn is_to_leave(&self, is_asked: bool) -> bool {
        is_asked || self.shared.register.requests(self.key) > 0
    }

    #[cold]
    fn has_waited(&mut self, cx: &mut Context<'_>) -> Quiet {
        if self.stage == Stage::WithinHead {
            self.stage = Stage::Overdue;
            return Quiet::Overdue;
        }
        self.end_without_waiting(cx);
        self.shared.counters.idle_timeouts.one();
        Quiet::Over
    }

    /// Leaves, unless something has come in the meantime. That is served first: the reactor reports
    /// it before the next turn.
    fn poll_leave(&self, is_asked: bool, cx: &mut Context<'_>) -> Poll<Quiet> {
        if !self.io.as_ref().is_some_and(Io::has_input) {
            if is_asked && self.shared.stage.get() != stop::Stage::Open {
                self.shared.counters.dismissed.one();
            }
            self.end_without_waiting(cx);
            return Poll::Ready(Quiet::Over);
        }
        self.shared.register.reach(self.key, cx.waker());
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
