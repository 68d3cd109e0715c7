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
        // TODO 1: 1. Each queued job will take one idle thread. So if `queue.idle` is not greater than `queue.jobs.len()`, no idle
        //    thread is left for this job. If there are fewer than `THREADS_MAX` threads then, start one: clone `self.shared`,
        //    call its method `work` in the new thread, and push the handle onto `queue.threads`.
        // 2. Push the job onto the queue. Release the lock. Then notify one thread (`self.shared.work.notify_one()`).
        todo!("TODO 1")
    }

    /// Cancels the jobs that have not begun, and waits for those that run.
    pub fn close(&self) {
        // TODO 6: 1. Lock the queue. Set `closed`, and take out the jobs and the threads (`mem::take`). Release the lock.
        // 2. Notify all threads, so that they see `closed`.
        // 3. Drop the jobs, and join the threads (`drop(thread.join())`).
        // TODO 6 is here. `Runtime` calls this in its destructor, so a `todo!()` would end the whole process.
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
            // TODO 2: 1. If there is a job (`queue.jobs.pop_front()`), release the lock, call the job, lock again, and `continue`.
            // 2. If the pool is closed, return.
            // 3. Otherwise wait: add one to `queue.idle`, wait with `self.work.wait(queue)`, which returns the guard in a
            //    `Result` (`unwrap_or_else(PoisonError::into_inner)`), and subtract one from `queue.idle`.
            todo!("TODO 2");
        }
    }
}
