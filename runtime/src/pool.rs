//! A bounded pool of threads for jobs that block.
//!
//! # How it works
//!
//! ```text
//!  push ──► queue ──► a thread takes the job and runs it
//!             └─ if no thread is free, and there are fewer than the maximum: starts one
//! ```
//!
//! The pool starts a thread when it needs one. A thread ends after ten idle seconds, or after the time that the
//! [settings](PoolSettings) name. The pool belongs to its runtime. When the runtime ends, the pool cancels the
//! jobs that have not begun and waits for those that run.
//!
//! One lock protects all that the threads share. A thread locks it once for each job: it counts its last job
//! as ended and takes the next one.
//!
//! The last job to end nudges the runtime if the runtime has asked for that. So a paused clock, which must
//! not move while a job runs, knows when it may.
//!
//! # Invariants
//!
//! - Always: a runtime has at most as many threads as its settings allow, usually [`THREADS_MAX`].
//! - Always: a job is called exactly once, to run or to be cancelled.
//! - Never: a job called while the queue is locked.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use std::{io, mem};

use crate::panics;
use crate::points;
use crate::primitives::{Condvar, Mutex, MutexGuard, thread};
use crate::remote::Remote;

/// The number of threads that a runtime's pool has at most: 16.
///
/// The threads wait for disks rather than compute, so there may be more of them than cores.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::THREADS_MAX;
///
/// // A limit for uploads that hash on the pool, so that other blocking jobs find a thread.
/// let hashing_max = THREADS_MAX / 2;
/// assert_eq!(hashing_max, 8);
/// ```
pub const THREADS_MAX: usize = 16;

/// The settings of a pool.
#[derive(Clone, Debug)]
pub(crate) struct PoolSettings {
    /// The pool has at most this many threads.
    pub(crate) threads_max: usize,
    /// A thread that has had no job for this long ends.
    pub(crate) idle_max: Duration,
    /// The size of a thread's stack. `None` for that of the standard library.
    pub(crate) stack_bytes: Option<usize>,
    /// The name of the threads, before the number.
    pub(crate) name: String,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            threads_max: THREADS_MAX,
            idle_max: Duration::from_secs(10),
            stack_bytes: None,
            name: "waterwheel".to_owned(),
        }
    }
}

/// The number in a thread's name stays below this, because the kernel keeps only 15 bytes of a name.
const NAMES: usize = 10_000;

/// A job. The pool calls it once, with its order.
pub(crate) type Job = Box<dyn FnOnce(Order) + Send>;

/// The order with which a job is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Run the job.
    Run,
    /// Cancel the job: no thread will run it.
    Cancel,
}

/// The threads of one runtime.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

/// The part that the runtime and the threads share.
struct Shared {
    queue: Mutex<Queue>,
    /// Notified for each job that is queued, and when the pool closes.
    work: Condvar,
    /// The runtime to nudge.
    runtime: Arc<Remote>,
    settings: PoolSettings,
}

/// The jobs, and the numbers that the lock protects.
#[derive(Default)]
struct Queue {
    /// The jobs that have not begun.
    jobs: VecDeque<Job>,
    /// The number of jobs that have not ended, those that have not begun included.
    unfinished: usize,
    /// True if the runtime waits for the end of the last job.
    reports: bool,
    /// The threads that have not ended. A thread removes itself when it ends.
    threads: Vec<thread::JoinHandle<()>>,
    /// The number of threads that wait for a job. Some of them may be notified already and not awake yet.
    idle: usize,
    /// The number of threads that were ever started, for their names.
    started: usize,
    /// True once the runtime ends. The threads then end, too.
    closed: bool,
}

