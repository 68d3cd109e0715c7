//! Work that blocks and runs on another thread: files, names, long computations.
//!
//! A job and its future share one slot:
//!
//! ```text
//!            the future is polled             the job ends               the future takes the outcome
//!  Queued ────────────────────────► Awaited ──────────────► Done ──────────────────────────► Closed
//!    └──────────── the job ends before any poll ─────────────▲                                  ▲
//!  (any state) ── the future is dropped ────────────────────────────────────────────────────────┘
//! ```

use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::budget;
use crate::context;
use crate::join_error::JoinError;

/// Runs `job` on a thread of the runtime's pool, so that this thread does not block.
///
/// # Panics
///
/// Panics outside a runtime.
pub fn spawn_blocking<T, F>(job: F) -> Blocking<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let slot = Arc::new(JobSlot {
        state: Mutex::new(JobState::Queued),
    });
    // If the job is dropped instead of called, this is dropped with it.
    let end = JobEnd { slot: slot.clone() };
    let run = move || {
        if !end.slot.is_closed() {
            let outcome = catch_unwind(AssertUnwindSafe(job));
            end.slot.finish(outcome.map_err(JoinError::panicked));
        }
    };
    context::with(|executor| executor.blocking().push(Box::new(run)));
    Blocking { slot }
}

type Outcome<T> = Result<T, JoinError>;

/// The place that a job and its future share.
struct JobSlot<T> {
    state: Mutex<JobState<T>>,
}

enum JobState<T> {
    /// The future has not been polled, and the job has not ended.
    Queued,
    /// A task waits for the outcome.
    Awaited(Waker),
    /// The outcome is there.
    Done(Outcome<T>),
    /// The outcome was taken, or the future was dropped.
    Closed,
}

impl<T> JobSlot<T> {
    fn lock(&self) -> MutexGuard<'_, JobState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        matches!(*self.lock(), JobState::Closed)
    }

    /// Stores the outcome, and wakes the task that awaits it. Has no effect on a slot that has an outcome or is closed.
    fn finish(&self, outcome: Outcome<T>) {
        // TODO 3: Lock the state, and look at it:
        // - `Done` or `Closed`: release the lock, and return. (The outcome is dropped.)
        // - `Queued` or `Awaited`: replace the state by `Done(outcome)` (`mem::replace`), and release the lock. If the state
        //   before was `Awaited(waker)`, wake the waker.
        // TODO 3 is here. A destructor calls this, so a `todo!()` would end the whole process.
    }
}

/// The job's end of the slot.
struct JobEnd<T> {
    slot: Arc<JobSlot<T>>,
}

impl<T> Drop for JobEnd<T> {
    fn drop(&mut self) {
        // If the job has run, the slot has its outcome, and this has no effect.
        self.slot.finish(Err(JoinError::cancelled()));
    }
}

/// The future of [`spawn_blocking`]. Dropping it cancels a job that has not begun.
pub struct Blocking<T> {
    slot: Arc<JobSlot<T>>,
}

impl<T> Future for Blocking<T> {
    type Output = Outcome<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The unit is spent before the outcome is taken.
        if matches!(*self.slot.lock(), JobState::Done(_)) {
            ready!(budget::poll_spend(cx));
        }
        let mut state = self.slot.lock();
        // TODO 4: Replace the state by `Closed` (`mem::replace`), and look at the state before:
        // - `Done(outcome)`: return the outcome.
        // - `Closed`: panic, because the future was polled after its end.
        // - `Queued` or `Awaited`: store `Awaited` with a clone of the waker, and return `Poll::Pending`.
        todo!("TODO 4")
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        // TODO 5: Replace the state by `Closed`. Drop the state before when the lock is released: it may have the outcome, whose
        // destructor is foreign code.
        // TODO 5 is here. A `todo!()` in a destructor would end the whole process.
    }
}
