//! The handle of a spawned task: it awaits the value.
//!
//! The task and its handle share a cell. The task stores its outcome there, and the handle stores its waker there.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::join_error::JoinError;

/// The outcome of a task: its value, or the reason why it has none.
pub type Outcome<T> = Result<T, JoinError>;

/// The part that a task and its handle share.
struct JoinCell<T> {
    /// The outcome, once the task has ended.
    outcome: Option<Outcome<T>>,
    /// True once the task has ended. The outcome may have been taken.
    finished: bool,
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
}

/// Makes two things of a future: a task without a value, and the handle of the value.
pub fn joinable<F>(future: F) -> (impl Future<Output = ()>, JoinHandle<F::Output>)
where
    F: Future + 'static,
{
    let cell = Rc::new(RefCell::new(JoinCell {
        outcome: None,
        finished: false,
        waiter: None,
    }));
    let handle = JoinHandle { cell: cell.clone() };
    let mut future = Box::pin(future);
    let task = poll_fn(move |cx| {
        // A panic must end this task only. So it is caught here, and becomes the outcome.
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        let outcome = match poll {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(panic) => Err(JoinError::panicked(panic)),
        };
        finish(&cell, outcome);
        Poll::Ready(())
    });
    (task, handle)
}

/// Stores the outcome of a task, and wakes the task that awaits it.
fn finish<T>(cell: &RefCell<JoinCell<T>>, outcome: Outcome<T>) {
    let waiter = {
        let mut cell = cell.borrow_mut();
        cell.outcome = Some(outcome);
        cell.finished = true;
        cell.waiter.take()
    };
    if let Some(waiter) = waiter {
        waiter.wake();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Outcome<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut cell = self.cell.borrow_mut();
        if let Some(outcome) = cell.outcome.take() {
            return Poll::Ready(outcome);
        }
        cell.waiter = Some(cx.waker().clone());
        Poll::Pending
    }
}
