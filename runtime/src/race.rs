//! Two futures at once, in one task.
//!
//! # How it works
//!
//! Each poll polls both. Each of the two has a share of the task's budget, so a future that is always
//! ready cannot keep the other one from running.
//!
//! # Invariants
//!
//! - Always: both futures are polled in each poll, unless the first one ends a race.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::budget::Shares;

/// Runs both futures, and returns the value of the one that is ready first. The other one is dropped with
/// the race.
///
/// `first` is polled first: it wins if both are ready.
///
/// # Cancel safety
///
/// The loser is cancelled, so it must be cancel safe.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel_runtime::{block_on, race, time::sleep};
///
/// let winner = block_on(race(
///     async { sleep(Duration::from_secs(60)).await; "tortoise" },
///     async { "hare" },
/// ));
/// assert_eq!(winner, "hare");
/// ```
pub fn race<T, A, B>(first: A, second: B) -> Race<A, B>
where
    A: Future<Output = T>,
    B: Future<Output = T>,
{
    Race { first, second }
}

pin_project! {
    /// The future of [`race`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Race<A, B> {
        #[pin]
        first: A,
        #[pin]
        second: B,
    }
}

impl<T, A: Future<Output = T>, B: Future<Output = T>> Future for Race<A, B> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        let mut shares = Shares::of(2);
        match shares.poll(|| this.first.poll(cx)) {
            Poll::Pending => shares.poll(|| this.second.poll(cx)),
            ready @ Poll::Ready(_) => ready,
        }
    }
}

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
/// use waterwheel_runtime::{block_on, join};
///
/// assert_eq!(block_on(join(async { 1 }, async { "one" })), (1, "one"));
/// ```
pub fn join<A: Future, B: Future>(first: A, second: B) -> Join<A, B> {
    Join {
        first: Half::Running { future: first },
        second: Half::Running { future: second },
    }
}

pin_project! {
    /// The future of [`join`].
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Join<A: Future, B: Future> {
        #[pin]
        first: Half<A>,
        #[pin]
        second: Half<B>,
    }
}

pin_project! {
    #[project = HalfProjection]
    enum Half<F: Future> {
        Running { #[pin] future: F },
        Done { value: Option<F::Output> },
    }
}

impl<F: Future> Half<F> {
    /// Polls the future if it is running. Returns true if it has its value.
    fn run(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        if let HalfProjection::Running { future } = self.as_mut().project() {
            let Poll::Ready(value) = future.poll(cx) else {
                return false;
            };
            self.set(Self::Done { value: Some(value) });
        }
        true
    }

    fn take(self: Pin<&mut Self>) -> Option<F::Output> {
        match self.project() {
            HalfProjection::Running { .. } => None,
            HalfProjection::Done { value } => value.take(),
        }
    }
}

impl<A: Future, B: Future> Future for Join<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut shares = Shares::of(2);
        let first = shares.poll(|| this.first.as_mut().run(cx));
        let second = shares.poll(|| this.second.as_mut().run(cx));
        if !(first && second) {
            return Poll::Pending;
        }
        let values = this.first.take().zip(this.second.take());
        Poll::Ready(values.expect("join is not polled after it has completed"))
    }
}

impl<A: Future, B: Future> std::fmt::Debug for Join<A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
