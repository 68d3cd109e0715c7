//! So many threads, and a queue of jobs: the pool at the end of the Rust Book, for programs that
//! want one of a size of their own.
//!
//! # How it works
//!
//! ```text
//!  execute ──► channel ──► whichever thread is free
//!  drop: the channel closes ──► the threads finish what is queued ──► they are joined
//! ```
//!
//! # Invariants
//!
//! - Always: a job that was accepted is run.
//! - Never: a thread lost to a job that panics.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::blocking::Blocking;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of a fixed number of threads, which does not belong to any runtime.
///
/// For what merely blocks now and then there is [`spawn_blocking`](crate::spawn_blocking), which
/// starts threads as they are needed. This one is for work that is to have so many threads and no
/// more: as many as there are cores, or as a database takes connections.
///
/// Dropping it is graceful: what is queued is still run, and waited for. On a runtime's thread that
/// holds up the runtime; drop it outside, or on another thread.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::{ThreadPool, block_on};
///
/// let pool = ThreadPool::new(2);
/// pool.execute(|| println!("somewhere else"));
/// let sum = block_on(pool.spawn(|| (1..=100).sum::<u32>()));
/// assert_eq!(sum.unwrap(), 5050);
/// ```
pub struct ThreadPool {
    /// Until it is dropped.
    jobs: Option<Sender<Job>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl ThreadPool {
    /// Starts so many threads.
    ///
    /// # Panics
    ///
    /// If that is none, or they cannot be started; [`build`](Self::build) gives an error instead.
    #[track_caller]
    #[must_use]
    pub fn new(threads: usize) -> Self {
        match Self::build(threads) {
            Ok(pool) => pool,
            Err(error) => panic!("a pool of {threads} threads: {error}"),
        }
    }

    /// Starts so many threads.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that is none; what the system says if they cannot be started.
    pub fn build(threads: usize) -> io::Result<Self> {
        if threads == 0 {
            let text = "a pool without threads would never do anything";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut pool = Self {
            jobs: Some(jobs),
            threads: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let queue = queue.clone();
            let thread = thread::Builder::new().name(format!("waterwheel-pool-{number}"));
            pool.threads.push(thread.spawn(move || work(&queue))?);
        }
        Ok(pool)
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Queues a job. It never waits; nothing bounds the queue but memory.
    ///
    /// A panic in the job ends with it.
    pub fn execute(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            // The threads end only when this has gone, so somebody listens.
            drop(jobs.send(Box::new(job)));
        }
    }

    /// Queues a job whose value can be awaited, in any runtime.
    ///
    /// Dropping the future before the job has begun cancels it. A paused clock does not wait for
    /// it: this pool is none of the runtime's own.
    ///
    /// # Errors
    ///
    /// The future gives a [`JoinError`](crate::JoinError) if the job panicked.
    pub fn spawn<T, F>(&self, job: F) -> Blocking<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (job, value) = Blocking::of(job);
        self.execute(job);
        value
    }
}

/// A thread's life.
fn work(queue: &Mutex<Receiver<Job>>) {
    // The queue is let go before the job is run.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
            // Its destructor may panic in its turn, so it gets none.
            std::mem::forget(payload);
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.jobs = None;
        let own = thread::current().id();
        for thread in self.threads.drain(..) {
            // A job that is the last to hold its pool cannot wait for itself.
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
        // Each waits for all the others.
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
    fn a_pool_that_is_dropped_does_first_what_is_queued() {
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
    fn a_job_that_panics_costs_no_thread() {
        let pool = ThreadPool::new(1);
        pool.execute(|| panic!("on purpose"));
        let failed = block_on(pool.spawn(|| panic!("on purpose")));
        assert!(failed.is_err_and(|error: crate::JoinError| error.is_panic()));
        assert_eq!(block_on(pool.spawn(|| 7)).ok(), Some(7));
    }

    #[test]
    fn a_job_may_be_the_last_to_hold_its_pool() {
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
    fn a_pool_without_threads_is_an_error() {
        let error = ThreadPool::build(0).expect_err("it would do nothing");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(ThreadPool::new(4).threads(), 4);
    }

    #[test]
    #[should_panic(expected = "a pool of 0 threads")]
    fn new_panics_where_build_gives_an_error() {
        drop(ThreadPool::new(0));
    }
}
