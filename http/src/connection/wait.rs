//! How a connection waits, and reads when there is something.
//!
//! # Invariants
//!
//! - Always: with nothing begun, a connection that waits holds no working set.
//! - Never: a wait without a deadline.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use waterwheel_runtime::time::Instant;

use super::{BURST_LINGER, Connection, Patience, Stage, Woken};
use crate::error::Refusal;
use crate::io::Io;

impl<T: Io> Connection<T> {
    /// Waits until something can be read, and reads it.
    pub(super) async fn read_or_wait(&mut self, patience: Patience) -> Woken {
        loop {
            // What was just accepted has often sent its request already.
            if self.stage != Stage::Fresh {
                let woken = self.wait(patience).await;
                if woken != Woken::Readable {
                    return woken;
                }
            }
            match self.read_once().await {
                Some(Ok(0) | Err(_)) => return Woken::Over,
                Some(Ok(_)) => return Woken::Readable,
                None if self.stage == Stage::Fresh => self.stage = Stage::Between,
                None => {}
            }
        }
    }

    /// Reads if there is something; `None` if there is not.
    async fn read_once(&mut self) -> Option<std::io::Result<usize>> {
        let io = self.io.as_ref()?;
        let work = self
            .work
            .get_or_insert_with(|| self.place.shared.take_work());
        let read = poll_fn(|cx| match io.poll_read(cx, work.input.room()) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => Poll::Ready(None),
        });
        let read = read.await;
        if let Some(Ok(count)) = read {
            work.input.add(count);
            self.place.shared.counters.bytes_read.add(count);
        }
        read
    }

    /// Waits until something can be read. With nothing begun, the working set goes back.
    async fn wait(&mut self, patience: Patience) -> Woken {
        self.prepare_to_wait(patience);
        if patience == Patience::Nothing {
            return Woken::Quiet;
        }
        match poll_fn(|cx| self.poll_wait(cx)).await {
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

    /// Nothing has come for as long as a connection may wait.
    pub(crate) fn has_idled(&self) {
        self.place.shared.counters.idle_timeouts.one();
    }

    /// Tells a client for whom there is no room, or no server any more, and closes.
    pub(crate) async fn turn_away(mut self) {
        // What is unread when a connection closes costs the client its answer.
        drop(self.read_once().await);
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

    pub(crate) fn prepare_to_wait(&mut self, patience: Patience) {
        let limits = &self.place.shared.limits;
        let begun = self
            .work
            .as_ref()
            .is_some_and(|work| !work.input.is_empty());
        if begun {
            if self.stage != Stage::WithinHead {
                self.stage = Stage::WithinHead;
                self.place.shared.register.busy(self.place.key);
                self.sleep
                    .reset(Instant::of_turn() + limits.head_duration_max);
            }
            if let Some(work) = &mut self.work {
                work.input.shrink();
            }
            return;
        }
        if let Some(work) = self.work.take() {
            self.place.shared.give_back(work);
        }
        if self.requests > 0 {
            self.stage = Stage::Between;
            let idle = match patience {
                Patience::Burst => BURST_LINGER.min(limits.idle_duration_max),
                Patience::Nothing | Patience::Idle => limits.idle_duration_max,
            };
            self.sleep.reset(Instant::of_turn() + idle);
        }
    }

    /// What happened; `None` when the time is over.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Woken>> {
        let Some(io) = &self.io else {
            return Poll::Ready(Some(Woken::Over));
        };
        match io.poll_readable(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Some(Woken::Readable)),
            Poll::Ready(Err(_)) => return Poll::Ready(Some(Woken::Over)),
            Poll::Pending => {}
        }
        if self.stage == Stage::Between && self.must_leave() {
            // One last look: what has come in the meantime is served first.
            let woken = if io.has_input() {
                Woken::Readable
            } else {
                Woken::Over
            };
            return Poll::Ready(Some(woken));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| None)
    }

    /// Registers as idle; whether it is to close.
    fn must_leave(&self) -> bool {
        let leaving = self.place.shared.register.idle(self.place.key);
        leaving || (self.requests > 0 && self.place.shared.is_closing())
    }
}