impl Pool {
    pub(crate) fn new(runtime: Arc<Remote>, settings: PoolSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                work: Condvar::new(),
                runtime,
                settings,
            }),
        }
    }

    /// Returns true if no job is queued or running. Otherwise the last job to end nudges the runtime, even if
    /// no task awaits that job.
    pub(crate) fn is_idle_or_reports(&self) -> bool {
        // The question and the request stand under one lock. Otherwise the last job could end between the two,
        // and the runtime would wait for a nudge that never comes.
        let mut queue = self.shared.lock();
        queue.reports = queue.unfinished > 0;
        !queue.reports
    }

    /// Queues a job. Returns it if the pool has no thread and cannot start one, or if it was shut down.
    pub(crate) fn push(&self, job: Job) -> Option<Job> {
        let job = points::job(job, |order| *order == Order::Run);
        let mut queue = self.shared.lock();
        if queue.closed {
            return Some(job);
        }
        // Each queued job will take one idle thread. So only the idle threads beyond these are free for this
        // job. If there is no free thread and none can be started, the job waits for a thread that is busy.
        let must_start = queue.idle <= queue.jobs.len()
            && queue.threads.len() < self.shared.settings.threads_max;
        if must_start && self.start(&mut queue).is_err() && queue.threads.is_empty() {
            return Some(job);
        }
        queue.jobs.push_back(job);
        queue.unfinished += 1;
        // The lock is released first, because the thread that wakes up takes it at once. // LOG R14
        drop(queue);
        self.shared.work.notify_one();
        None
    }

    /// Starts a thread.
    fn start(&self, queue: &mut Queue) -> io::Result<()> {
        let shared = self.shared.clone();
        let settings = &self.shared.settings;
        let name = format!("{}-{}", settings.name, queue.started % NAMES);
        let mut thread = thread::Builder::new().name(name);
        if let Some(bytes) = settings.stack_bytes {
            thread = thread.stack_size(bytes);
        }
        let thread = thread.spawn(move || shared.work())?;
        queue.threads.push(thread);
        queue.started += 1;
        Ok(())
    }
}

impl Pool {
    /// Lets all threads end, and cancels the jobs that have not begun.
    fn close(&self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let jobs = mem::take(&mut queue.jobs);
        queue.unfinished -= jobs.len();
        drop(queue);
        // After `closed` is set: a thread that goes to wait after this call sees the flag and does not wait.
        self.shared.work.notify_all();
        // A future may await such a job, so it is called and not only dropped.
        for job in jobs {
            panics::contain(|| job(Order::Cancel));
        }
    }

    /// Ends the pool, and waits for at most `patience` for the jobs that run. Returns the number of jobs that still
    /// run then. Their threads end by themselves.
    pub(crate) fn shut_down(&self, patience: Duration) -> usize {
        self.close();
        let queue = self.shared.lock();
        // The last thread to end notifies this wait.
        let runs = |queue: &mut Queue| queue.unfinished > 0;
        let waited = self.shared.work.wait_timeout_while(queue, patience, runs);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        // The drop of the pool must not wait for these.
        queue.threads.clear();
        queue.unfinished
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
        let threads = mem::take(&mut self.shared.lock().threads);
        for thread in threads {
            // The panics of the jobs were caught, so there is no error to report.
            drop(thread.join());
        }
    }
}

impl Shared {
    /// Locks the queue. Poisoning is ignored, because no job is called while the queue is locked.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until the thread must end.
    fn work(&self) {
        let mut queue = self.wait_for_job(self.lock());
        while let Some(job) = queue.jobs.pop_front() {
            drop(queue);
            panics::contain(|| job(Order::Run));
            queue = self.lock();
            // After the job, so that an idle pool has sent all its mail. The paused clock relies on this.
            queue.unfinished -= 1;
            if queue.unfinished == 0 && mem::take(&mut queue.reports) {
                self.runtime.nudge();
            }
            queue = self.wait_for_job(queue);
        }
        // The queue is still locked, so no job can have come since the thread decided to end.
        let own = thread::current().id();
        queue.threads.retain(|thread| thread.thread().id() != own);
        if queue.closed && queue.unfinished == 0 {
            // Perhaps the runtime waits for this in `shut_down`.
            self.work.notify_all();
        }
    }

    /// Waits until a job is queued. Returns without a job if the thread must end.
    fn wait_for_job<'a>(&self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        queue.idle += 1;
        let no_work = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let waited = self
            .work
            .wait_timeout_while(queue, self.settings.idle_max, no_work);
        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.idle -= 1;
        queue
    }
}

#[cfg(all(test, loom))]
impl Pool {
    /// Ends the idle time of all threads, for the models.
    pub(crate) fn let_idle_time_pass(&self) {
        self.shared.work.end_time(&self.shared.lock());
    }
}
