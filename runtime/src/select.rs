//! [`select`]: several futures of different types at once in one task, until the first of them is ready.
//!
//! # How it works
//!
//! Each poll polls the futures one after the other, and begins with another one each time (see
//! [`rotation`]). Each has a share of the task's budget. So a future that is always ready
//! neither keeps the others from running nor always wins.
//!
//! These are plain functions and no macro, so each branch is a value. A `match` on the result has the code of
//! the branches.
//!
//! # Invariants
//!
//! - Always: all futures are polled in each poll, unless one of them is ready.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::budget::Shares;
use crate::nodes::{self, Origin, Subject};
use crate::points;
use crate::rotation;

/// The value of one of two futures.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{Either, block_on, select};
///
/// match block_on(select(pending::<u32>(), async { "closed" })) {
///     Either::First(number) => println!("{number}"),
///     Either::Second(reason) => assert_eq!(reason, "closed"),
/// }
/// let text = block_on(select(pending(), async { "either" })).into_inner();
/// assert_eq!(text, "either");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first future was ready first.
    First(A),
    /// The second future was ready first.
    Second(B),
}

/// The value of one of three futures.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{Either3, block_on, select3};
///
/// let first = block_on(select3(pending(), pending(), async { 3 }));
/// assert_eq!(first, Either3::Third(3));
/// assert_eq!(first.into_inner(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either3<A, B, C> {
    /// The first future was ready first.
    First(A),
    /// The second future was ready first.
    Second(B),
    /// The third future was ready first.
    Third(C),
}

/// The value of one of four futures.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{Either4, block_on, select4};
///
/// let first = block_on(select4(pending(), pending(), pending(), async { 4 }));
/// assert_eq!(first, Either4::Fourth(4));
/// assert_eq!(first.into_inner(), 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either4<A, B, C, D> {
    /// The first future was ready first.
    First(A),
    /// The second future was ready first.
    Second(B),
    /// The third future was ready first.
    Third(C),
    /// The fourth future was ready first.
    Fourth(D),
}

impl<T> Either<T, T> {
    /// Returns the value, whichever future it is from.
    pub fn into_inner(self) -> T {
        match self {
            Self::First(value) | Self::Second(value) => value,
        }
    }
}

impl<T> Either3<T, T, T> {
    /// Returns the value, whichever future it is from. With it, [`select3`] is a race of three.
    pub fn into_inner(self) -> T {
        match self {
            Self::First(value) | Self::Second(value) | Self::Third(value) => value,
        }
    }
}

impl<T> Either4<T, T, T, T> {
    /// Returns the value, whichever future it is from. With it, [`select4`] is a race of four.
    pub fn into_inner(self) -> T {
        match self {
            Self::First(value) | Self::Second(value) | Self::Third(value) | Self::Fourth(value) => {
                value
            }
        }
    }
}

/// Runs two futures, and returns which of them was ready first, with its value. The other future is dropped
/// together with the select.
///
/// If both are ready in the same poll, the one that is polled first wins. The futures take turns at that, also
/// in a loop that begins a new select each time. So a channel that always has messages does not starve the other
/// branches. [`Select::biased`] polls the futures in their order instead.
///
/// To go on with the loser, pass a reference: `select(&mut sleep, receiver.recv())`. A future that is not `Unpin`
/// has to be pinned first ([`std::pin::pin!`]).
///
/// # Cancel safety
///
/// Dropping the select cancels both futures. The end of the select cancels the loser, so both futures must be
/// cancel safe.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{Either, block_on, select, sync::mpsc, time::sleep};
///
/// block_on(async {
///     let (sender, mut jobs) = mpsc::channel(4);
///     sender.send("sweep").await.unwrap();
///     let mut closing_time = sleep(Duration::from_millis(2));
///     let mut done = Vec::new();
///     loop {
///         match select(jobs.recv(), &mut closing_time).await {
///             Either::First(Some(job)) => done.push(job),
///             Either::First(None) | Either::Second(()) => break,
///         }
///     }
///     assert_eq!(done, ["sweep"]);
/// });
/// ```
#[track_caller]
pub fn select<A: Future, B: Future>(first: A, second: B) -> Select<A, B> {
    Select {
        first,
        second,
        is_biased: false,
        origin: Origin::here("select"),
    }
}

