//! [`try_join`]: two futures at once in one task, until both have succeeded or one has failed.
//!
//! # How it works
//!
//! It runs the two halves of a [`join`](fn@crate::join), and ends early if one of them has an error.
//!
//! # Invariants
//!
//! - Always: a future that is ready is not polled again, and its value is kept until the other one is ready.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::join::Join;
use crate::nodes::Origin;

/// Runs both futures until both have returned `Ok`, or until the first one returns `Err`. Returns both values, or
/// that error.
///
/// # Errors
///
/// Returns the error of the future that fails first. The other future is dropped together with this one. If both
/// fail in the same poll, returns the error of `first`.
///
/// # Panics
///
/// Panics if it is polled again after it has returned.
///
/// # Cancel safety
///
/// Dropping it, and an error, cancels both futures. The value of one that has ended is lost.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, try_join};
///
/// let both = block_on(try_join(async { "1".parse::<u8>() }, async { "2".parse::<u8>() }));
/// assert_eq!(both, Ok((1, 2)));
/// ```
#[track_caller]
pub fn try_join<T, U, E, A, B>(first: A, second: B) -> TryJoin<A, B>
where
    A: Future<Output = Result<T, E>>,
    B: Future<Output = Result<U, E>>,
{
    TryJoin {
        both: Join::new(first, second, Origin::here("try_join")),
    }
}

pin_project! {
    /// The future of [`try_join`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use waterwheel::runtime::{TryJoin, block_on, try_join};
    ///
    /// type Step = Ready<Result<u8, &'static str>>;
    ///
    /// let both: TryJoin<Step, Step> = try_join(ready(Ok(1)), ready(Err("no grain")));
    /// assert_eq!(block_on(both), Err("no grain"));
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct TryJoin<A: Future, B: Future> {
        #[pin]
        both: Join<A, B>,
    }
}

impl<T, U, E, A, B> Future for TryJoin<A, B>
where
    A: Future<Output = Result<T, E>>,
    B: Future<Output = Result<U, E>>,
{
    type Output = Result<(T, U), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut both = self.project().both;
        let poll = both.as_mut().poll(cx);
        // A pending join keeps the value of a future that has ended. It would wait for the other one also after
        // an error.
        if let Some(error) = both.take_error() {
            return Poll::Ready(Err(error));
        }
        // A poll that completes both futures moves their values out of the join. So an error may be here, too.
        poll.map(|(first, second)| Ok((first?, second?)))
    }
}
