//! [`join_all`] and [`try_join_all`]: any number of futures at once in one task, until all are ready.
//!
//! # How it works
//!
//! Each poll polls the futures that are not ready yet, each with a share of the task's budget. The values stay in
//! the places of their futures.
//!
//! # Invariants
//!
//! - Always: a future that is ready is dropped at once, and is not polled again.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::budget::Shares;
use crate::nodes::{self, Origin, Subject};

/// Runs all futures to their end, and returns their values in the order of the futures.
///
/// Each wake polls all futures that are not ready. For more than a few dozen, spawn them into a
/// [`JoinSet`](crate::task::JoinSet), which polls only the task that was woken.
///
/// # Cancel safety
///
/// Dropping it cancels all futures. The values of those that have ended are lost.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, join_all};
///
/// let squares = (1..=3).map(async |number| number * number);
/// assert_eq!(block_on(join_all(squares)), [1, 4, 9]);
/// ```
#[track_caller]
pub fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> JoinAll<F> {
    JoinAll::new(futures, Origin::here("join_all"))
}

/// Runs all futures until all have returned `Ok`, or until the first one returns `Err`. Returns the values in the
/// order of the futures, or that error.
///
/// Each wake polls all futures that are not ready, as in [`join_all`].
///
/// # Errors
///
/// Returns the error of the future that fails first. The others are dropped at once.
///
/// # Cancel safety
///
/// Dropping it, and an error, cancels all futures. The values of those that have ended are lost.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, try_join_all};
///
/// let numbers = |texts: [&'static str; 2]| texts.map(|text| async { text.parse::<u8>() });
/// assert_eq!(block_on(try_join_all(numbers(["1", "2"]))), Ok(vec![1, 2]));
/// assert!(block_on(try_join_all(numbers(["1", "two"]))).is_err());
/// ```
#[track_caller]
pub fn try_join_all<T, E, F>(futures: impl IntoIterator<Item = F>) -> TryJoinAll<F>
where
    F: Future<Output = Result<T, E>>,
{
    TryJoinAll {
        all: JoinAll::new(futures, Origin::here("try_join_all")),
    }
}

/// The future of [`join_all`].
///
/// # Examples
///
/// ```
/// use std::future::{Ready, ready};
/// use waterwheel::runtime::{JoinAll, block_on, join_all};
///
/// let all: JoinAll<Ready<u8>> = join_all([ready(1), ready(2)]);
/// assert_eq!(block_on(all), [1, 2]);
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct JoinAll<F: Future> {
    parts: Vec<Part<F>>,
    origin: Origin,
}

/// The future of [`try_join_all`].
///
/// # Examples
///
/// ```
/// use std::future::{Ready, ready};
/// use waterwheel::runtime::{TryJoinAll, block_on, try_join_all};
///
/// let all: TryJoinAll<Ready<Result<u8, ()>>> = try_join_all([ready(Ok(1)), ready(Ok(2))]);
/// assert_eq!(block_on(all), Ok(vec![1, 2]));
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct TryJoinAll<F: Future> {
    all: JoinAll<F>,
}

/// One future, and later its value. The future is in a box, because the parts move together with the vector.
enum Part<F: Future> {
    Running(Pin<Box<F>>),
    Done(F::Output),
    Taken,
}

impl<F: Future> Part<F> {
    fn running(future: F) -> Self {
        Self::Running(Box::pin(future))
    }

    fn take(&mut self) -> Option<F::Output> {
        match std::mem::replace(self, Self::Taken) {
            Self::Done(value) => Some(value),
            Self::Running(_) | Self::Taken => None,
        }
    }
}

impl<F: Future> JoinAll<F> {
    fn new(futures: impl IntoIterator<Item = F>, origin: Origin) -> Self {
        Self {
            parts: futures.into_iter().map(Part::running).collect(),
            origin,
        }
    }

    /// Polls the futures that are not ready, until `ends` returns true for a value. Returns the number of futures
    /// that are not ready, and the index of that value.
    fn run(
        &mut self,
        cx: &mut Context<'_>,
        ends: impl Fn(&F::Output) -> bool,
    ) -> (usize, Option<usize>) {
        let is_running = |part: &&Part<F>| matches!(part, Part::Running(_));
        // Only futures that run share the budget. A share of one that has ended would be lost.
        let mut running = self.parts.iter().filter(is_running).count();
        let mut shares = Shares::of(u32::try_from(running).unwrap_or(u32::MAX));
        for (index, part) in self.parts.iter_mut().enumerate() {
            let Part::Running(future) = part else {
                continue;
            };
            if let Poll::Ready(value) = shares.poll(|| future.as_mut().poll(cx)) {
                running -= 1;
                let is_end = ends(&value);
                // This drops the future. It may hold a lock or a socket for which another one waits.
                *part = Part::Done(value);
                if is_end {
                    // The futures behind this one are not polled, because an error drops them in any case.
                    return (running, Some(index));
                }
            }
        }
        (running, None)
    }

    /// Takes all values out, and drops all futures.
    fn take_all(&mut self) -> impl Iterator<Item = F::Output> + use<F> {
        let parts = std::mem::take(&mut self.parts);
        parts.into_iter().filter_map(|mut part| part.take())
    }
}

// The futures are in boxes, and the values are moved out. So no part is pinned.
impl<F: Future> Unpin for JoinAll<F> {}
impl<F: Future> Unpin for TryJoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (origin, futures) = (self.origin, self.parts.len());
        nodes::enter(
            cx,
            origin,
            || Subject::Futures(futures),
            |cx| match self.run(cx, |_| false) {
                (0, _) => Poll::Ready(self.take_all().collect()),
                _ => Poll::Pending,
            },
        )
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Future for TryJoinAll<F> {
    type Output = Result<Vec<T>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (origin, futures) = (self.all.origin, self.all.parts.len());
        nodes::enter(
            cx,
            origin,
            || Subject::Futures(futures),
            |cx| {
                match self.all.run(cx, Result::is_err) {
                    (_, Some(failed)) => {
                        // The error comes out first, because the clear drops all values.
                        let failed = self.all.parts[failed].take().and_then(Result::err);
                        // The other futures end now, not when this one is dropped.
                        self.all.parts.clear();
                        Poll::Ready(Err(failed.expect("the future at this index has failed")))
                    }
                    (0, None) => Poll::Ready(self.all.take_all().collect()),
                    _ => Poll::Pending,
                }
            },
        )
    }
}

impl<F: Future> std::fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinAll")
            .field("futures", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl<F: Future> std::fmt::Debug for TryJoinAll<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TryJoinAll")
            .field("futures", &self.all.parts.len())
            .finish_non_exhaustive()
    }
}
