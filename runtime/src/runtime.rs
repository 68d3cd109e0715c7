//! The runtime as its owner holds it: [`block_on`], and [`Runtime`] for programs with a loop of their own.
//!
//! # How it works
//!
//! Each method enters the runtime, calls the executor and leaves the runtime again. The owner keeps the
//! runtime between two calls, and with it all tasks.
//!
//! # Invariants
//!
//! - Always: destructors of tasks run inside the runtime.

use std::fmt;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::context::{Handle, Inside};
use crate::executor::{Executor, Settings};
use crate::join_handle::JoinHandle;
use crate::task_names::Info;
use crate::watch::Place;

/// Runs `future` to its end on this thread, and all tasks that it spawns beside it.
///
/// This makes a [`Runtime`], and drops it when the future is ready. The drop ends the tasks that still run, and
/// waits for the blocking jobs that run, without a limit.
///
/// # Panics
///
/// - Panics inside another runtime, because a thread can wait for only one.
/// - Panics if the future panics.
/// - Panics if the process does not have the three descriptors left that a runtime needs. [`Runtime::new`]
///   returns this error instead.
///
/// # Examples
///
/// ```
/// let answer = waterwheel::runtime::block_on(async { 42 });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime =
        Runtime::new().expect("a runtime needs three file descriptors, for epoll and eventfd");
    runtime.block_on(future)
}

/// A runtime for programs that have a loop of their own.
///
/// [`block_on`](fn@block_on) is enough for most programs. A `Runtime` keeps its tasks between calls. So a
/// program with its own loop (a game, a user interface, another event loop) can run the tasks for a moment at
/// a time.
///
/// Dropping it drops all tasks, and their destructors run inside the runtime. It also cancels the blocking
/// jobs that have not begun, and waits for those that run, without a limit.
/// [`shutdown_timeout`](Self::shutdown_timeout) sets a limit, and reports the tasks that were alive.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::Runtime;
///
/// let runtime = Runtime::new()?;
/// let task = runtime.spawn(async { "done" });
/// while !task.is_finished() {
///     runtime.poll();
/// }
/// assert_eq!(runtime.block_on(task).unwrap(), "done");
/// # std::io::Result::Ok(())
/// ```
pub struct Runtime {
    executor: Rc<Executor>,
}

impl Runtime {
    pub(crate) fn with(settings: Settings) -> io::Result<Self> {
        Ok(Self {
            executor: Executor::new(settings)?,
        })
    }

