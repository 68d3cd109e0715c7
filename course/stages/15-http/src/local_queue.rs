//! The tasks of this thread that are ready, in two lists.
//!
//! ```text
//!  a wake on the runtime's own thread ──► woken ───┐ this turn polls them, then the tasks that are woken meanwhile
//!  yield_now, a spent budget ───────────► yielded ─┘ the next turn polls them, after the look at the reactor
//! ```
//!
//! The lists are thread-local. So a wake takes no lock and no atomic instruction.
//!
//! - Always: the thread's lists are those of the runtime whose id is stored beside them.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
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

/// The id of a runtime within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeId(u32);

impl RuntimeId {
    /// Returns an id that no runtime has had before.
    pub fn next() -> Self {
        // Relaxed: only the uniqueness of the number matters.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The ready tasks of the runtime that this thread is inside.
struct Local {
    /// The runtime that has the lists. `None` outside a runtime.
    runtime: Cell<Option<RuntimeId>>,
    /// True while a task that yields wakes itself. A wake then goes to `yielded`.
    yielding: Cell<bool>,
    /// The tasks for this turn.
    woken: RefCell<Vec<TaskId>>,
    /// The tasks for the next turn.
    yielded: RefCell<Vec<TaskId>>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            runtime: Cell::new(None),
            yielding: Cell::new(false),
            woken: RefCell::new(Vec::new()),
            yielded: RefCell::new(Vec::new()),
        }
    };
}

/// Returns the id of the runtime that this thread is inside.
pub fn runtime() -> Option<RuntimeId> {
    LOCAL.with(|local| local.runtime.get())
}

/// Makes a task ready. It must belong to the runtime that this thread is inside.
pub fn push(task: TaskId) {
    LOCAL.with(|local| {
        let list = if local.yielding.get() {
            &local.yielded
        } else {
            &local.woken
        };
        list.borrow_mut().push(task);
    });
}

/// Wakes a task so that the next turn polls it, after the reactor has looked for events.
pub fn wake_next_turn(waker: &Waker) {
    // A flag, not an argument, because the wake of a waker has no argument.
    LOCAL.with(|local| local.yielding.set(true));
    waker.wake_by_ref();
    LOCAL.with(|local| local.yielding.set(false));
}

/// Takes the ids for a turn: the woken tasks, and behind them those that have yielded.
pub fn take_turn() -> Vec<TaskId> {
    LOCAL.with(|local| {
        let mut tasks = local.woken.take();
        tasks.append(&mut local.yielded.borrow_mut());
        tasks
    })
}

/// Takes the ids of the tasks that were woken during the turn.
pub fn take_woken() -> Vec<TaskId> {
    LOCAL.with(|local| local.woken.take())
}

/// Returns true if any task of the runtime that this thread is inside is ready.
pub fn any_ready() -> bool {
    LOCAL.with(|local| !local.woken.borrow().is_empty() || !local.yielded.borrow().is_empty())
}

/// The queue of one runtime. It stores the two lists while no thread is inside the runtime.
pub struct LocalQueue {
    runtime: RuntimeId,
    woken: RefCell<Vec<TaskId>>,
    yielded: RefCell<Vec<TaskId>>,
    /// True while a thread is inside the runtime.
    entered: Cell<bool>,
}

impl LocalQueue {
    pub fn new(runtime: RuntimeId) -> Self {
        Self {
            runtime,
            woken: RefCell::default(),
            yielded: RefCell::default(),
            entered: Cell::new(false),
        }
    }

    /// Makes the lists of this runtime the thread's lists, until the guard drops. Guards of several runtimes nest.
    ///
    /// # Panics
    ///
    /// Panics if a thread is inside the runtime already.
    pub fn enter(self: &Rc<Self>) -> Entered {
        let was_entered = self.entered.replace(true);
        assert!(!was_entered, "this runtime is running already");
        LOCAL.with(|local| {
            self.exchange(local);
            Entered {
                queue: self.clone(),
                outer: local.runtime.replace(Some(self.runtime)),
            }
        })
    }

    /// Swaps the thread's lists with those that are stored here.
    fn exchange(&self, local: &Local) {
        mem::swap(
            &mut *local.woken.borrow_mut(),
            &mut *self.woken.borrow_mut(),
        );
        mem::swap(
            &mut *local.yielded.borrow_mut(),
            &mut *self.yielded.borrow_mut(),
        );
    }
}

/// The guard of [`LocalQueue::enter`]. Dropping it restores the lists that the thread had before.
pub struct Entered {
    queue: Rc<LocalQueue>,
    /// The runtime that the thread was inside before.
    outer: Option<RuntimeId>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        LOCAL.with(|local| {
            self.queue.exchange(local);
            local.runtime.set(self.outer);
        });
        self.queue.entered.set(false);
    }
}
