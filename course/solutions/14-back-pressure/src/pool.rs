//! A bounded pool of threads for jobs that block.
//!
//! ```text
//!  push ──► queue ──► a thread takes the job and runs it
//!             └─ if no thread is free, and there are fewer than the maximum: starts one
//! ```
//!
//! - Always: at most [`THREADS_MAX`] threads.
//! - Never: a job called or dropped while the queue is locked.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The number of threads that a pool has at most.
pub const THREADS_MAX: usize = 4;

/// A job. It does not panic. If it is dropped instead of called, it is cancelled.
pub type Job = Box<dyn FnOnce() + Send>;

/// The threads of one runtime.
pub struct Pool {
    shared: Arc<Shared>,
}

/// The part that the runtime and the threads share.
struct Shared {
    queue: Mutex<Queue>,
    /// Notified for each job that is queued, and when the pool closes.
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    /// The jobs that have not begun.
    jobs: VecDeque<Job>,
    threads: Vec<thread::JoinHandle<()>>,
    /// The number of threads that wait for a job. Some of them may be notified already and not awake yet.
    idle: usize,
    /// True once the runtime ends. The threads then end, too.
    closed: bool,
}

impl Pool {
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                work: Condvar::new(),
            }),
        }
    }

    /// Queues a job. If the pool is closed, drops the job.
    pub fn push(&self, job: Job) {
        let mut queue = self.shared.lock();
        if queue.closed {
            drop(queue);
            return drop(job);
        }
        if queue.idle <= queue.jobs.len() && queue.threads.len() < THREADS_MAX {
            let shared = self.shared.clone();
            queue.threads.push(thread::spawn(move || shared.work()));
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.work.notify_one();
    }

    /// Cancels the jobs that have not begun, and waits for those that run.
    pub fn close(&self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let jobs = mem::take(&mut queue.jobs);
        let threads = mem::take(&mut queue.threads);
        drop(queue);
        self.shared.work.notify_all();
        // After the lock, because the drop of a job wakes the task that awaits it.
        drop(jobs);
        for thread in threads {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until the pool closes.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.lock();
                continue;
            }
            if queue.closed {
                return;
            }
            queue.idle += 1;
            let waited = self.work.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}
