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
}

/// Calls a hook, if it was set.
pub(crate) fn call(hook: Option<&TaskHook>, task: &Info) {
    if let Some(hook) = hook {
        panics::contain(|| hook(task));
    }
}
