//! A fixed number of threads and a queue of jobs: the pool from the last chapter of the Rust Book.
//!
//! # How it works
//!
//! ```text
//!  execute ──► channel ──► a free thread
//!  drop: the channel closes ──► the threads finish the queued jobs ──► they are joined
//! ```
//!
//! # Invariants
//!
//! - Always: each job of [`ThreadPool::execute`] runs.
//! - Never: a job run while the queue is locked.
//! - Never: a thread that ends because a job panics.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::blocking::Blocking;
use crate::panics::discard;
use crate::points;
use crate::pool::{Job, Order};

/// A pool with a fixed number of threads. It does not belong to a runtime.
///
/// For occasional calls that block, use [`spawn_blocking`](crate::spawn_blocking), which starts threads when it
/// needs them. Use this pool for work that must have a fixed number of threads: one for each core, or one for
/// each connection to a database.
///
/// Dropping the pool runs all queued jobs and waits for them. On the thread of a runtime this blocks the
/// runtime, so drop the pool outside, or on another thread. If a job drops the pool, the drop waits for all
/// threads but that of the job.
///
/// The threads are named `ww-pool-0`, `ww-pool-1` and so on.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{ThreadPool, block_on};
///
/// let pool = ThreadPool::new(2);
/// pool.execute(|| println!("on a thread of the pool"));
/// let sum = block_on(pool.spawn(|| (1..=100).sum::<u32>()));
/// assert_eq!(sum.unwrap(), 5050);
/// ```
pub struct ThreadPool {
    /// The sending half of the queue. `None` once the pool is being dropped, so that the threads end.
    jobs: Option<Sender<Job>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl ThreadPool {
    /// Starts `threads` threads.
    ///
    /// # Panics
    ///
    /// Panics if `threads` is 0, or if a thread cannot be started. [`build`](Self::build) returns an error
    /// instead.
    #[track_caller]
    #[must_use]
    pub fn new(threads: usize) -> Self {
        match Self::build(threads) {
            Ok(pool) => pool,
            Err(error) => panic!("cannot start a pool of {threads} threads: {error}"),
        }
    }

    /// Starts `threads` threads.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if `threads` is 0, and the error of `pthread_create(3)` if a thread cannot be
    /// started. In that case, the threads that were started before it end.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::ThreadPool;
    ///
    /// let pool = ThreadPool::build(2)?;
    /// assert_eq!(pool.threads(), 2);
    /// assert!(ThreadPool::build(0).is_err());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn build(threads: usize) -> io::Result<Self> {
        if threads == 0 {
            let text = "a pool without threads never runs a job";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // A receiver has one owner, so the threads share it behind a lock.
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let mut pool = Self {
            jobs: Some(jobs),
            threads: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let queue = queue.clone();
            // Linux keeps 15 bytes of a thread's name (`pthread_setname_np(3)`). Seven digits are left, which
            // are enough for all threads that Linux allows (`pid_max`, `proc_sys_kernel(5)`).
            let thread = thread::Builder::new().name(format!("ww-pool-{number}"));
            // On an error, the drop of `pool` ends the threads that were started.
            pool.threads.push(thread.spawn(move || work(&queue))?);
        }
        Ok(pool)
    }

    /// Returns the number of threads.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Queues a job. This call never waits, and the queue has no limit.
    ///
    /// If the job panics, its thread continues with the next job.
    pub fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.push(Box::new(|_| job()));
    }

    /// Queues a job and returns the future of its value, which any runtime can await.
    ///
    /// A paused clock does not wait for the job, because the pool does not belong to a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels a job that has not begun.
    ///
    /// # Errors
    ///
    /// The future returns a [`JoinError`](crate::JoinError) if the job panics.
    pub fn spawn<T, F>(&self, job: F) -> Blocking<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (job, value) = Blocking::of(job);
        self.push(Box::new(job));
        value
    }
}

impl ThreadPool {
    fn push(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let job = points::job(job, |_| true);
            // The threads keep the receiver until this sender is dropped, so sending cannot fail.
            drop(jobs.send(job));
        }
    }
}