/// Runs three futures, and returns the value of the one that is ready first; see [`select`].
///
/// # Cancel safety
///
/// The same as that of [`select`].
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{Either3, block_on, select3};
///
/// let first = block_on(select3(pending::<u8>(), async { "two" }, pending::<char>()));
/// assert_eq!(first, Either3::Second("two"));
/// ```
#[track_caller]
pub fn select3<A, B, C>(first: A, second: B, third: C) -> Select3<A, B, C>
where
    A: Future,
    B: Future,
    C: Future,
{
    Select3 {
        first,
        second,
        third,
        is_biased: false,
        origin: Origin::here("select"),
    }
}

/// Runs four futures, and returns the value of the one that is ready first; see [`select`].
///
/// # Cancel safety
///
/// The same as that of [`select`].
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{block_on, select4};
///
/// let first = select4(pending(), pending(), async { "three" }, pending());
/// assert_eq!(block_on(first).into_inner(), "three");
/// ```
#[track_caller]
pub fn select4<A, B, C, D>(first: A, second: B, third: C, fourth: D) -> Select4<A, B, C, D>
where
    A: Future,
    B: Future,
    C: Future,
    D: Future,
{
    Select4 {
        first,
        second,
        third,
        fourth,
        is_biased: false,
        origin: Origin::here("select"),
    }
}

/// Runs all futures of a slice, and returns the index and the value of the one that is ready first; see
/// [`select`].
///
/// The futures stay in the slice, so the others can be awaited again. Do not poll the one that was ready again.
/// Each wake polls all futures. For more than a few dozen, use a [`JoinSet`](crate::task::JoinSet).
///
/// # Panics
///
/// The future panics if the slice is empty, because it would never be ready.
///
/// # Cancel safety
///
/// Safe: the futures stay in the slice.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, select_slice, time::sleep};
///
/// let mut sleeps = [30, 1, 20].map(|millis| sleep(Duration::from_millis(millis)));
/// let (index, ()) = block_on(async { select_slice(&mut sleeps).await });
/// assert_eq!(index, 1);
/// ```
#[doc(alias = "select_all")]
#[track_caller]
pub fn select_slice<F: Future + Unpin>(futures: &mut [F]) -> SelectSlice<'_, F> {
    SelectSlice {
        futures,
        is_biased: false,
        origin: Origin::here("select"),
    }
}

pin_project! {
    /// The future of [`select`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Pending, Ready, pending, ready};
    /// use waterwheel::runtime::{Either, Select, block_on, select};
    ///
    /// let first: Select<Pending<()>, Ready<u8>> = select(pending(), ready(2));
    /// assert_eq!(block_on(first), Either::Second(2));
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Select<A, B> {
        #[pin]
        first: A,
        #[pin]
        second: B,
        is_biased: bool,
        origin: Origin,
    }
}

pin_project! {
    /// The future of [`select3`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::ready;
    /// use waterwheel::runtime::{Either3, block_on, select3};
    ///
    /// let first = select3(ready(1), ready(2), ready(3)).biased(); // in their order
    /// assert_eq!(block_on(first), Either3::First(1));
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Select3<A, B, C> {
        #[pin]
        first: A,
        #[pin]
        second: B,
        #[pin]
        third: C,
        is_biased: bool,
        origin: Origin,
    }
}

pin_project! {
    /// The future of [`select4`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::ready;
    /// use waterwheel::runtime::{Either4, block_on, select4};
    ///
    /// let first = select4(ready(1), ready(2), ready(3), ready(4)).biased(); // in their order
    /// assert_eq!(block_on(first), Either4::First(1));
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Select4<A, B, C, D> {
        #[pin]
        first: A,
        #[pin]
        second: B,
        #[pin]
        third: C,
        #[pin]
        fourth: D,
        is_biased: bool,
        origin: Origin,
    }
}

/// The future of [`select_slice`].
///
/// # Examples
///
/// ```
/// use std::future::ready;
/// use waterwheel::runtime::{block_on, select_slice};
///
/// let mut futures = [ready('a'), ready('b')];
/// let first = select_slice(&mut futures).biased(); // in their order
/// assert_eq!(block_on(first), (0, 'a'));
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SelectSlice<'a, F> {
    futures: &'a mut [F],
    is_biased: bool,
    origin: Origin,
}

