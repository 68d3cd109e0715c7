//! How a connection waits, and reads when there is something.
//!
//! # Invariants
//!
//! - Always: with nothing begun, a connection that waits holds no working set.
//! - Never: a wait without a deadline.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use waterwheel_runtime::time::Instant;

use super::{BURST_LINGER, Connection, Patience, Stage, Woken};
use crate::error::Refusal;
use crate::io::Io;
use crate::stop;

impl<T: Io> Connection<T> {
    /// Sends what is queued, and reads what there is or waits until there is something. While it waits
    /// with nothing begun, the working set goes back.
    pub(super) async fn read_or_wait(&mut self, patience: Patience) -> Woken {
        let mut waits = false;
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
            if waits {
                self.give_back_unused();
            } else {
                waits = true;
                self.prepare_to_wait(patience);
            }
            if patience == Patience::Nothing {
                return Poll::Ready(Some(Woken::Quiet));
            }
            self.poll_end_of_wait(cx)
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
        let work = self
            .work
            .get_or_insert_with(|| self.place.shared.take_work());
        let read = ready!(io.poll_read(cx, work.input.room()));
        if let Ok(count) = read {
            work.input.add(count);
            self.place.shared.counters.bytes_read.add(count);
        }
        Poll::Ready(read)
    }

    /// With nothing begun, a connection that waits holds no working set.
    fn give_back_unused(&mut self) {
        if let Some(work) = self.work.take_if(|work| work.input.is_empty()) {
            self.place.shared.give_back(work);
        }
    }

    /// Nothing has come for as long as a connection may wait.
    pub(crate) fn has_idled(&self) {
        self.place.shared.counters.idle_timeouts.one();
    }

    /// Tells a client for whom there is no room, or no server any more, and closes.
    pub(crate) async fn turn_away(mut self) {
        // What is unread when a connection closes costs the client its answer.
        poll_fn(|cx| Poll::Ready(drop(self.poll_read_once(cx)))).await;
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

    /// Sets the deadline of a wait that begins, and what the server sees of it.
    pub(crate) fn prepare_to_wait(&mut self, patience: Patience) {
        self.give_back_unused();
        if let Some(work) = &mut self.work {
            work.input.shrink();
            self.wait_within_head();
            return;
        }
        self.stage = Stage::Between;
        if self.requests > 0 {
            let idle = self.place.shared.limits.idle_duration_max;
            let idle = match patience {
                Patience::Burst => BURST_LINGER.min(idle),
                Patience::Nothing | Patience::Idle => idle,
            };
            self.sleep.reset(Instant::of_turn() + idle);
        }
    }

    /// The rest of a head has to come in time, counted from its first byte.
    fn wait_within_head(&mut self) {
        if self.stage != Stage::WithinHead {
            self.stage = Stage::WithinHead;
            self.place.shared.register.busy(self.place.key);
            let limit = self.place.shared.limits.head_duration_max;
            self.sleep.reset(Instant::of_turn() + limit);
        }
    }

    /// What happened, without reading it; `None` when the time is over.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Woken>> {
        let Some(io) = &self.io else {
            return Poll::Ready(Some(Woken::Over));
        };
        match io.poll_readable(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Some(Woken::Readable)),
            Poll::Ready(Err(_)) => Poll::Ready(Some(Woken::Over)),
            Poll::Pending => self.poll_end_of_wait(cx),
        }
    }

    /// Whether there is nothing to wait for any more, though nothing has come.
    #[inline]
    fn poll_end_of_wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Woken>> {
        if self.place.shared.stage.get() == stop::Stage::Cutting {
            return Poll::Ready(Some(Woken::Over));
        }
        if self.stage == Stage::Between && self.must_leave() {
            if !self.io.as_ref().is_some_and(Io::has_input) {
                return Poll::Ready(Some(Woken::Over));
            }
            // What has come in the meantime is served first: the reactor reports it before the next turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| None)
    }

    /// Registers as idle; whether it is to close.
    fn must_leave(&self) -> bool {
        let leaving = self.place.shared.register.idle(self.place.key);
        leaving || (self.requests > 0 && self.place.shared.is_closing())
    }
}
