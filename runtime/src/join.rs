//! [`join`]: two futures at once in one task, until both are ready.
//!
//! # How it works
//!
//! Each poll polls the futures that are not ready yet. Each has a share of the task's budget, so a future
//! that is always ready cannot keep the other one from running.
//!
//! # Invariants
//!
//! - Always: a future that is ready is not polled again, and its value is kept until both are ready.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::budget::Shares;
use crate::nodes::{self, Origin, Subject};

/// Runs both futures to their end, and returns both values.
///
/// # Panics
///
/// Panics if it is polled again after it has returned the values.
///
/// # Cancel safety
///
/// Dropping it cancels both futures. The value of one that has ended is lost.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, join};
///
/// assert_eq!(block_on(join(async { 1 }, async { "one" })), (1, "one"));
/// ```
#[track_caller]
pub fn join<A: Future, B: Future>(first: A, second: B) -> Join<A, B> {
    Join::new(first, second, Origin::here("join"))
}

impl<A: Future, B: Future> Join<A, B> {
    pub(crate) fn new(first: A, second: B, origin: Origin) -> Self {
        Self {
            first: Half::Running { future: first },
            second: Half::Running { future: second },
            origin,
        }
    }
}

pin_project! {
    /// The future of [`join`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use waterwheel::runtime::{Join, block_on, join};
    ///
    /// let both: Join<Ready<u8>, Ready<char>> = join(ready(1), ready('w'));
    /// assert_eq!(block_on(both), (1, 'w'));
    /// ```
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Join<A: Future, B: Future> {
        #[pin]
        first: Half<A>,
        #[pin]
        second: Half<B>,
        origin: Origin,
    }
}

pin_project! {
    #[project = HalfProjection]
    /// One of the two futures, and later its value.
    enum Half<F: Future> {
        Running { #[pin] future: F },
        Done { value: Option<F::Output> },
    }
}

impl<F: Future> Half<F> {
    /// Polls the future if it is still running. Returns true if its value is there.
    fn run(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        if let HalfProjection::Running { future } = self.as_mut().project() {
            let Poll::Ready(value) = future.poll(cx) else {
                return false;
            };
            // This drops the future in place, before the other one has ended. It may hold a lock or a socket.
            self.set(Self::Done { value: Some(value) });
        }
        true
    }

    /// Moves the value out, if it is there and `condition` holds.
    fn take_if(
        self: Pin<&mut Self>,
        condition: impl FnOnce(&F::Output) -> bool,
    ) -> Option<F::Output> {
        match self.project() {
            HalfProjection::Running { .. } => None,
            HalfProjection::Done { value } => value.take_if(|value| condition(value)),
        }
    }
}

impl<T, U, E, A, B> Join<A, B>
where
    A: Future<Output = Result<T, E>>,
    B: Future<Output = Result<U, E>>,
{
    /// Takes the error of the future that has failed, for [`try_join`](fn@crate::try_join). The other one may
    /// still be running.
    pub(crate) fn take_error(self: Pin<&mut Self>) -> Option<E> {
        let this = self.project();
        let first = this.first.take_if(Result::is_err);
        let second = this.second.take_if(Result::is_err);
        first.and_then(Result::err).or(second.and_then(Result::err))
    }
}

impl<A: Future, B: Future> Future for Join<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        nodes::enter(
            cx,
            *this.origin,
            || Subject::None,
            |cx| {
                let mut shares = Shares::of(2);
                // Both are polled in any case: no wake would come for a future that this poll has left out.
                let first = shares.poll(|| this.first.as_mut().run(cx));
                let second = shares.poll(|| this.second.as_mut().run(cx));
                if !(first && second) {
                    return Poll::Pending;
                }
                let values = this
                    .first
                    .take_if(|_| true)
                    .zip(this.second.take_if(|_| true));
                Poll::Ready(values.expect("join is not polled after it has completed"))
            },
        )
    }
}

impl<A: Future, B: Future> std::fmt::Debug for Join<A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
