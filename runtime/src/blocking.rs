//! Work that blocks and runs on another thread: files, names, long computations.
//!
//! # How it works
//!
//! A job and its future share one [`JobSlot`]:
//!
//! ```text
//!            the future is polled             the job ends               the future takes the outcome
//!  Queued ────────────────────────► Awaited ──────────────► Done ──────────────────────────► Closed
//!    └──────────── the job ends before any poll ─────────────▲                                  ▲
//!  (any state) ── the future is dropped ────────────────────────────────────────────────────────┘
//! ```
//!
//! The job goes to the runtime's pool. A thread runs it, stores the outcome in the slot, and wakes the task
//! that awaits it. If the slot is closed before the job begins, the job is not run.
//!
//! # Invariants
//!
//! - Never: a job run, or a waker woken, while a slot is locked.

use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::budget;
use crate::context;
use crate::join_error::JoinError;
use crate::nodes::{self, JobMark, Origin, Subject};
use crate::panics;
use crate::pool::Order;
use crate::primitives::{Mutex, MutexGuard};

/// Runs `job` on a thread of the runtime's pool, so that this thread does not block.
///
/// At most [`THREADS_MAX`](crate::THREADS_MAX) jobs of a runtime run at once, unless
/// [`RuntimeBuilder`](crate::RuntimeBuilder#when-all-threads-are-busy) sets another number. Further jobs wait in a
/// queue without a limit, so a job must not wait for another job. If the future is dropped while the job runs, the job continues, and its value is dropped.
///
/// # Errors
///
/// The future returns a [`JoinError`] if the job panics. It returns one for which
/// [`is_cancelled`](JoinError::is_cancelled) holds if no thread could be started, or if the runtime ends before
/// the job has begun.
///
/// # Cancel safety
///
/// Dropping the future cancels a job that has not begun.
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, spawn_blocking};
///
/// let text = block_on(async { spawn_blocking(|| std::fs::read_to_string("/proc/self/comm")).await });
/// assert!(text.unwrap().is_ok());
/// ```
#[track_caller]
pub fn spawn_blocking<T, F>(job: F) -> Blocking<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (job, value) = Blocking::of(job);
    let refused = context::with("a blocking job", "spawned", |executor| {
        let mark = JobMark::queued(executor.tracker(), &*value.slot, value.origin);
        executor.blocking().push(Box::new(move |order| {
            mark.begin();
            job(order);
        }))
    });
    if let Some(job) = refused {
        job(Order::Cancel);
    }
    value
}

/// Like [`spawn_blocking`], for a job that must run even if the runtime ends before it has begun. Then the thread
/// that drops the runtime runs it.
pub(crate) fn spawn_to_end<T, F>(what: &str, job: F) -> Blocking<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (job, value) = Blocking::of(job);
    let refused = context::with(what, "polled", |executor| {
        let mark = JobMark::queued(executor.tracker(), &*value.slot, value.origin);
        // The order of the pool is ignored: a job that is cancelled runs on the thread that cancels it.
        executor.blocking().push(Box::new(move |_| {
            mark.begin();
            job(Order::Run);
        }))
    });
    // No thread could be started, so this one runs it.
    if let Some(job) = refused {
        job(Order::Run);
    }
    value
}

/// The future of [`spawn_blocking`] and of [`ThreadPool::spawn`](crate::ThreadPool::spawn).
///
/// # Panics
///
/// Panics if it is polled again after it has returned the value.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Blocking, block_on, spawn_blocking};
///
/// fn lines_of(path: &'static str) -> Blocking<usize> {
///     spawn_blocking(move || std::fs::read_to_string(path).map_or(0, |text| text.lines().count()))
/// }
///
/// block_on(async {
///     let lines = lines_of("/proc/self/status"); // a thread of the pool reads already
///     assert!(lines.await.unwrap() > 10);
/// });
/// ```
#[must_use = "dropping it cancels a job that has not begun"]
pub struct Blocking<T> {
    slot: Arc<JobSlot<T>>,
    /// The number of the poll in which it began to wait.
    began: Option<u32>,
    /// True if the drop leaves the job alone.
    detached: bool,
    origin: Origin,
}

impl<T: Send + 'static> Blocking<T> {
    /// Returns a job for a pool, and the future of its value.
    #[track_caller]
    pub(crate) fn of(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> (impl FnOnce(Order) + Send, Self) {
        let slot = Arc::new(JobSlot {
            state: Mutex::new(JobState::Queued),
        });
        let value = Self {
            slot: slot.clone(),
            began: None,
            detached: false,
            origin: Origin::here("blocking job"),
        };
        (move |order| slot.carry_out(order, job), value)
    }

    /// Drops the future without cancelling its job.
    pub(crate) fn detach(mut self) {
        self.detached = true;
    }
}

impl<T> Blocking<T> {
    fn waits<R>(&self, cx: &Context<'_>) -> Poll<R> {
        nodes::waits(cx, self.origin, || {
            Subject::Job(nodes::address(&*self.slot))
        })
    }

