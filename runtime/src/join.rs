//! The other end of a spawned task: wait for its value, abort it, or let it go.
//!
//! # How it works
//!
//! Task and handle share one [`Join`] cell. The task puts its outcome in and wakes whoever waits;
//! the handle takes it out. To abort, the handle raises a flag in the cell and wakes the task,
//! which finds the flag instead of being polled. The cell knows tasks and waiters only as
//! `std::task::Waker`s, so this module knows nothing of the executor.
//!
//! # Invariants
//!
//! - Always: an outcome is put in exactly once: a value, a panic, or "cancelled".
//! - Never: a waker woken or dropped while a cell of this module is borrowed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a task and its handle share.
pub(crate) struct Join<T> {
    outcome: Cell<Option<Result<T, JoinError>>>,
    stage: Cell<Stage>,
    /// Wakes the task, so that it notices an abort.
    task: RefCell<Option<Waker>>,
    /// Wakes whoever awaits the handle.
    waiter: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Aborting,
    Finished,
}

impl<T> Join<T> {
    pub(crate) fn new(task: Waker) -> Rc<Self> {
        Rc::new(Self {
            outcome: Cell::new(None),
            stage: Cell::new(Stage::Running),
            task: RefCell::new(Some(task)),
            waiter: RefCell::new(None),
        })
    }

    pub(crate) fn is_aborting(&self) -> bool {
        self.stage.get() == Stage::Aborting
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.stage.get() == Stage::Finished
    }

    /// Puts the outcome in and wakes the waiter.
    pub(crate) fn finish(&self, outcome: Result<T, JoinError>) {
        self.stage.set(Stage::Finished);
        self.outcome.set(Some(outcome));
        let task = self.task.take();
        let waiter = self.waiter.take();
        drop(task);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    fn wait(&self, waker: &Waker) {
        let current = self
            .waiter
            .borrow()
            .as_ref()
            .is_some_and(|waiter| waiter.will_wake(waker));
        if !current {
            let waker = waker.clone();
            let old = self.waiter.replace(Some(waker));
            drop(old);
        }
    }
}

/// Awaits a spawned task's value.
///
/// Made by [`spawn`](crate::spawn). Dropping the handle lets the task run on by itself, as
/// [`detach`](Self::detach) does; [`abort`](Self::abort) ends it.
///
/// # Errors
///
/// Awaiting gives a [`JoinError`] if the task panicked, was aborted, or went down with its
/// runtime.
///
/// # Panics
///
/// When it is polled again after it has given its value.
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
    join: Rc<Join<T>>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(join: Rc<Join<T>>) -> Self {
        Self { join }
    }

    /// Ends the task: its future is dropped, not later than in the loop's next turn.
    ///
    /// Awaiting the handle then gives an error for which [`JoinError::is_cancelled`] holds. A
    /// task that has finished already keeps its value.
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
        if self.join.stage.get() == Stage::Running {
            self.join.stage.set(Stage::Aborting);
            let task = self.join.task.take();
            if let Some(task) = task {
                task.wake();
            }
        }
    }

    /// Lets the task run on by itself. The same as dropping the handle, said aloud.
    pub fn detach(self) {
        drop(self);
    }

    /// Whether the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.join.is_finished()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if !self.join.is_aborting() {
            // Nobody can abort it any more: spare the task the second reference to its waker.
            let task = self.join.task.take();
            drop(task);
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.join.outcome.take() {
            return Poll::Ready(outcome);
        }
        assert!(
            !self.join.is_finished(),
            "JoinHandle polled again after it gave its value"
        );
        self.join.wait(cx.waker());
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

/// Why a task has no value: it panicked, or it was cancelled.
pub struct JoinError {
    cause: Cause,
}

enum Cause {
    Cancelled,
    /// The payload is only ever taken out whole; the lock makes the error `Sync`, which errors
    /// are expected to be.
    Panicked {
        message: Box<str>,
        payload: Mutex<Box<dyn Any + Send>>,
    },
}

impl JoinError {
    pub(crate) fn cancelled() -> Self {
        Self {
            cause: Cause::Cancelled,
        }
    }

    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        Self {
            cause: Cause::Panicked {
                message: panic_message(&*payload).into(),
                payload: Mutex::new(payload),
            },
        }
    }

    /// Whether the task was aborted, or went down with its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panicked { .. })
    }

    /// What the task panicked with, for [`std::panic::resume_unwind`].
    ///
    /// # Errors
    ///
    /// Gives the error back if it was no panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.cause {
            Cause::Panicked { payload, .. } => {
                Ok(payload.into_inner().unwrap_or_else(PoisonError::into_inner))
            }
            Cause::Cancelled => Err(self),
        }
    }
}

/// The words of a panic, when it had words.
fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled => f.write_str("the task was cancelled"),
            Cause::Panicked { message, .. } => write!(f, "the task panicked: {message}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