impl<A, B> Select<A, B> {
    /// Polls the futures in their order. So an earlier one wins if several are ready, and in a loop it can starve
    /// the later ones. Use this to prefer a cancellation, or for a fixed order in a test.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Either, block_on, select};
    ///
    /// let first = block_on(select(async { 1 }, async { "one" }).biased());
    /// assert_eq!(first, Either::First(1));
    /// ```
    pub fn biased(mut self) -> Self {
        self.is_biased = true;
        self
    }
}

impl<A, B, C> Select3<A, B, C> {
    /// Polls the futures in their order; see [`Select::biased`].
    pub fn biased(mut self) -> Self {
        self.is_biased = true;
        self
    }
}

impl<A, B, C, D> Select4<A, B, C, D> {
    /// Polls the futures in their order; see [`Select::biased`].
    pub fn biased(mut self) -> Self {
        self.is_biased = true;
        self
    }
}

impl<F> SelectSlice<'_, F> {
    /// Polls the futures in their order; see [`Select::biased`].
    pub fn biased(mut self) -> Self {
        self.is_biased = true;
        self
    }
}

/// Calls `poll` with the index of each of these futures, until one is ready.
fn poll_each<T>(
    cx: &mut Context<'_>,
    futures: usize,
    is_biased: bool,
    origin: Origin,
    mut poll: impl FnMut(&mut Context<'_>, usize) -> Poll<T>,
) -> Poll<T> {
    let first = if is_biased {
        0
    } else {
        rotation::first_of(futures)
    };
    // Without shares, a future that spends the whole budget would make each poll refuse the futures behind it.
    let mut shares = Shares::of(u32::try_from(futures).unwrap_or(u32::MAX));
    // A future is polled even if another one has spent its share: it may be the one that is ready.
    let poll = nodes::enter(
        cx,
        origin,
        || Subject::Among(futures),
        |cx| {
            (first..futures)
                .chain(0..first)
                .map(|index| shares.poll(|| poll(cx, index)))
                .find(Poll::is_ready)
                .unwrap_or(Poll::Pending)
        },
    );
    points::raced(poll, origin.site())
}

impl<A: Future, B: Future> Future for Select<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A `match` and not an array: the futures have different types, and so have their outputs.
        poll_each(
            cx,
            2,
            *this.is_biased,
            *this.origin,
            |cx, index| match index {
                0 => this.first.as_mut().poll(cx).map(Either::First),
                _ => this.second.as_mut().poll(cx).map(Either::Second),
            },
        )
    }
}

impl<A: Future, B: Future, C: Future> Future for Select3<A, B, C> {
    type Output = Either3<A::Output, B::Output, C::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        poll_each(
            cx,
            3,
            *this.is_biased,
            *this.origin,
            |cx, index| match index {
                0 => this.first.as_mut().poll(cx).map(Either3::First),
                1 => this.second.as_mut().poll(cx).map(Either3::Second),
                _ => this.third.as_mut().poll(cx).map(Either3::Third),
            },
        )
    }
}

impl<A: Future, B: Future, C: Future, D: Future> Future for Select4<A, B, C, D> {
    type Output = Either4<A::Output, B::Output, C::Output, D::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        poll_each(
            cx,
            4,
            *this.is_biased,
            *this.origin,
            |cx, index| match index {
                0 => this.first.as_mut().poll(cx).map(Either4::First),
                1 => this.second.as_mut().poll(cx).map(Either4::Second),
                2 => this.third.as_mut().poll(cx).map(Either4::Third),
                _ => this.fourth.as_mut().poll(cx).map(Either4::Fourth),
            },
        )
    }
}

impl<F: Future + Unpin> Future for SelectSlice<'_, F> {
    type Output = (usize, F::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            futures,
            is_biased,
            origin,
        } = self.get_mut();
        assert!(
            // A wait without a waker is hard to find, so an empty slice is reported at once.
            !futures.is_empty(),
            "select_slice of no futures would never be ready"
        );
        poll_each(cx, futures.len(), *is_biased, *origin, |cx, index| {
            let poll = Pin::new(&mut futures[index]).poll(cx);
            poll.map(|value| (index, value))
        })
    }
}
