//! [`race`]: two futures at once in one task, until the first of them is ready.
//!
//! # How it works
//!
//! Each poll polls both futures. Each has a share of the task's budget, so a future that is always ready
//! cannot keep the other one from running.
//!
//! # Invariants
//!
//! - Always: both futures are polled in each poll, unless the first one ends the race.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::budget::Shares;

/// Runs both futures, and returns the value of the one that is ready first. The other future is dropped
/// together with the race.
///
/// If both are ready in the same poll, `first` wins, because it is polled first.
///
/// # Cancel safety
///
/// Dropping the race cancels both futures. The end of the race cancels the loser, so both futures must be
/// cancel safe.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, race, time::sleep};
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
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Pending, Ready, pending, ready};
    /// use waterwheel::runtime::{Race, block_on, race};
    ///
    /// let first: Race<Pending<u8>, Ready<u8>> = race(pending(), ready(1));
    /// assert_eq!(block_on(first), 1);
    /// ```
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
        // The second future is polled even if the first has spent its share: it may be the one that is ready.
        match shares.poll(|| this.first.poll(cx)) {
            Poll::Pending => shares.poll(|| this.second.poll(cx)),
            ready @ Poll::Ready(_) => ready,
        }
    }
}
