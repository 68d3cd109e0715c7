//! How much one poll of a task may do before others have a turn.
//!
//! # How it works
//!
//! A socket that is always ready would let its task run for ever. So each poll of a task begins
//! with a budget; every leaf of this runtime that finds something ready spends some of it, and
//! with nothing left says "not yet" and wakes its task, which then goes to the end of the queue.
//!
//! # Invariants
//!
//! - Always: a leaf that is refused has woken its task.

use std::cell::Cell;
use std::task::{Context, Poll};

/// What a task may spend in one poll.
pub const BUDGET: u32 = 64;

/// So many bytes cost a unit of their own: copying them takes about as long as a call. One poll of a
/// task moves 256 KiB, and what its last call moves beyond that.
const BYTES_PER_UNIT: usize = 4 * 1024;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(BUDGET) };
}

/// Before each poll of a task.
pub(crate) fn refill() {
    LEFT.set(BUDGET);
}

/// Spends what so many bytes cost, which have been moved already: all that is left, if it is more.
pub(crate) fn spend_bytes(bytes: usize) {
    if bytes < BYTES_PER_UNIT {
        return;
    }
    let cost = u32::try_from(bytes / BYTES_PER_UNIT).unwrap_or(u32::MAX);
    LEFT.set(LEFT.get().saturating_sub(cost));
}

/// Spends `cost`; when that much is not left, wakes the task for its next turn and gives
/// `Pending`.
///
/// A read or a write costs 1, and 1 more for each 4 KiB that it moves; an accept 4. For leaf futures of your own that can be ready many
/// times in a row: call it first, and return if it is pending.
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
pub fn poll_spend(cx: &mut Context<'_>, cost: u32) -> Poll<()> {
    // What costs more than all is granted to whoever has spent nothing yet.
    let Some(left) = LEFT.get().checked_sub(cost.min(BUDGET)) else {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    };
    LEFT.set(left);
    Poll::Ready(())
}