    /// Returns the two ends of a slot for the value of a task: one stores it, and the other one awaits it.
    #[track_caller]
    pub(crate) fn of_task() -> (TaskEnd<T>, Self) {
        let slot = Arc::new(JobSlot {
            state: Mutex::new(JobState::Queued),
        });
        let value = Self {
            slot: slot.clone(),
            began: None,
            detached: false,
            origin: Origin::here("remote task"),
        };
        (TaskEnd { slot }, value)
    }
}

/// The end of a slot that stores the outcome of a task. Dropping it without an outcome cancels.
pub(crate) struct TaskEnd<T> {
    slot: Arc<JobSlot<T>>,
}

impl<T> TaskEnd<T> {
    pub(crate) fn set(self, outcome: Result<T, JoinError>) {
        self.slot.finish(outcome);
    }
}

impl<T> Drop for TaskEnd<T> {
    fn drop(&mut self) {
        if matches!(*self.slot.lock(), JobState::Queued | JobState::Awaited(_)) {
            self.slot.finish(Err(JoinError::cancelled()));
        }
    }
}

/// The part that a job and its future share.
struct JobSlot<T> {
    state: Mutex<JobState<T>>,
}

/// The progress of a job; see the module.
enum JobState<T> {
    /// The job has not ended, and no task awaits it.
    Queued,
    /// The job has not ended, and a task with this waker awaits it.
    Awaited(Waker),
    /// The job has ended.
    Done(Result<T, JoinError>),
    /// The outcome was taken, or the future was dropped.
    Closed,
}

impl<T> JobSlot<T> {
    /// Locks the state. Poisoning is ignored, because no foreign code runs while it is locked.
    fn lock(&self) -> MutexGuard<'_, JobState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the state, and returns the one before.
    fn replace(&self, state: JobState<T>) -> JobState<T> {
        mem::replace(&mut *self.lock(), state)
    }

    /// Takes the outcome, if the job has ended.
    ///
    /// # Panics
    ///
    /// Panics if the outcome was taken before.
    fn take_outcome(&self) -> Option<Result<T, JoinError>> {
        let mut state = self.lock();
        match &*state {
            JobState::Queued | JobState::Awaited(_) => None,
            JobState::Done(_) => match mem::replace(&mut *state, JobState::Closed) {
                JobState::Done(outcome) => Some(outcome),
                _ => None,
            },
            JobState::Closed => {
                // The lock is released before the panic, so that the panic does not poison it.
                drop(state);
                panic!("a Blocking is not polled after its value")
            }
        }
    }

    /// Returns true if the slot has this waker.
    fn is_awaited_by(&self, waker: &Waker) -> bool {
        matches!(&*self.lock(), JobState::Awaited(left) if left.will_wake(waker))
    }

    /// Stores a waker, and returns the state before. That state may have another waker to drop.
    ///
    /// # Errors
    ///
    /// Returns the waker if the job has ended.
    fn leave(&self, waker: Waker) -> Result<JobState<T>, Waker> {
        let mut state = self.lock();
        match &*state {
            JobState::Queued | JobState::Awaited(_) => {
                Ok(mem::replace(&mut *state, JobState::Awaited(waker)))
            }
            JobState::Done(_) | JobState::Closed => Err(waker),
        }
    }

    /// Calls the job or cancels it, and stores the outcome.
    fn carry_out(&self, order: Order, job: impl FnOnce() -> T) {
        // A job that no future awaits is not worth a thread. The caller drops it, with its captures.
        if matches!(*self.lock(), JobState::Closed) {
            return;
        }
        let outcome = match order {
            Order::Run => catch_unwind(AssertUnwindSafe(job)).map_err(JoinError::panicked),
            Order::Cancel => Err(JoinError::cancelled()),
        };
        self.finish(outcome);
    }

    /// Stores the outcome, and wakes the task that awaits it.
    fn finish(&self, outcome: Result<T, JoinError>) {
        // One lock for both steps: a future that leaves its waker between them would never be woken.
        let mut state = self.lock();
        if matches!(*state, JobState::Closed) {
            return;
        }
        let before = mem::replace(&mut *state, JobState::Done(outcome));
        drop(state);
        if let JobState::Awaited(waker) = before {
            panics::wake(waker);
        }
    }
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A value that is there in the first poll costs budget: a task could await one job after the other
        // without ever waiting.
        let waited = self
            .began
            .is_some_and(|began| began != budget::poll_number());
        if !waited && matches!(*self.slot.lock(), JobState::Done(_)) {
            ready!(budget::poll_spend(cx, 1));
        }
        self.began.get_or_insert_with(budget::poll_number);
        if let Some(outcome) = self.slot.take_outcome() {
            return Poll::Ready(outcome);
        }
        if self.slot.is_awaited_by(cx.waker()) {
            return self.waits(cx);
        }
        // Wakers are cloned and dropped while the slot is not locked, because that may be foreign code. So the
        // job may end in between, and `leave` then refuses the waker.
        let waker = cx.waker().clone();
        match self.slot.leave(waker) {
            Ok(replaced) => {
                drop(replaced);
                self.waits(cx)
            }
            Err(unused) => {
                panics::discard(unused);
                let outcome = self.slot.take_outcome();
                Poll::Ready(outcome.expect("a job that has ended leaves an outcome"))
            }
        }
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        if !self.detached {
            panics::discard(self.slot.replace(JobState::Closed));
        }
    }
}

impl<T> std::fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}
