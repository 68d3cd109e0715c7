//! The ids of the tasks that are ready.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// The number of a task. No two tasks of an executor have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId(pub u32);

impl TaskId {
    /// The id of the future that `block_on` runs.
    pub const ROOT: Self = Self(u32::MAX);
}

/// The queue of one executor. Any thread may push.
pub struct Queue {
    ready: Mutex<Vec<TaskId>>,
    /// The thread of the executor.
    executor: Thread,
}

impl Queue {
    /// Makes the queue of an executor on this thread.
    pub fn new() -> Self {
        Self {
            ready: Mutex::default(),
            executor: thread::current(),
        }
    }

    /// Makes a task ready.
    pub fn push(&self, task: TaskId) {
        self.lock().push(task);
        // The thread of the executor itself is not parked while it pushes.
        if thread::current().id() != self.executor.id() {
            self.executor.unpark();
        }
    }

    /// Takes all ids out.
    pub fn take(&self) -> Vec<TaskId> {
        mem::take(&mut *self.lock())
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<TaskId>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
