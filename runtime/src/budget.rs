//! A limit on the work of one poll of a task, so that other tasks run.
//!
//! # How it works
//!
//! A task whose socket is always ready would never stop running. So each poll of a task begins with a budget
//! of [`BUDGET`] units. A *leaf* is a future that waits for an event itself. A leaf that is ready spends some
//! of the budget. If the budget is spent, the leaf wakes its task and returns `Pending`. The next turn polls
//! the task again, after the reactor has checked for events. A task that was woken earlier in the same poll is
//! polled again in this turn, after all tasks that are ready.
//!
//! | leaf | units |
//! |---|---|
//! | a read or a write of a socket | 1 for the call, and 1 for each whole 4 KiB that it moves |
//! | an accept | 4 |
//! | any other leaf that is ready in the poll in which it is first polled: a sleep, a join handle, a notification, a receive, a permit, a blocking job | 1 |
//! | any other leaf that has waited for a later poll | 0 |
//!
//! A leaf that has waited is free, because its task has let others run. So a deadline that has passed ends a
//! sleep even if another future of the same task has spent the whole budget.
//!
//! [`join`](fn@crate::join), [`race`](fn@crate::race), [`select`](fn@crate::select) and
//! [`timeout`](fn@crate::time::timeout) divide the rest of the budget equally among their futures. A poll
//! outside a runtime has no limit, and a poll inside [`unconstrained`] has none either.
//!
//! A task can run another executor inside its poll, for example `futures::executor::block_on`. Then our poll
//! does not end, and the executor does not refill the budget. So the leaf that is refused after 64 refusals
//! refills it.
//!
//! # Invariants
//!
//! - Always: a leaf that is refused has woken its task.
//! - Always: within one poll of a task, at most 64 refusals follow each other before the budget is full.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::local_queue;

/// The units that a task may spend in one poll.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, budget::BUDGET, spawn, time::sleep};
///
/// block_on(async {
///     let sleeps = Rc::new(Cell::new(0));
///     let counting = sleeps.clone();
///     let busy = spawn(async move {
///         loop {
///             sleep(Duration::ZERO).await; // ready at once: one unit
///             counting.set(counting.get() + 1);
///         }
///     });
///     let other = spawn(async move { sleeps.get() });
///     assert_eq!(other.await.unwrap(), BUDGET); // the other task runs after that many sleeps
///     busy.abort();
/// });
/// ```
pub const BUDGET: u32 = 64;

/// The bytes that one unit pays for: copying them takes about as long as a system call. One poll of a task
/// moves at most 256 KiB, and the rest of its last call.
const BYTES_PER_UNIT: usize = 4 * 1024;

/// The budget outside a runtime, and in an unconstrained future.
const UNLIMITED: u32 = u32::MAX;