/// Runs jobs until the pool is dropped and its queue is empty.
fn work(queue: &Mutex<Receiver<Job>>) {
    // The closure releases the lock when it returns, before the job runs. In the condition of `while let`, the
    // guard would live until the end of the body.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(Order::Run))) {
            // The job has ended, so a second panic here costs no more than the first one.
            discard(payload);
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        // This closes the channel. A thread ends when the channel is closed and empty.
        self.jobs = None;
        let own = thread::current().id();
        for thread in self.threads.drain(..) {
            // A job that drops its own pool cannot wait for itself.
            if thread.thread().id() != own {
                drop(thread.join());
            }
        }
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, mpsc};

    use super::*;
    use crate::block_on;

    #[test]
    fn as_many_jobs_run_at_once_as_there_are_threads() {
        let pool = ThreadPool::new(3);
        // Each job waits for all others.
        let barrier = Arc::new(Barrier::new(3));
        let (done, seen) = mpsc::channel();
        for number in 0..3 {
            let (barrier, done) = (barrier.clone(), done.clone());
            pool.execute(move || {
                barrier.wait();
                done.send(number).expect("the test listens");
            });
        }
        let mut numbers: Vec<_> = seen.iter().take(3).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn a_pool_that_is_dropped_runs_the_queued_jobs_first() {
        let done = Arc::new(AtomicUsize::new(0));
        let pool = ThreadPool::new(2);
        for _ in 0..100 {
            let done = done.clone();
            pool.execute(move || {
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        drop(pool);
        assert_eq!(done.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn a_thread_continues_after_a_job_that_panics() {
        let pool = ThreadPool::new(1);
        pool.execute(|| panic!("on purpose"));
        let failed = block_on(pool.spawn(|| panic!("on purpose")));
        assert!(failed.is_err_and(|error: crate::JoinError| error.is_panic()));
        assert_eq!(block_on(pool.spawn(|| 7)).ok(), Some(7));
    }

    #[test]
    fn a_job_can_drop_the_last_reference_to_its_pool() {
        let (gone, seen) = mpsc::channel();
        let pool = Arc::new(ThreadPool::new(1));
        let (own, go) = (pool.clone(), Arc::new(Barrier::new(2)));
        let started = go.clone();
        pool.execute(move || {
            started.wait();
            drop(own);
            gone.send(()).expect("the test listens");
        });
        drop(pool);
        go.wait();
        assert_eq!(seen.recv(), Ok(()));
    }

    #[test]
    fn the_kernel_keeps_the_whole_name_of_each_thread() {
        let pool = ThreadPool::new(12);
        let all = Arc::new(Barrier::new(12));
        let names = [(); 12].map(|()| {
            let all = all.clone();
            pool.spawn(move || {
                all.wait();
                let name = thread::current().name().map(str::to_owned);
                (name, std::fs::read_to_string("/proc/thread-self/comm"))
            })
        });
        for name in names {
            let (ours, kernels) = block_on(name).expect("the job does not panic");
            let kernels = kernels.expect("there is a /proc");
            assert_eq!(ours.as_deref(), Some(kernels.trim_end()));
        }
    }

    #[test]
    fn a_thread_continues_after_a_panic_payload_that_panics_when_dropped() {
        struct Dropped(Arc<AtomicUsize>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
                panic!("on purpose");
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        let pool = ThreadPool::new(1);
        let payload = Dropped(count.clone());
        pool.execute(|| std::panic::panic_any(payload));
        assert_eq!(block_on(pool.spawn(|| 7)).ok(), Some(7));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_pool_without_threads_is_an_error() {
        let error = ThreadPool::build(0).expect_err("it would never run a job");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(ThreadPool::new(4).threads(), 4);
    }

    #[test]
    #[should_panic(expected = "cannot start a pool of 0 threads")]
    fn new_panics_if_build_returns_an_error() {
        drop(ThreadPool::new(0));
    }
}
