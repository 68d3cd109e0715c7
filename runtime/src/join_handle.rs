//! The handle of a spawned task: it awaits the value, aborts the task, or lets it run.
//!
//! # How it works
//!
//! A handle is the id of a task and a way to the table of tasks. The outcome stays in the task's slot
//! until the handle takes it ([`handle`] is the other side of each method here). The table
//! outlives its runtime for as long as a handle exists, so a value is not lost with the runtime.
//!
//! # Invariants
//!
//! - Never: a waker woken, cloned or dropped while the table is borrowed.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::budget;
use crate::join_error::JoinError;
use crate::local_queue::TaskId;
use crate::task::Tasks;
use crate::task::handle::{self, Progress};

/// Awaits a spawned task's value.
///
/// Made by [`spawn`](crate::spawn). Dropping the handle lets the task run on by itself, as
/// [`detach`](Self::detach) does; [`abort`](Self::abort) ends it.
///
/// # Errors
///
/// Awaiting it returns a [`JoinError`] if the task panicked, was aborted, or ended with its runtime.
///
/// # Panics
///
/// Panics if it is polled again after it has returned the value.
///
/// # Cancel safety
///
/// Safe: the value stays until it is taken. `(&mut handle).await` can be raced and tried again.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::{block_on, spawn};
///
/// block_on(async {
///     let handle = spawn(async { 6 * 7 });
///     assert_eq!(handle.await.unwrap(), 42);
/// });
/// ```
pub struct JoinHandle<T> {
    tasks: Rc<RefCell<Tasks>>,
    task: TaskId,
    value: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(tasks: Rc<RefCell<Tasks>>, task: TaskId) -> Self {
        Self {
            tasks,
            task,
            value: PhantomData,
        }
    }

    /// Marks the task as aborted. Its future is dropped instead of its next poll, in the next turn at the
    /// latest. A task that returns before that keeps its value.
    ///
    /// [`is_finished`](Self::is_finished) returns false until the future is dropped. Awaiting the handle
    /// then returns an error for which [`JoinError::is_cancelled`] holds.
    ///
    /// ```
    /// use waterwheel_runtime::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let handle = spawn(std::future::pending::<()>());
    ///     handle.abort();
    ///     assert!(handle.await.unwrap_err().is_cancelled());
    /// });
    /// ```
    pub fn abort(&self) {
        handle::abort(&self.tasks, self.task);
    }

    /// Lets the task run on by itself. This is the same as dropping the handle.
    pub fn detach(self) {
        drop(self);
    }

    /// Returns true if the task has ended: with a value, with a panic, or because its future was dropped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        handle::is_finished(&self.tasks, self.task)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        handle::release(&self.tasks, self.task);
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (tasks, task) = (&self.tasks, self.task);
        match handle::try_wait(tasks, task, cx.waker()) {
            Progress::Ended { awaited } => {
                if !awaited {
                    ready!(budget::poll_spend(cx, 1));
                }
                let mut outcome: Option<Self::Output> = None;
                handle::take(tasks, task, &mut outcome);
                return Poll::Ready(outcome.expect("a JoinHandle is not polled after its value"));
            }
            Progress::Waits(replaced) => drop(replaced),
            // Cloning a waker is foreign code: not while the table is borrowed.
            Progress::MustWait => match handle::wait(tasks, task, cx.waker().clone()) {
                Ok(replaced) => drop(replaced),
                // The foreign code has ended the task.
                Err(waker) => waker.wake(),
            },
        }
        Poll::Pending
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
