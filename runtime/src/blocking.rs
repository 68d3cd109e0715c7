//! A bounded pool of named threads for what blocks: files, names, long computations.
//!
//! # How it works
//!
//! ```text
//!  spawn_blocking ──► queue ──► a thread takes the job ──► outcome into the job's slot ──► wake
//!        │              │
//!        │              └─ no idle thread, fewer than the maximum: start one
//!        └─ the returned future; dropped before the job has begun: the job is skipped
//! ```
//!
//! Threads are started on demand and end after ten idle seconds. The pool belongs to its runtime:
//! when that ends, jobs that have not begun are cancelled, those that run are waited for.
//!
//! # Invariants
//!
//! - Always: at most [`THREADS_MAX`] threads for a runtime.
//! - Never: a job run, or a waker woken, while the queue is locked.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::context;
use crate::join::JoinError;
use crate::run_queue::Remote;

/// The most threads a runtime's pool has. They wait for disks rather than compute, so it may be
/// more than there are cores.
pub const THREADS_MAX: usize = 16;

/// How long a thread waits for work before it ends.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Runs `job` on a thread of its own, so that this one can go on.
///
/// At most [`THREADS_MAX`] jobs run at once; more of them queue. Dropping the future before the
/// job has begun cancels it; one that runs runs on, and its value is dropped.
///
/// # Errors
///
/// A [`JoinError`] if the job panicked, or if no thread at all could be started for it
/// ([`JoinError::is_cancelled`]).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::{block_on, spawn_blocking};
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
    let slot = Arc::new(Slot {
        state: Mutex::new(State::Queued),
    });
    let job: Job = Box::new({
        let slot = slot.clone();
        move |order| slot.carry_out(order, job)
    });
    let refused = context::with("a blocking job", "spawned", |executor| {
        executor.blocking().push(job)
    });
    if let Some(job) = refused {
        job(Order::Cancel);
    }
    Blocking { slot }
}

/// The future of [`spawn_blocking`].
#[must_use = "dropping it cancels a job that has not begun"]
pub struct Blocking<T> {
    slot: Arc<Slot<T>>,
}

/// Where a job and its future meet.
struct Slot<T> {
    state: Mutex<State<T>>,
}

/// Each state holds just what it owns.
enum State<T> {
    /// Nobody waits yet.
    Queued,
    /// This task waits.
    Awaited(Waker),
    /// The job has ended.
    Done(Result<T, JoinError>),
    /// The value has been taken, or nobody wants it any more.
    Closed,
}

type Job = Box<dyn FnOnce(Order) + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Run,
    Cancel,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, state: State<T>) -> State<T> {
        std::mem::replace(&mut *self.lock(), state)
    }

    /// Whether nobody wants the value any more.
    fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed)
    }

    fn carry_out(&self, order: Order, job: impl FnOnce() -> T) {
        if self.is_closed() {
            return;
        }
        let outcome = match order {
            Order::Run => catch_unwind(AssertUnwindSafe(job)).map_err(JoinError::panicked),
            Order::Cancel => Err(JoinError::cancelled()),
        };
        self.finish(outcome);
    }

    fn finish(&self, outcome: Result<T, JoinError>) {
        let mut state = self.lock();
        if matches!(*state, State::Closed) {
            return;
        }
        let before = std::mem::replace(&mut *state, State::Done(outcome));
        drop(state);
        if let State::Awaited(waker) = before {
            waker.wake();
        }
    }
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut state = self.slot.lock();
        let next = match &*state {
            State::Queued | State::Awaited(_) => State::Awaited(waker),
            State::Done(_) | State::Closed => State::Closed,
        };
        let before = std::mem::replace(&mut *state, next);
        drop(state);
        match before {
            State::Done(outcome) => Poll::Ready(outcome),
            State::Queued | State::Awaited(_) => Poll::Pending,
            State::Closed => panic!("Blocking polled again after it gave its value"),
        }
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        let state = self.slot.replace(State::Closed);
        drop(state);
    }
}

impl<T> std::fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}

/// A runtime's threads, none of which has been started until one is needed.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    /// Jobs that have been queued and have not ended.
    jobs: AtomicUsize,
    /// Whether the runtime wants to know when there are none left.
    reports: AtomicBool,
    runtime: Arc<Remote>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: Vec<thread::JoinHandle<()>>,
    running: usize,
    idle: usize,
    started: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(runtime: Arc<Remote>) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                work: Condvar::new(),
                jobs: AtomicUsize::new(0),
                reports: AtomicBool::new(false),
                runtime,
            }),
        }
    }

    /// Whether no job is queued or under way; if one is, the runtime is nudged when the last has
    /// ended, also if nobody awaits it.
    pub(crate) fn is_idle_or_reports(&self) -> bool {
        // First the flag, then the count; a thread does it the other way round. One of the two
        // sees what the other has done.
        self.shared.reports.store(true, Ordering::SeqCst);
        self.shared.jobs.load(Ordering::SeqCst) == 0
    }

    /// Queues a job; gives it back if there is no thread for it and none can be started.
    fn push(&self, job: Job) -> Option<Job> {
        let mut queue = self.shared.lock();
        let must_start = queue.idle <= queue.jobs.len() && queue.running < THREADS_MAX;
        if must_start && self.start(&mut queue).is_err() && queue.running == 0 {
            return Some(job);
        }
        queue.jobs.push_back(job);
        self.shared.jobs.fetch_add(1, Ordering::SeqCst);
        self.shared.work.notify_one();
        None
    }

    fn start(&self, queue: &mut Queue) -> io::Result<()> {
        let shared = self.shared.clone();
        let name = format!("waterwheel-blocking-{}", queue.started);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || shared.work())?;
        queue.threads.retain(|thread| !thread.is_finished());
        queue.threads.push(thread);
        queue.running += 1;
        queue.started += 1;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let jobs = std::mem::take(&mut queue.jobs);
        let threads = std::mem::take(&mut queue.threads);
        drop(queue);
        self.shared.work.notify_all();
        for job in jobs {
            complete(job, Order::Cancel);
        }
        for thread in threads {
            // Its jobs' panics have been caught; there is nothing left to report.
            drop(thread.join());
        }
    }
}

/// Whatever a job that nobody wants any more, or a value, panics with when it is dropped ends here:
/// it must cost neither a thread nor the end of a runtime.
fn complete(job: Job, order: Order) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(order))) {
        // Its destructor may panic in its turn, so it gets none.
        std::mem::forget(payload);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life.
    fn work(&self) {
        while let Some(job) = self.next() {
            complete(job, Order::Run);
            let left = self.jobs.fetch_sub(1, Ordering::SeqCst) - 1;
            if left == 0 && self.reports.swap(false, Ordering::SeqCst) {
                self.runtime.nudge();
            }
        }
    }

    /// The next job; `None` when it is time to end.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        queue.idle += 1;
        let no_work = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let waited = self.work.wait_timeout_while(queue, IDLE_MAX, no_work);
        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.idle -= 1;
        let job = queue.jobs.pop_front();
        if job.is_none() {
            queue.running -= 1;
        }
        job
    }
}
