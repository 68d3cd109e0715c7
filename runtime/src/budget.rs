//! How much one poll of a task may do before other tasks run.
//!
//! # How it works
//!
//! A socket that is always ready would keep its task running. So each poll of a task begins with a
//! budget of [`BUDGET`] units. A leaf future that is ready spends some of it. If the budget is spent, the
//! leaf wakes its task and returns `Pending`, and the task runs again behind the next look at the reactor.
//!
//! Who spends:
//!
//! - A socket spends a unit for each call, and a unit for each 4 KiB that it moves.
//! - Every other leaf (a sleep, a join handle, a notification, a blocking job) spends a unit if it is
//!   ready in the poll in which it was first polled. If it had to wait for another poll, it spends nothing:
//!   the task has let others run.
//!   So a deadline that has come is seen even if a busy neighbour in the same task has spent all.
//!
//! `Shares` divides what is left among the futures of one task. A poll outside a runtime, and one
//! inside [`unconstrained`], has no budget.
//!
//! A foreign executor that is run inside a task polls again without an end to our poll, so the budget
//! would stay spent. After as many refusals as a budget has units, the budget is full again.
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

/// Outside a runtime, and in an unconstrained future.
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

/// Sets what is left, and returns what was left before.
///
/// A thread that enters a runtime has no budget between the polls there, and goes on with the old one
/// when it leaves.
pub(crate) fn replace(left: Option<Left>) -> Left {
    Left(LEFT.replace(left.map_or(UNLIMITED, |left| left.0)))
}

/// What is left of a budget that is set aside.
#[derive(Clone, Copy)]
pub(crate) struct Left(u32);

/// Spends the cost of bytes that have been moved already: at most all that is left.
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
/// A read or a write costs 1, and 1 more for each 4 KiB that it moves; an accept costs 4. Call this first
/// in a leaf future of your own that can be ready many times in a row, and return if it is pending.
/// Outside a runtime it always succeeds.
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
    local_queue::wake_behind_look(cx.waker());
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
    /// Divides what is left among so many futures.
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
/// Use it for a future that is known to end soon, and whose pauses would cost more than they are worth.
///
/// # Cancel safety
///
/// It is as safe as the future inside.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel_runtime::{block_on, budget, time::sleep};
///
/// block_on(budget::unconstrained(async {
///     for _ in 0..1_000 {
///         sleep(Duration::ZERO).await; // lets others run once in 64 times otherwise
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

/// Restores what was left, also if a poll panics.
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