    /// Runs `future` to its end, and all tasks beside it. The tasks that have not ended stay for the next call.
    ///
    /// # Panics
    ///
    /// Panics inside a runtime, and if the future panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _inside = self.enter("block_on");
        self.executor.block_on(future, Place::here())
    }

    /// Runs the tasks that are ready, without waiting. Returns true if a task is still ready.
    ///
    /// It takes turns until no task is ready, but at most 256 of them, so that it returns even if tasks wake
    /// each other forever.
    ///
    /// # Panics
    ///
    /// Panics inside a runtime.
    #[track_caller]
    pub fn poll(&self) -> bool {
        self.poll_timeout(Duration::ZERO)
    }

    /// Polls the tasks that are ready. If no task is ready after that, waits once for an event, a deadline or
    /// another thread, for at most `duration`, and polls the tasks that this wakes. Returns true if a task is
    /// still ready.
    ///
    /// It can return early without having polled a task, so call it in a loop. It returns after 256 turns at
    /// the latest. Under steady load, it returns at the end of the turn in which the time has run out. With a
    /// paused clock, it moves the clock to the next deadline instead of waiting.
    ///
    /// # Panics
    ///
    /// Panics inside a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::{Runtime, time::sleep};
    ///
    /// let runtime = Runtime::new()?;
    /// let task = runtime.spawn(sleep(Duration::from_millis(5)));
    /// let mut frames = 0;
    /// while !task.is_finished() {
    ///     runtime.poll_timeout(Duration::from_millis(1));
    ///     frames += 1; // here a game draws
    /// }
    /// assert!(frames > 0);
    /// # std::io::Result::Ok(())
    /// ```
    #[track_caller]
    pub fn poll_timeout(&self, duration: Duration) -> bool {
        let _inside = self.enter("poll_timeout");
        self.executor.run_for(duration)
    }

    /// Takes turns until every task waits for an event, a deadline or another thread. Returns the number of
    /// tasks that have not ended.
    ///
    /// It does not return while a task wakes itself again and again. It does not move a paused clock.
    ///
    /// # Panics
    ///
    /// Panics inside a runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, yield_now};
    ///
    /// let runtime = Runtime::new()?;
    /// let ends = runtime.spawn(async { yield_now().await });
    /// let waits = runtime.spawn(std::future::pending::<()>());
    /// assert_eq!(runtime.tasks(), 2);
    /// assert_eq!(runtime.run_until_idle(), 1);
    /// assert!(ends.is_finished() && !waits.is_finished());
    /// # std::io::Result::Ok(())
    /// ```
    #[track_caller]
    pub fn run_until_idle(&self) -> usize {
        let _inside = self.enter("run_until_idle");
        self.executor.run_until_idle()
    }

    /// Spawns a task from outside. It first runs in the next call that polls tasks, such as
    /// [`poll`](Self::poll) or [`block_on`](Self::block_on).
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let _inside = Inside::enter(&self.executor);
        self.executor.spawn(future, Place::here())
    }

    /// Returns a handle for other threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// let handle = runtime.handle();
    /// let sender = std::thread::spawn(move || handle.spawn_with(|| async { println!("from a thread") }));
    /// sender.join().unwrap()?;
    /// runtime.run_until_idle(); // prints the line
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::of(&self.executor)
    }

    /// Returns the tasks that have not ended, with their names and places; see [`Info`].
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.spawn(std::future::pending::<()>()).detach();
    /// assert_eq!(runtime.alive_tasks().len(), 1);
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn alive_tasks(&self) -> Vec<Info> {
        self.executor.alive_tasks()
    }

    /// Ends the runtime as a drop does, but waits for at most `duration` for the blocking jobs that run. Returns a
    /// report of the tasks that were alive, and of the jobs that still run.
    ///
    /// All tasks are dropped first. A thread whose job still runs goes on by itself, until the job ends or the
    /// process does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{future::pending, time::Duration};
    /// use waterwheel::runtime::{Runtime, spawn_blocking, task, yield_now};
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.block_on(async {
    ///     task::Builder::new().name("listener").spawn(pending::<()>()).detach();
    ///     let job = spawn_blocking(|| std::thread::sleep(Duration::from_secs(60)));
    ///     task::Builder::new().name("job").spawn(job).detach();
    ///     std::thread::sleep(Duration::from_millis(50)); // the job begins
    /// });
    /// let report = runtime.shutdown_timeout(Duration::from_millis(1));
    /// assert_eq!(report.tasks.len(), 2);
    /// assert_eq!(report.jobs, 1);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown_timeout(self, duration: Duration) -> ShutdownReport {
        let _inside = Inside::enter(&self.executor);
        // The close ends all tasks, so they are listed first.
        let tasks = self.executor.alive_tasks();
        // Tasks end before the threads, because the drop of a task cancels its jobs that have not begun.
        self.executor.close();
        let jobs = self.executor.blocking().shut_down(duration);
        ShutdownReport { tasks, jobs }
    }

    /// Ends the runtime without waiting for the blocking jobs that run; see
    /// [`shutdown_timeout`](Self::shutdown_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// runtime.spawn(std::future::pending::<()>()).detach();
    /// let report = runtime.shutdown_background();
    /// assert_eq!((report.tasks.len(), report.jobs), (1, 0));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown_background(self) -> ShutdownReport {
        self.shutdown_timeout(Duration::ZERO)
    }

    /// Returns the number of tasks that have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.executor.tasks_len()
    }

    /// Enters the runtime for a call that may wait.
    ///
    /// # Panics
    ///
    /// Panics inside a runtime. The message names `operation`.
    #[track_caller]
    fn enter(&self, operation: &str) -> Inside {
        // Two executors on one thread would wait for each other: the outer one cannot poll while the inner
        // waits.
        let outside = crate::context::try_with(|_| ()).is_none();
        assert!(
            outside,
            "{operation} was called inside a runtime: a thread can wait for only one. Await the future, or spawn it"
        );
        Inside::enter(&self.executor)
    }
}

/// The tasks and jobs that had not ended when a runtime was shut down.
///
/// `Display` shows a line for each task, and one for the jobs.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{Runtime, ShutdownReport, task};
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     task::Builder::new().name("heartbeat").spawn(std::future::pending::<()>()).detach();
/// });
/// let report: ShutdownReport = runtime.shutdown_timeout(Duration::from_secs(1));
/// assert_eq!(report.tasks[0].name(), Some("heartbeat"));
/// assert!(report.to_string().contains("heartbeat"));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The tasks that were alive. Their futures were dropped.
    pub tasks: Vec<Info>,
    /// The number of blocking jobs that still run, on threads of their own.
    pub jobs: usize,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for task in &self.tasks {
            writeln!(f, "{task}")?;
        }
        match self.jobs {
            0 => Ok(()),
            jobs => writeln!(f, "{jobs} blocking jobs that still run"),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Inside, because the destructor of a task may spawn, or drop a socket.
        let _inside = Inside::enter(&self.executor);
        self.executor.close();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("tasks", &self.tasks())
            .finish_non_exhaustive()
    }
}
