//! A bounded pool of named threads, for jobs that block.
//!
//! # How it works
//!
//! ```text
//!  push ──► queue ──► a thread takes the job and runs it
//!             └─ no idle thread, fewer than the maximum: start one
//! ```
//!
//! Threads are started on demand and end after ten idle seconds. The pool belongs to its runtime. When
//! the runtime ends, it cancels the jobs that have not begun and waits for those that run.
//!
//! Everything that the threads share stands behind one lock. A thread takes it once for each job: it
//! counts the last job as ended and takes the next one.
//!
//! # Invariants
//!
//! - Always: at most [`THREADS_MAX`] threads for a runtime.
//! - Never: a job run while the queue is locked.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use std::{io, mem};

use crate::panics;
use crate::remote::Remote;
use crate::sync::{Condvar, Mutex, MutexGuard, thread};

/// The most threads that a runtime's pool has. They wait for disks rather than compute, so there may be
/// more of them than cores.
pub const THREADS_MAX: usize = 16;

/// A thread that has waited for work for this long ends.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// The number in a thread's name stays below this, because the kernel keeps 15 bytes of a name.
const NAMES: usize = 10_000;

/// A job, called once: to run, or to be cancelled.
pub(crate) type Job = Box<dyn FnOnce(Order) + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Run the job.
    Run,
    /// Cancel the job: there will be no thread for it.
    Cancel,
}

/// A runtime's threads. Each is started when it is needed.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Notified for each job that is queued, and when the pool closes.
    work: Condvar,
    runtime: Arc<Remote>,
}

#[derive(Default)]
struct Queue {
    /// The jobs that have not begun.
    jobs: VecDeque<Job>,
    /// The number of jobs that have not ended, those that have not begun included.
    unfinished: usize,
    /// True if the runtime waits for the end of the last job.
    reports: bool,
    /// The threads that have not ended. A thread that ends takes itself off.
    threads: Vec<thread::JoinHandle<()>>,
    /// The number of threads that wait for a job. Some of them may have been notified of one.
    idle: usize,
    /// The number of threads that were ever started, for their names.
    started: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(runtime: Arc<Remote>) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                work: Condvar::new(),
                runtime,
            }),
        }
    }

    /// Returns true if no job is queued or under way. Otherwise the runtime is nudged when the last job
    /// has ended, even if no task awaits it.
    pub(crate) fn is_idle_or_reports(&self) -> bool {
        let mut queue = self.shared.lock();
        queue.reports = queue.unfinished > 0;
        !queue.reports
    }

    /// Queues a job. Returns it if there is no thread for it and none can be started.
    pub(crate) fn push(&self, job: Job) -> Option<Job> {
        let mut queue = self.shared.lock();
        // Each queued job will take one idle thread. So only those beyond the jobs are free for this one.
        let must_start = queue.idle <= queue.jobs.len() && queue.threads.len() < THREADS_MAX;
        if must_start && self.start(&mut queue).is_err() && queue.threads.is_empty() {
            return Some(job);
        }
        queue.jobs.push_back(job);
        queue.unfinished += 1;
        // Unlocked first: the thread that wakes up takes the lock at once.
        drop(queue);
        self.shared.work.notify_one();
        None
    }

    fn start(&self, queue: &mut Queue) -> io::Result<()> {
        let shared = self.shared.clone();
        let name = format!("waterwheel-{}", queue.started % NAMES);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || shared.work())?;
        queue.threads.push(thread);
        queue.started += 1;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let jobs = mem::take(&mut queue.jobs);
        let threads = mem::take(&mut queue.threads);
        drop(queue);
        self.shared.work.notify_all();
        for job in jobs {
            panics::contain(|| job(Order::Cancel));
        }
        for thread in threads {
            // The panics of its jobs have been caught, so there is no error to report.
            drop(thread.join());
        }
    }
}

impl Shared {
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
            // After the job: an idle pool has sent all its mail.
            queue.unfinished -= 1;
            if queue.unfinished == 0 && mem::take(&mut queue.reports) {
                self.runtime.nudge();
            }
            queue = self.wait_for_job(queue);
        }
        let own = thread::current().id();
        queue.threads.retain(|thread| thread.thread().id() != own);
    }

    /// Waits until there is a job. Returns without one if it is time to end.
    fn wait_for_job<'a>(&self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        queue.idle += 1;
        let no_work = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let waited = self.work.wait_timeout_while(queue, IDLE_MAX, no_work);
        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.idle -= 1;
        queue
    }
}

#[cfg(all(test, loom))]
impl Pool {
    /// Lets the time pass after which idle threads end, for the models.
    pub(crate) fn let_idle_time_pass(&self) {
        self.shared.work.end_time(&self.shared.lock());
    }
}
