//! [`race`]: two futures at once in one task, until the first of them is ready.
//!
//! # How it works
//!
//! Each poll polls both futures, and begins with another one each time. Each has a share of the task's budget. So
//! a future that is always ready neither keeps the other one from running nor always wins.
//!
//! # Invariants
//!
//! - Always: both futures are polled in each poll, unless the one that is polled first ends the race.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::budget::Shares;
use crate::nodes::{self, Origin, Subject};
use crate::points;
use crate::rotation;

/// Runs two futures with values of one type, and returns the value of the one that is ready first. The other
/// future is dropped together with the race.
///
/// If both are ready in the same poll, the one that is polled first wins. The two take turns at that, also in a
/// loop that begins a new race each time. [`Race::biased`] always polls `first` first.
///
/// If the values have different types, or if the caller must know which future was first, use
/// [`select`](fn@crate::select). It also has forms for more than two futures.
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
#[track_caller]
pub fn race<T, A, B>(first: A, second: B) -> Race<A, B>
where
    A: Future<Output = T>,
    B: Future<Output = T>,
{
    Race {
        first,
        second,
        is_biased: false,
        origin: Origin::here("race"),
    }
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
        is_biased: bool,
        origin: Origin,
    }
}

impl<A, B> Race<A, B> {
    /// Polls `first` first in each poll. So it wins if both are ready, and in a loop it can starve the other one.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, race};
    ///
    /// assert_eq!(block_on(race(async { 1 }, async { 2 }).biased()), 1);
    /// ```
    pub fn biased(mut self) -> Self {
        self.is_biased = true;
        self
    }
}

impl<T, A: Future<Output = T>, B: Future<Output = T>> Future for Race<A, B> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        let begins_with_second = !*this.is_biased && rotation::first_of(2) == 1;
        let mut shares = Shares::of(2);
        let poll = nodes::enter(
            cx,
            *this.origin,
            || Subject::Among(2),
            |cx| {
                // The other future is polled even if one has spent its share: it may be the one that is ready.
                if begins_with_second {
                    match shares.poll(|| this.second.poll(cx)) {
                        Poll::Pending => shares.poll(|| this.first.poll(cx)),
                        ready @ Poll::Ready(_) => ready,
                    }
                } else {
                    match shares.poll(|| this.first.poll(cx)) {
                        Poll::Pending => shares.poll(|| this.second.poll(cx)),
                        ready @ Poll::Ready(_) => ready,
                    }
                }
            },
        );
        points::raced(poll, this.origin.site())
    }
}
