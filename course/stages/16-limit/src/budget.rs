//! A limit on the work of one poll of a task, so that other tasks run.
//!
//! A *leaf* is a future that waits for an event itself: a sleep, a read, a join handle. A leaf that is ready spends a
//! unit. If no unit is left, the leaf wakes its task for the next turn and returns `Pending`.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::local_queue;

/// The units that a task may spend in one poll.
pub const BUDGET: u32 = 64;

/// The budget outside a runtime.
const UNLIMITED: u32 = u32::MAX;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(UNLIMITED) };
}

/// Fills the budget. The executor calls this before each poll of a task.
pub fn refill() {
    LEFT.set(BUDGET);
}

/// Removes the limit, because the thread leaves the runtime.
pub fn remove_limit() {
    LEFT.set(UNLIMITED);
}

/// Spends one unit of the task's budget, and returns `Ready`. If no unit is left, wakes the task for the next turn and
/// returns `Pending`.
pub fn poll_spend(cx: &mut Context<'_>) -> Poll<()> {
    match LEFT.get() {
        0 => {
            local_queue::wake_next_turn(cx.waker());
            return Poll::Pending;
        }
        UNLIMITED => {}
        left => LEFT.set(left - 1),
    }
    Poll::Ready(())
}

/// Spends one unit. Waits for the next turn if none is left.
pub async fn spend_one() {
    poll_fn(poll_spend).await;
}
