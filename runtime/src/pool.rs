//! A bounded pool of named threads, for jobs that block.
//!
//! # How it works
//!
//! ```text
//!  push ──► queue ──► a thread takes the job and runs it
//!             └─ no idle thread, fewer than the maximum: start one
//! ```
//!
//! Threads are started on demand and end after ten idle seconds. The pool belongs to its runtime:
//! when that ends, jobs that have not begun are cancelled, those that run are waited for.
//!
//! # Invariants
//!
//! - Always: at most [`THREADS_MAX`] threads for a runtime.
//! - Never: a job run while the queue is locked.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::panics;
use crate::remote::Remote;

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
    work: Condvar,
    /// Jobs that have been queued and have not ended.
    jobs: AtomicUsize,
    /// True if the runtime must be nudged when `jobs` becomes zero.
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

    /// Returns true if no job is queued or under way. Otherwise the runtime is nudged when the last job has
    /// ended, also if no task awaits it.
    pub(crate) fn is_idle_or_reports(&self) -> bool {
        // First the flag, then the count; a thread of the pool does it the other way round. So if this
        // reads a job, that job's thread sees the flag.
        self.shared.reports.store(true, Ordering::SeqCst);
        self.shared.jobs.load(Ordering::SeqCst) == 0
    }

    /// Queues a job. Returns it if the pool has no thread and cannot start one.
    pub(crate) fn push(&self, job: Job) -> Option<Job> {
        let mut queue = self.shared.lock();
        // Each queued job will take one idle thread. So only those beyond the jobs are free for this one.
        let must_start = queue.idle <= queue.jobs.len() && queue.running < THREADS_MAX;
        if must_start && self.start(&mut queue).is_err() && queue.running == 0 {
            return Some(job);
        }
        queue.jobs.push_back(job);
        self.shared.jobs.fetch_add(1, Ordering::SeqCst);
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
            panics::contain(|| job(Order::Cancel));
        }
        for thread in threads {
            // The panics of its jobs were caught, so there is no result to look at.
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
        while let Some(job) = self.next() {
            panics::contain(|| job(Order::Run));
            let left = self.jobs.fetch_sub(1, Ordering::SeqCst) - 1;
            if left == 0 && self.reports.swap(false, Ordering::SeqCst) {
                self.runtime.nudge();
            }
        }
    }

    /// Waits for the next job. Returns `None` if the thread must end.
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
