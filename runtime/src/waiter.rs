//! A task that waits for another task: kept as its id, or as a waker.
//!
//! # How it works
//!
//! If the task being polled waits for a task of its own runtime, its id does what a clone of its waker
//! does ([`polled`](crate::current_task)). An id costs no atomic exchange to keep, to wake and to drop, and runs
//! no foreign code.
//!
//! # Invariants
//!
//! - Always: an id is woken inside the runtime whose task it names.

use std::task::Waker;

use crate::current_task;
use crate::local_queue::TaskId;

/// A task that waits.
pub(crate) enum Waiter {
    /// A task of the runtime that this thread is inside.
    Task(TaskId),
    /// A task of a foreign executor or of another runtime, or a future inside a combinator.
    Foreign(Waker),
}

impl Waiter {
    /// Returns true if this wakes the same task as `waker`. `within` is true if this thread is inside the
    /// runtime whose task it may name: two runtimes use the same ids.
    pub(crate) fn is(&self, waker: &Waker, within: bool) -> bool {
        match self {
            Self::Task(task) => within && current_task::task(waker) == Some(*task),
            Self::Foreign(waiting) => waiting.will_wake(waker),
        }
    }
}
