//! A task that waits for the end of another task: an id, or a waker.
//!
//! # How it works
//!
//! If both tasks belong to one runtime, the id of the waiting task serves as well as a clone of its waker (see
//! [`current_task`]). Keeping, waking and dropping an id costs no atomic exchange and
//! runs no foreign code (LOG R11).
//!
//! # Invariants
//!
//! - Always: an id is woken inside the runtime whose task it names.

use std::task::Waker;

use crate::current_task;
use crate::local_queue::TaskId;

/// A task that waits for another one.
pub(crate) enum Waiter {
    /// A task of the runtime that this thread is inside.
    Task(TaskId),
    /// The waker of a foreign executor's task, of another runtime's task, or of a combinator.
    Foreign(Waker),
}

impl Waiter {
    /// Returns true if this waiter wakes the same task as `waker`.
    ///
    /// `within` must be true if and only if this thread is inside the runtime of the id. Otherwise an equal id
    /// may be that of another runtime's task.
    pub(crate) fn is(&self, waker: &Waker, within: bool) -> bool {
        match self {
            Self::Task(task) => within && current_task::task(waker) == Some(*task),
            Self::Foreign(waiting) => waiting.will_wake(waker),
        }
    }
}
