//! The ids of the tasks that are ready, in two lists.
//!
//! ```text
//!  a wake ──────────────────────► woken ───┐ this turn polls them, then the tasks that are woken meanwhile
//!  yield_now, a spent budget ───► yielded ─┘ the next turn polls them, after the look at the reactor
//! ```

use std::cell::Cell;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

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

thread_local! {
    /// True while a task that yields wakes itself. A wake then goes to the second list.
    static YIELDING: Cell<bool> = const { Cell::new(false) };
}

/// Wakes a task so that the next turn polls it, after the reactor has looked for events.
pub fn wake_next_turn(waker: &Waker) {
    // A flag, not an argument, because the wake of a waker has no argument.
    YIELDING.set(true);
    waker.wake_by_ref();
    YIELDING.set(false);
}

/// The queue of one executor. Any thread may push.
pub struct Queue {
    state: Mutex<State>,
    /// The eventfd that ends the wait in epoll.
    unpark: mio::Waker,
}

#[derive(Default)]
struct State {
    /// The tasks for this turn.
    woken: Vec<TaskId>,
    /// The tasks for the next turn.
    yielded: Vec<TaskId>,
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
        // BEGIN TODO 2
        //> If `YIELDING` is set (`YIELDING.get()`), push the id onto `state.yielded`, else onto `state.woken`.
        //= todo!("TODO 2");
        if YIELDING.get() {
            state.yielded.push(task);
        } else {
            state.woken.push(task);
        }
        // END TODO
        let was_parked = mem::take(&mut state.parked);
        drop(state);
        if was_parked {
            // A write to an eventfd fails only if its counter is full, and then the wait ends, too.
            _ = self.unpark.wake();
        }
    }

    /// Takes the ids for a turn: the woken tasks, and behind them those that have yielded.
    pub fn take_turn(&self) -> Vec<TaskId> {
        let mut state = self.lock();
        let mut tasks = mem::take(&mut state.woken);
        tasks.append(&mut state.yielded);
        tasks
    }

    /// Takes the ids of the tasks that were woken during the turn.
    pub fn take_woken(&self) -> Vec<TaskId> {
        mem::take(&mut self.lock().woken)
    }

    /// Announces that the executor is about to wait. Returns false if a task is ready, so that it must not wait.
    pub fn try_park(&self) -> bool {
        // One lock for the look and the mark. A push comes before both, or after both.
        let mut state = self.lock();
        state.parked = state.woken.is_empty() && state.yielded.is_empty();
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
