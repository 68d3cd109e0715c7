//! The handle of a spawned task: it awaits the value, and aborts the task.
//!
//! The task and its handle share a cell. The task stores its outcome there, and the handle stores its waker there.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use crate::budget;
use crate::join_error::JoinError;

/// The outcome of a task: its value, or the reason why it has none.
pub type Outcome<T> = Result<T, JoinError>;

/// The part that a task and its handle share.
struct JoinCell<T> {
    /// The outcome, once the task has ended.
    outcome: Option<Outcome<T>>,
    /// True once the task has ended. The outcome may have been taken.
    finished: bool,
    /// True once the handle has aborted the task.
    aborting: bool,
    /// The waker of the task itself.
    task: Option<Waker>,
    /// The waker of the task that awaits the handle.
    waiter: Option<Waker>,
}

/// Awaits the value of a task. If it is dropped, the task runs on without it.
pub struct JoinHandle<T> {
    cell: Rc<RefCell<JoinCell<T>>>,
}

impl<T> JoinHandle<T> {
    /// Returns true if the task has ended.
    pub fn is_finished(&self) -> bool {
        self.cell.borrow().finished
    }

    /// Aborts the task. The next turn drops its future instead of polling it.
    pub fn abort(&self) {
        let task = {
            let mut cell = self.cell.borrow_mut();
            cell.aborting = true;
            cell.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Stores the waker of the task.
    pub fn set_task(&self, waker: Option<Waker>) {
        self.cell.borrow_mut().task = waker;
    }
}

/// A future whose outcome goes into a cell. The table of tasks stores it.
struct Joinable<F: Future> {
    /// `None` once the task has ended.
    future: Option<Pin<Box<F>>>,
    cell: Rc<RefCell<JoinCell<F::Output>>>,
}

/// Makes two things of a future: a task without a value, and the handle of the value.
pub fn joinable<F>(future: F) -> (impl Future<Output = ()>, JoinHandle<F::Output>)
where
    F: Future + 'static,
{
    let cell = Rc::new(RefCell::new(JoinCell {
        outcome: None,
        finished: false,
        aborting: false,
        task: None,
        waiter: None,
    }));
    let handle = JoinHandle { cell: cell.clone() };
    let task = Joinable {
        future: Some(Box::pin(future)),
        cell,
    };
    (task, handle)
}

impl<F: Future> Future for Joinable<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let aborting = self.cell.borrow().aborting;
        if aborting {
            self.future = None;
            finish(&self.cell, Err(JoinError::cancelled()));
            return Poll::Ready(());
        }
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        // A panic must end this task only. So it is caught here, and becomes the outcome.
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(panic) => Err(JoinError::panicked(panic)),
        };
        // The future is dropped first. A task that awaits the handle then finds its resources free.
        self.future = None;
        finish(&self.cell, outcome);
        Poll::Ready(())
    }
}

impl<F: Future> Drop for Joinable<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            drop(future);
            finish(&self.cell, Err(JoinError::cancelled()));
        }
    }
}

/// Stores the outcome of a task, and wakes the task that awaits it.
fn finish<T>(cell: &RefCell<JoinCell<T>>, outcome: Outcome<T>) {
    let (waiter, task) = {
        let mut cell = cell.borrow_mut();
        cell.outcome = Some(outcome);
        cell.finished = true;
        (cell.waiter.take(), cell.task.take())
    };
    // Dropped and woken when the cell is not borrowed, because a waker may be foreign code.
    drop(task);
    if let Some(waiter) = waiter {
        waiter.wake();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Outcome<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The unit is spent before the outcome is taken: a refusal must leave it in its place.
        if self.is_finished() {
            ready!(budget::poll_spend(cx));
        }
        let mut cell = self.cell.borrow_mut();
        if let Some(outcome) = cell.outcome.take() {
            return Poll::Ready(outcome);
        }
        let replaced = cell.waiter.replace(cx.waker().clone());
        drop(cell);
        drop(replaced);
        Poll::Pending
    }
}
