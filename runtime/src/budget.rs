//! A limit on the work of one poll of a task, so that other tasks run.
//!
//! # How it works
//!
//! A socket that is always ready would keep its task running. So each poll of a task begins with a
//! budget of [`BUDGET`] units. A leaf future that is ready spends some of it. If the budget is spent, the
//! leaf wakes its task and returns `Pending`, and the task runs again after the next look at the reactor.
//!
//! | leaf | units |
//! |---|---|
//! | a read or a write of a socket | 1 for the call, and 1 for each whole 4 KiB that it moves |
//! | an accept | 4 |
//! | any other leaf that is ready when it is first polled: a sleep, a join handle, a notification, a blocking job | 1 |
//! | any other leaf that has waited | 0 |
//!
//! A leaf that has waited for another poll is free because its task has let others run. So a deadline that
//! has passed is seen even if another future of the same task has spent the whole budget.
//!
//! [`join`](fn@crate::join), [`race`](fn@crate::race) and [`timeout`](fn@crate::time::timeout) divide the
//! rest of the budget equally among their futures. A poll outside a runtime, and one inside
//! [`unconstrained`], has no budget.
//!
//! A task can run another executor inside its poll, for example `futures::executor::block_on`. Then the
//! budget would never be refilled, because our poll does not end. So after 64 refusals the budget is full
//! again.
//!
//! # Invariants
//!
//! - Always: a leaf that is refused has woken its task.
//! - Always: in one poll of a task, finitely many refusals lead to a full budget.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::local_queue;

/// The units that a task may spend in one poll.
pub const BUDGET: u32 = 64;

/// Copying this many bytes takes about as long as a call, so it costs a unit of its own. One poll of a
/// task moves 256 KiB, and the rest of its last call.
const BYTES_PER_UNIT: usize = 4 * 1024;

/// The budget outside a runtime, and in an unconstrained future.
const UNLIMITED: u32 = u32::MAX;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(UNLIMITED) };
    /// The number of this poll, so that a leaf can tell whether another poll has come since.
    static POLL: Cell<u32> = const { Cell::new(0) };
    /// The refusals since the budget was last full.
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// Fills the budget. The executor calls this before each poll of a task.
#[inline]
pub(crate) fn refill() {
    LEFT.set(BUDGET);
    REFUSED.set(0);
    POLL.set(POLL.get().wrapping_add(1));
}

/// Returns the number of the present poll. It is another one in each poll of a task.
pub(crate) fn poll_number() -> u32 {
    POLL.get()
}

/// Sets the rest of the budget. `None` means no limit. Returns the rest from before.
///
/// A thread that enters a runtime has no limit between the polls there. When it leaves the runtime, it
/// continues with the rest from before.
pub(crate) fn replace(left: Option<Left>) -> Left {
    Left(LEFT.replace(left.map_or(UNLIMITED, |left| left.0)))
}

/// The rest of a budget that is set aside.
#[derive(Clone, Copy)]
pub(crate) struct Left(u32);

/// Spends the cost of bytes that have been moved already, or the whole rest if that is less.
pub(crate) fn spend_bytes(bytes: usize) {
    let left = LEFT.get();
    if bytes < BYTES_PER_UNIT || left == UNLIMITED {
        return;
    }
    let cost = u32::try_from(bytes / BYTES_PER_UNIT).unwrap_or(u32::MAX);
    LEFT.set(left.saturating_sub(cost));
}

/// Spends `cost` units, or all that are left if they are fewer. If none is left, wakes the task and
/// returns `Pending`; the task then runs again after all others that are ready and a look at the reactor.
///
/// Call this first in a leaf future of your own that can be ready many times in a row, and return if it is
/// pending. The [module](self) lists the costs of this crate's futures. Outside a runtime it always
/// succeeds.
///
/// # Examples
///
/// ```
/// use std::{future::poll_fn, task::{Poll, ready}};
/// use waterwheel_runtime::{block_on, budget};
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
            LEFT.set(left.saturating_sub(cost));
            Poll::Ready(())
        }
    }
}

#[cold]
fn refuse(cx: &mut Context<'_>) -> Poll<()> {
    REFUSED.set(REFUSED.get() + 1);
    if REFUSED.get() > BUDGET {
        // Our task's poll would have ended by now: a foreign executor is polling inside it.
        refill();
    }
    local_queue::wake_next_turn(cx.waker());
    Poll::Pending
}

/// The budget of one poll, divided among several futures of a task.
///
/// Each future has an equal share of what is left, so a future that spends all that it has leaves the
/// shares of the others. A share is at least one unit, unless the budget was spent before all of them.
pub(crate) struct Shares {
    left: u32,
    /// The number of futures that are still to be polled.
    futures: u32,
    share_min: u32,
}

impl Shares {
    /// Divides the rest of the budget among this many futures.
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
        let share = (self.left / self.futures).max(self.share_min);
        self.futures -= 1;
        LEFT.set(share);
        let result = poll();
        let spent = share.saturating_sub(LEFT.get());
        self.left = self.left.saturating_sub(spent);
        LEFT.set(self.left);
        result
    }
}

/// Runs `future` without a budget: it may keep the thread for as long as its leaves are ready.
///
/// Use it for a future that ends soon, if its pauses would cost more than they help.
///
/// # Cancel safety
///
/// As safe as the future inside.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel_runtime::{block_on, budget, time::sleep};
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
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Restores the rest of the budget, also if a poll panics.
struct Restore(Left);

impl Drop for Restore {
    fn drop(&mut self) {
        replace(Some(self.0));
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _restore = Restore(replace(None));
        self.project().future.poll(cx)
    }
}
