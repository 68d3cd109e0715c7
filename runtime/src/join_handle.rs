//! The handle of a spawned task: it awaits the value, aborts the task, or detaches it.
//!
//! # How it works
//!
//! A handle has the id of a task and a reference to the table of tasks. The outcome stays in the task's slot
//! until the handle takes it. Each method here calls a function of [`handle`] in `task_table`. The table outlives its
//! runtime for as long as a handle exists, so a value is not lost when the runtime ends.
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
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::budget;
use crate::causes::Reason;
use crate::join_error::JoinError;
use crate::local_queue::TaskId;
use crate::nodes::{self, Origin, Subject};
use crate::remote::Remote;
use crate::task_table::Tasks;
use crate::task_table::handle::{self, Progress};
use crate::watch::Place;

/// Awaits a spawned task's value.
///
/// Returned by [`spawn`](crate::spawn). If the handle is dropped, the task runs on without it, as after
/// [`detach`](Self::detach). [`abort`](Self::abort) ends the task.
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
/// Safe: the value stays in the slot until the handle returns it. `(&mut handle).await` can lose a race and be
/// awaited again.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, spawn};
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

    /// Aborts the task. Its future is dropped instead of polled, in the next turn at the latest. A task that
    /// returns before that keeps its value.
    ///
    /// [`is_finished`](Self::is_finished) returns false until the future is dropped. Awaiting the handle
    /// then returns an error for which [`JoinError::is_cancelled`] holds.
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let handle = spawn(std::future::pending::<()>());
    ///     handle.abort();
    ///     assert!(handle.await.unwrap_err().is_cancelled());
    /// });
    /// ```
    #[track_caller]
    pub fn abort(&self) {
        self.end(Reason::Abort, Some(Place::here()));
    }

    /// Aborts the task for this reason, at this place in the program.
    pub(crate) fn end(&self, reason: Reason, place: Option<Place>) {
        handle::abort(&self.tasks, self.task, reason, place);
    }

    /// Returns the id of the task, and the inbox of its runtime.
    pub(crate) fn parts(&self) -> (TaskId, Arc<Remote>) {
        (self.task, self.tasks.borrow().remote().clone())
    }

    /// Lets the task run on without the handle. Dropping the handle has the same effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use waterwheel::runtime::{block_on, spawn, yield_now};
    ///
    /// let done = Rc::new(Cell::new(false));
    /// let seen = done.clone();
    /// block_on(async {
    ///     spawn(async move { done.set(true) }).detach();
    ///     yield_now().await;
    /// });
    /// assert!(seen.get());
    /// ```
    pub fn detach(self) {
        drop(self);
    }

    /// Returns true if the task has ended: with a value, with a panic, or because its future was dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, spawn, yield_now};
    ///
    /// block_on(async {
    ///     let task = spawn(async {});
    ///     assert!(!task.is_finished()); // it has not run yet
    ///     yield_now().await;
    ///     assert!(task.is_finished());
    /// });
    /// ```
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
                // A task that has waited has let others run, so the value is free. The budget is spent before
                // the value is taken: a refusal must leave the value in the slot.
                if !awaited {
                    ready!(budget::poll_spend(cx, 1));
                }
                let mut outcome: Option<Self::Output> = None;
                handle::take(tasks, task, &mut outcome);
                return Poll::Ready(outcome.expect("a JoinHandle is not polled after its value"));
            }
            // The replaced waiter may have a foreign waker. The borrow of the table has ended.
            Progress::Waits(replaced) => drop(replaced),
            // The clone may be foreign code, so it happens while the table is not borrowed.
            Progress::MustWait => match handle::wait(tasks, task, cx.waker().clone()) {
                Ok(replaced) => drop(replaced),
                // The foreign code has ended the task, so no other wake will come.
                Err(waker) => waker.wake(),
            },
        }
        nodes::waits(cx, Origin::unknown("join"), || Subject::Task(task))
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
