//! How a connection waits, and reads when there is something.
//!
//! # Invariants
//!
//! - Always: with nothing begun, a connection that waits holds no working set.
//! - Never: a wait without a deadline.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::time::Instant;

use super::{Connection, Patience, Stage, Woken};
use crate::error::Refusal;
use crate::io::Io;
use crate::proto::head::Head;
use crate::stop;

impl<T: Io> Connection<T> {
    /// Sends what is queued, and reads what there is or waits until there is something. While it waits
    /// with nothing begun, the working set goes back.
    pub(super) async fn read_or_wait(&mut self, patience: Patience) -> Woken {
        let woken = poll_fn(|cx| {
            if ready!(self.poll_flush(cx)).is_err() {
                return Poll::Ready(Some(Woken::Over));
            }
            if let Poll::Ready(read) = self.poll_read_once(cx) {
                return Poll::Ready(Some(match read {
                    Ok(0) | Err(_) => Woken::Over,
                    Ok(_) => Woken::Readable,
                }));
            }
            self.prepare_to_wait();
            if patience == Patience::Nothing {
                return Poll::Ready(Some(Woken::Quiet));
            }
            self.poll_end_of_wait(cx, patience)
        });
        match woken.await {
            Some(woken) => woken,
            None if self.is_within_head() => {
                self.refuse_late().await;
                Woken::Over
            }
            None if patience == Patience::Burst && self.requests > 0 => Woken::Quiet,
            None => {
                self.has_idled();
                Woken::Over
            }
        }
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

    /// With nothing begun, a connection that waits holds no working set.
    fn give_back_unused(&mut self) {
        if let Some(work) = self.work.take_if(|work| work.input.is_empty()) {
            self.shared.give_back(work);
        }
    }

    /// Nothing has come for as long as a connection may wait.
    pub(crate) fn has_idled(&self) {
        self.shared.counters.idle_timeouts.one();
    }

    /// Tells a client for whom there is no room, or no server any more, and closes.
    pub(crate) async fn turn_away(mut self) {
        // What is unread when a connection closes costs the client its answer.
        poll_fn(|cx| Poll::Ready(self.poll_read_once(cx).is_ready())).await;
        if let Some(work) = &mut self.work {
            work.head = Head::default(); // not that of somebody else, who may have asked by HEAD
        }
        self.refuse(Refusal::Unavailable).await;
    }

    /// Whether a head has begun and is not whole.
    pub(crate) fn is_within_head(&self) -> bool {
        self.stage == Stage::WithinHead
    }

    /// A head has taken too long.
    pub(crate) async fn refuse_late(&mut self) {
        self.refuse(Refusal::HeadTooSlow).await;
    }

    /// Gives back what a wait of unknown length does not need.
    pub(crate) fn prepare_to_wait(&mut self) {
        self.give_back_unused();
        self.stage = match &mut self.work {
            Some(work) => {
                work.input.shrink();
                Stage::WithinHead
            }
            None => Stage::Between,
        };
    }

    /// What happened, without reading it; `None` when the time is over.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Woken>> {
        let Some(io) = &self.io else {
            return Poll::Ready(Some(Woken::Over));
        };
        match io.poll_readable(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Some(Woken::Readable)),
            Poll::Ready(Err(_)) => Poll::Ready(Some(Woken::Over)),
            Poll::Pending => self.poll_end_of_wait(cx, Patience::Idle),
        }
    }

    /// Whether there is nothing to wait for any more, though nothing has come.
    #[inline]
    fn poll_end_of_wait(
        &mut self,
        cx: &mut Context<'_>,
        patience: Patience,
    ) -> Poll<Option<Woken>> {
        let (shared, key) = self.place();
        if shared.stage.get() == stop::Stage::Cutting {
            return Poll::Ready(Some(Woken::Over));
        }
        let wait = if self.stage == Stage::WithinHead {
            shared.register.wait_within_head(key)
        } else {
            let wait = shared
                .register
                .wait_between(key, patience == Patience::Burst);
            if wait.leaving || (self.requests > 0 && shared.is_closing()) {
                return self.poll_leave(cx);
            }
            wait
        };
        if Instant::of_turn() >= wait.due {
            return Poll::Ready(None);
        }
        shared.sweeper.look_at(wait.due);
        if patience == Patience::Idle {
            // Whoever polls now is to be told, as often as it is somebody else or has been told.
            shared.register.reach(key, cx.waker());
        }
        Poll::Pending
    }

    /// Leaves, unless something has come in the meantime. That is served first: the reactor reports
    /// it before the next turn.
    fn poll_leave(&self, cx: &mut Context<'_>) -> Poll<Option<Woken>> {
        if !self.io.as_ref().is_some_and(Io::has_input) {
            return Poll::Ready(Some(Woken::Over));
        }
        self.shared.register.reach(self.key, cx.waker());
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
