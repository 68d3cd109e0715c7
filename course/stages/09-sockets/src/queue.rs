//! The ids of the tasks that are ready.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The id of a task. After the task has ended, the id names no other task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId {
    /// The slot in the table of tasks.
    pub index: u32,
    /// Distinguishes the tasks that have this slot one after the other.
    pub generation: u32,
}

impl TaskId {
    /// The id of the future that `block_on` runs. That future has no slot.
    pub const ROOT: Self = Self {
        index: u32::MAX,
        generation: 0,
    };
}

/// The queue of one executor. Any thread may push.
pub struct Queue {
    state: Mutex<State>,
    /// The eventfd that ends the wait in epoll.
    unpark: mio::Waker,
}

#[derive(Default)]
struct State {
    ready: Vec<TaskId>,
    /// True while the executor waits in epoll, or is about to.
    parked: bool,
}

impl Queue {
    pub fn new(unpark: mio::Waker) -> Self {
        Self {
            state: Mutex::default(),
            unpark,
        }
    }

    /// Makes a task ready.
    pub fn push(&self, task: TaskId) {
        let mut state = self.lock();
        state.ready.push(task);
        let was_parked = mem::take(&mut state.parked);
        drop(state);
        if was_parked {
            // A write to an eventfd fails only if its counter is full, and then the wait ends, too.
            _ = self.unpark.wake();
        }
    }

    /// Takes all ids out.
    pub fn take(&self) -> Vec<TaskId> {
        mem::take(&mut self.lock().ready)
    }

    /// Announces that the executor is about to wait. Returns false if a task is ready, so that it must not wait.
    pub fn try_park(&self) -> bool {
        // One lock for the look and the mark. A push comes before both, or after both.
        let mut state = self.lock();
        state.parked = state.ready.is_empty();
        state.parked
    }

    /// Announces that the wait is over.
    pub fn unparked(&self) {
        self.lock().parked = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
