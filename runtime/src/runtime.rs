//! The runtime as its owner holds it.

use std::fmt;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::context::{Handle, Inside};
use crate::executor::Executor;
use crate::join_handle::JoinHandle;
use crate::watch::Place;

/// Runs `future` to its end on this thread, and all tasks that it spawns beside it.
///
/// This is the short way: it makes a [`Runtime`] and drops it in the end. Tasks that still run then are
/// dropped, and blocking jobs that are under way are waited for, without a limit.
///
/// # Panics
///
/// Panics inside another runtime, because a thread can wait for only one. Panics if the future panics, or
/// if the process has no descriptors left for a new runtime: it needs three, and [`Runtime::new`] returns
/// the error instead.
///
/// # Examples
///
/// ```
/// let answer = waterwheel_runtime::block_on(async { 42 });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime =
        Runtime::new().expect("a runtime needs three file descriptors, for epoll and eventfd");
    runtime.block_on(future)
}

/// A runtime for programs that turn the wheel themselves.
///
/// [`block_on`](fn@block_on) is enough for most programs. A `Runtime` keeps its tasks between calls,
/// so a program with a loop of its own (a game, a user interface, another event loop) can
/// give it a moment at a time.
///
/// Dropping it drops all tasks; their destructors run inside the runtime. It also cancels the blocking
/// jobs that have not begun, and waits for those that are under way, without a limit.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::Runtime;
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
    /// Opens a runtime: an epoll instance with two descriptors (the second one is for sockets that leave
    /// on another thread) and an eventfd.
    ///
    /// # Errors
    ///
    /// When the process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            executor: Executor::new()?,
        })
    }

    /// Runs `future` to its end, and all tasks beside it. Tasks stay for the next call.
    ///
    /// # Panics
    ///
    /// Inside a runtime, and when the future panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _inside = self.enter("block_on");
        self.executor.block_on(future, Place::here())
    }

    /// Does what can be done without waiting. Returns true if a task is still ready.
    ///
    /// It takes turns until no task is ready, but at most 256 of them, so that tasks which keep
    /// waking each other cannot keep it.
    ///
    /// # Panics
    ///
    /// Inside a runtime.
    #[track_caller]
    pub fn poll(&self) -> bool {
        self.poll_timeout(Duration::ZERO)
    }

    /// Polls the tasks that are ready. If none is ready then, waits once, for at most `duration`, for an
    /// event, a deadline or another thread, and polls the tasks that this wakes. Returns true if a task is
    /// still ready.
    ///
    /// It can return early without having polled a task, so call it in a loop. It returns after 256 turns
    /// in any case. Under steady load it does not stay longer than asked, except for the rest of the turn
    /// in which the time ran out. With a paused clock it jumps to the next deadline instead of waiting.
    ///
    /// # Panics
    ///
    /// Inside a runtime.
    #[track_caller]
    pub fn poll_timeout(&self, duration: Duration) -> bool {
        let _inside = self.enter("poll_timeout");
        self.executor.run_for(duration)
    }

    /// Takes turns until every task waits for something outside: an event, a deadline, another
    /// thread. Returns the number of tasks.
    ///
    /// It does not return while a task keeps waking itself, and does not move a paused clock.
    ///
    /// # Panics
    ///
    /// Inside a runtime.
    #[track_caller]
    pub fn run_until_idle(&self) -> usize {
        let _inside = self.enter("run_until_idle");
        self.executor.run_until_idle()
    }

    /// Spawns a task from outside; it first runs when the runtime is next given time.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let _inside = Inside::enter(&self.executor);
        self.executor.spawn(future, Place::here())
    }

    /// The runtime as other threads see it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::of(&self.executor)
    }

    /// Returns the number of tasks that have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.executor.tasks_len()
    }

    #[track_caller]
    fn enter(&self, operation: &str) -> Inside {
        let outside = crate::context::try_with(|_| ()).is_none();
        assert!(
            outside,
            "{operation} was called inside a runtime: a thread can wait for only one. Await the future, or spawn it"
        );
        Inside::enter(&self.executor)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
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
