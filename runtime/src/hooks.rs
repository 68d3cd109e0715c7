//! Functions of the user that the runtime calls at certain points.
//!
//! # How it works
//!
//! A runtime without hooks checks one pointer for each poll, and one for each turn. A runtime with hooks polls in a
//! function of its own, out of line.
//!
//! # Invariants
//!
//! - Never: a borrow alive while a hook is called.
//! - Always: the runtime goes on after a hook that panics.

use std::cell::Cell;

use crate::panics;
use crate::task_names::Info;

/// A hook that is called with a task.
pub(crate) type TaskHook = Box<dyn Fn(&Info)>;

/// The hooks of a runtime, each if it was set.
#[derive(Default)]
pub(crate) struct Hooks {
    /// Called before and after each poll of a task.
    pub(crate) before_poll: Option<TaskHook>,
    pub(crate) after_poll: Option<TaskHook>,
    /// Called after the poll in which a task has panicked.
    pub(crate) on_panic: Option<TaskHook>,
    /// Called before the thread waits, and after the wait.
    pub(crate) on_park: Option<Box<dyn Fn()>>,
    pub(crate) on_unpark: Option<Box<dyn Fn()>>,
    /// True between the two hooks of a wait. The second hook is called late: before the next poll or the next wait.
    /// So a turn needs no check of its own for it.
    pub(crate) waits: Cell<bool>,
}

impl Hooks {
    /// Returns true if a hook is called with a task.
    pub(crate) fn know_tasks(&self) -> bool {
        self.before_poll.is_some() || self.after_poll.is_some() || self.on_panic.is_some()
    }

    /// Calls the hook before a wait.
    pub(crate) fn before_wait(&self) {
        // This is set even without a hook here, because `after_wait` may have one.
        self.waits.set(true);
        if let Some(hook) = &self.on_park {
            panics::contain(hook);
        }
    }

    /// Calls the hook after a wait, if there was one since the last call.
    pub(crate) fn after_wait(&self) {
        // The executor calls this before each poll and each wait, so only the first call after a wait counts.
        if let Some(hook) = self.on_unpark.as_ref().filter(|_| self.waits.take()) {
            panics::contain(hook);
        }
    }
}

/// Calls a hook, if it was set.
pub(crate) fn call(hook: Option<&TaskHook>, task: &Info) {
    if let Some(hook) = hook {
        // The hook runs on the stack of the executor. Its panic would end `block_on` and not the task.
        panics::contain(|| hook(task));
    }
}