thread_local! {
    // Plain cells without a destructor, so that each access is a load or a store. // LOG R1
    static LEFT: Cell<u32> = const { Cell::new(UNLIMITED) };
    /// The number of this poll. A leaf compares it, to know if it has waited for a later poll.
    static POLL: Cell<u32> = const { Cell::new(0) };
    /// The refusals since the budget was last full.
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// Fills the budget. The executor calls this before each poll of a task.
#[inline]
pub(crate) fn refill() {
    LEFT.set(BUDGET);
    REFUSED.set(0);
    // The number may wrap: a leaf compares it only with that of its own, recent poll.
    POLL.set(POLL.get().wrapping_add(1));
}

/// Returns the number of the present poll. Each poll of a task has another number.
pub(crate) fn poll_number() -> u32 {
    POLL.get()
}

/// Sets the remaining budget, and returns the one before. `None` means no limit.
///
/// A thread that enters a runtime has no limit between the polls there. When it leaves the runtime, it
/// continues with the budget from before.
pub(crate) fn replace(left: Option<Left>) -> Left {
    Left(LEFT.replace(left.map_or(UNLIMITED, |left| left.0)))
}

/// A remaining budget that was set aside.
#[derive(Clone, Copy)]
pub(crate) struct Left(u32);

/// Spends the cost of bytes that were moved. Spends all that is left if the cost is higher.
pub(crate) fn spend_bytes(bytes: usize) {
    let left = LEFT.get();
    // Small transfers are the usual case, and their cost is zero: no store. // LOG R1
    if bytes < BYTES_PER_UNIT || left == UNLIMITED {
        return;
    }
    let cost = u32::try_from(bytes / BYTES_PER_UNIT).unwrap_or(u32::MAX);
    LEFT.set(left.saturating_sub(cost));
}

/// Spends `cost` units of the task's budget, and returns `Ready`. If fewer units are left, spends these.
///
/// If no unit is left, wakes the task and returns `Pending`. The next turn polls the task again, after all
/// other ready tasks and after the reactor has checked for events.
///
/// Call this first in a leaf future of your own that can be ready many times in a row, and return `Pending`
/// if it does. The [module](self) lists the costs of this crate's futures. Outside a runtime it always
/// returns `Ready`.
///
/// # Examples
///
/// ```
/// use std::{future::poll_fn, task::{Poll, ready}};
/// use waterwheel::runtime::{block_on, budget};
///
/// block_on(poll_fn(|cx| {
///     ready!(budget::poll_spend(cx, 1));
///     Poll::Ready(())
/// }));
/// ```
#[inline]
pub fn poll_spend(cx: &mut Context<'_>, cost: u32) -> Poll<()> {
    match LEFT.get() {
        0 => refuse(cx),
        UNLIMITED => Poll::Ready(()),
        left => {
            // A cost above the rest is capped. Otherwise a cost above the whole budget would never succeed.
            LEFT.set(left.saturating_sub(cost));
            Poll::Ready(())
        }
    }
}

/// Wakes the task for the next turn.
#[cold]
fn refuse(cx: &mut Context<'_>) -> Poll<()> {
    REFUSED.set(REFUSED.get() + 1);
    if REFUSED.get() > BUDGET {
        // Our executor would have ended this poll long ago. So a foreign executor polls inside it, and only
        // this line can refill the budget.
        refill();
    }
    local_queue::wake_next_turn(cx.waker());
    Poll::Pending
}

/// Spends one unit. Waits for the next turn if none is left.
pub(crate) async fn spend_one() {
    poll_fn(|cx| poll_spend(cx, 1)).await;
}

/// The price of a leaf: one unit if it is ready in the poll in which it is first polled, else none.
#[derive(Debug, Default)]
pub(crate) struct Waited {
    /// The number of the poll in which the leaf began to wait.
    began: Option<u32>,
}

impl Waited {
    /// Notes that the leaf must wait.
    pub(crate) fn begin(&mut self) {
        self.began.get_or_insert_with(poll_number);
    }

    /// Spends one unit, unless the leaf has waited for a later poll. A leaf calls this when it is ready, and
    /// before it takes its value: a refusal must leave the value in its place.
    pub(crate) fn poll_spend(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.began {
            Some(began) if began != poll_number() => Poll::Ready(()),
            _ => poll_spend(cx, 1),
        }
    }
}

/// The remaining budget of a poll, divided among several futures of one task.
///
/// Each future has an equal share, so a future that spends its whole share leaves the shares of the others.
/// A share is at least one unit, unless the budget was spent before the first of them.
pub(crate) struct Shares {
    left: u32,
    /// The number of futures that are not polled yet.
    futures: u32,
    /// One unit, or zero if the budget was spent before.
    share_min: u32,
}

impl Shares {
    /// Divides the remaining budget among this many futures.
    #[inline]
    pub(crate) fn of(futures: u32) -> Self {
        let left = LEFT.get();
        Self {
            left,
            futures,
            share_min: left.min(1),
        }
    }

    /// Polls the next future with its share.
    #[inline]
    pub(crate) fn poll<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        if self.left == UNLIMITED {
            return poll();
        }
        // A unit that an earlier future has left is shared by the later ones.
        let share = (self.left / self.futures).max(self.share_min);
        self.futures -= 1;
        // The future sees its share as the whole budget, and may divide it again.
        LEFT.set(share);
        let result = poll();
        let spent = share.saturating_sub(LEFT.get());
        self.left = self.left.saturating_sub(spent);
        LEFT.set(self.left);
        result
    }
}

/// Runs `future` without a budget. Each poll of it lasts for as long as its leaves are ready.
///
/// Use this for a future that ends soon, and that would lose more time by its pauses than others gain.
///
/// # Cancel safety
///
/// The same as that of the future inside.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, budget, time::sleep};
///
/// block_on(budget::unconstrained(async {
///     for _ in 0..1_000 {
///         sleep(Duration::ZERO).await; // without `unconstrained`, other tasks would run after every 64 sleeps
///     }
/// }));
/// ```
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project! {
    /// The future of [`unconstrained`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::Ready;
    /// use waterwheel::runtime::block_on;
    /// use waterwheel::runtime::budget::{Unconstrained, unconstrained};
    ///
    /// let future: Unconstrained<Ready<u32>> = unconstrained(std::future::ready(7));
    /// assert_eq!(block_on(future), 7);
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Calls `poll` without a budget.
pub(crate) fn outside<T>(poll: impl FnOnce() -> T) -> T {
    let _restore = Restore(replace(None));
    poll()
}

/// Restores the budget when it drops, also if a poll panics.
struct Restore(Left);

impl Drop for Restore {
    fn drop(&mut self) {
        replace(Some(self.0));
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        outside(|| self.project().future.poll(cx))
    }
}
