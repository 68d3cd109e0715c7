//! A spawned future of any type, and the place of its outcome.
//!
//! # How it works
//!
//! The table of tasks knows no type of a future. It has each one in a box, and calls it through [`Run`].
//!
//! - A [`Joinable`] is the future of a task with a handle. Its outcome takes the place of the future, and the waiter of
//!   the task that awaits it stands beside it. So the handle and the task need no cell of their own (LOG R10).
//! - A [`Detached`] is a future without a handle. It has neither.
//!
//! # Invariants
//!
//! - Always: a panic of the future or of its destructor becomes the outcome, or is contained here.
//! - Never: a future moved after its first poll. It is dropped in place.

use std::any::Any;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::join_error::JoinError;
use crate::panics;
use crate::task_names::Info;
use crate::waiter::Waiter;

pub(crate) type BoxRun = Pin<Box<dyn Run>>;

/// The kind of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutcomeKind {
    Value,
    Error,
}

/// A future of any type, with or without a place for its outcome. No method panics.
pub(crate) trait Run {
    /// Polls the future. When a [`Joinable`] returns `Ready`, it has dropped its future and stored the outcome.
    /// A [`Detached`] stores no outcome, and its future is dropped together with it.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<OutcomeKind>;

    /// Drops a future that is not ready. The outcome is "cancelled", also if the destructor panics.
    fn cancel(self: Pin<&mut Self>) {}

    /// Returns the place for the waiter of the task that awaits the outcome. A [`Detached`] has no such place.
    fn waiter(self: Pin<&mut Self>) -> Option<&mut Option<Waiter>> {
        None
    }

    /// Adds the identity of the task to the outcome, which is an error.
    fn name_error(self: Pin<&mut Self>, _task: Info) {}

    /// Moves the outcome into `to`, an `Option<Result<T, JoinError>>`.
    fn take_outcome(self: Pin<&mut Self>, _to: &mut dyn Any) {}
}

/// Boxes a future whose outcome a handle can await.
pub(crate) fn joinable(future: impl Future + 'static) -> BoxRun {
    Box::pin(Joinable {
        state: JoinableState::Running { future },
        waiter: None,
    })
}

/// Boxes a future without a handle.
pub(crate) fn detached(future: impl Future<Output = ()> + 'static) -> BoxRun {
    Box::pin(Detached { future })
}

pin_project! {
    /// A future with a handle, and later its outcome.
    struct Joinable<F: Future> {
        #[pin]
        state: JoinableState<F>,
        waiter: Option<Waiter>,
    }
}

pin_project! {
    #[project = JoinableProjection]
    enum JoinableState<F: Future> {
        Running { #[pin] future: F },
        Ended { outcome: Option<Result<F::Output, JoinError>> },
    }
}

impl<F: Future> JoinableState<F> {
    /// Drops the future in place and stores the outcome.
    ///
    /// If the future has returned a value and its destructor panics, the panic is the outcome. If the outcome
    /// is a panic or a cancellation already, it stays.
    fn end(mut self: Pin<&mut Self>, outcome: Result<F::Output, JoinError>) -> OutcomeKind {
        let ended = Self::Ended { outcome: None };
        // `set` drops the future where it is, because a pinned future must not move. The new state is stored
        // even if the destructor panics.
        let dropped = catch_unwind(AssertUnwindSafe(|| self.as_mut().set(ended)));
        let outcome = match (outcome, dropped) {
            (Ok(value), Err(payload)) => {
                panics::discard(value);
                panics::count_task();
                Err(JoinError::panicked(payload))
            }
            (outcome, dropped) => {
                // The payload leaks, because its destructor could panic again.
                mem::forget(dropped);
                outcome
            }
        };
        let kind = match outcome {
            Ok(_) => OutcomeKind::Value,
            Err(_) => OutcomeKind::Error,
        };
        if let JoinableProjection::Ended { outcome: place } = self.project() {
            *place = Some(outcome);
        }
        kind
    }
}

impl<F: Future + 'static> Run for Joinable<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<OutcomeKind> {
        let mut state = self.project().state;
        let JoinableProjection::Running { future } = state.as_mut().project() else {
            return Poll::Ready(OutcomeKind::Value);
        };
        // Unwind safe: after a panic, the future is dropped and never polled again.
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => {
                panics::count_task();
                Err(JoinError::panicked(payload))
            }
        };
        Poll::Ready(state.end(outcome))
    }

    fn cancel(self: Pin<&mut Self>) {
        let mut state = self.project().state;
        if let JoinableProjection::Running { .. } = state.as_mut().project() {
            state.end(Err(JoinError::cancelled()));
        }
    }

    fn waiter(self: Pin<&mut Self>) -> Option<&mut Option<Waiter>> {
        Some(self.project().waiter)
    }

    fn name_error(self: Pin<&mut Self>, task: Info) {
        if let JoinableProjection::Ended { outcome } = self.project().state.project()
            && let Some(Err(error)) = outcome
        {
            error.set_task(task);
        }
    }

    fn take_outcome(self: Pin<&mut Self>, to: &mut dyn Any) {
        // The table does not know the type of the value, but the handle does. Its type is the output of the
        // future that was spawned, so the downcast succeeds.
        if let JoinableProjection::Ended { outcome } = self.project().state.project()
            && let Some(to) = to.downcast_mut::<Option<Result<F::Output, JoinError>>>()
        {
            *to = outcome.take();
        }
    }
}

pin_project! {
    /// A future without a handle, and so without an outcome.
    struct Detached<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future<Output = ()> + 'static> Run for Detached<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<OutcomeKind> {
        // The panic hook has printed the panic, and there is no handle that could return it.
        let future = self.project().future;
        let poll = panics::contain(|| future.poll(cx));
        let poll = poll.unwrap_or_else(|| {
            panics::count_task();
            Poll::Ready(())
        });
        poll.map(|()| OutcomeKind::Value)
    }
}
