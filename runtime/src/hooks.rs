//! Functions of the user that the runtime calls at certain points.
//!
//! # How it works
//!
//! A runtime without hooks checks one pointer for each poll. A runtime with hooks takes the same steps in a
//! function of its own, out of line.
//!
//! # Invariants
//!
//! - Never: a borrow alive while a hook is called.
//! - Always: the runtime goes on after a hook that panics.

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
