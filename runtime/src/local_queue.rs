//! The tasks of this thread that are ready, and the order in which a turn polls them.
//!
//! # How it works
//!
//! ```text
//!  a wake on the runtime's own thread ──► woken ────┐ this turn polls them, then list by list the tasks that
//!  events (in front), due timers ───────► woken ────┤ are woken meanwhile, until it has polled at least 64
//!  yield_now, a spent budget ───────────► yielded ──┘ the next turn polls them, after the reactor's check
//! ```
//!
//! A wake pushes an id onto a thread-local list. It takes no lock and makes no system call. A turn takes the
//! whole list out and polls its tasks. At the end of a list, the turn reads the messages of other threads
//! and takes the list of the tasks that were woken meanwhile. A turn that has polled [`POLLS_PER_TURN`]
//! tasks starts no further list, but it polls a list that it has started to the end.
//!
//! A task that has called `yield_now`, or has spent its budget, could go on at once but lets others run
//! first. Its id goes to a second list, which the next turn takes. So the reactor and the timers are
//! checked between any two polls of a task that is always ready. Any other task that wakes itself counts as
//! woken. So does a task that yields after a plain wake in the same poll: its id is in the first list already.
//!
//! # Invariants
//!
//! - Always: the thread's lists are those of the runtime whose id is stored beside them.
//! - Always: the reactor checks for events between the poll in which a task yields and its next poll, unless the
//!   task was woken in that poll before it yielded.
//! - Never: a call into user code, except for the waker of [`wake_next_turn`].

use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use crate::dice::Dice;
use crate::primitives::thread_local;

/// A turn that has polled this many tasks starts no further list. It polls a list that it has started to the
/// end.
const POLLS_PER_TURN: usize = 64;

/// A list with room for more tasks than this is shrunk when less than a quarter of it is in use.
const CAPACITY_KEPT: usize = 4096;

/// Each list of a new runtime has room for this many tasks.
const CAPACITY_AT_START: usize = 16;

/// The id of a task of one runtime. After the task has ended, the id names no other task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TaskId {
    /// The slot in the executor's slab.
    pub(crate) index: u32,
    /// Distinguishes the tasks that have this slot one after the other.
    pub(crate) generation: NonZeroU32,
}

impl TaskId {
    /// The id of the future that `block_on` runs. That future has no slot.
    pub(crate) const ROOT: Self = Self {
        index: u32::MAX,
        generation: NonZeroU32::MIN,
    };
}

/// The id of a runtime within this process. Ids are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeId(NonZeroU32);

impl RuntimeId {
    /// Returns an id that no runtime has had before.
    pub(crate) fn next() -> Self {
        // Relaxed: only the uniqueness of the number matters.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU32::new(id).expect("fewer than four thousand million runtimes in a process"))
    }

    /// Returns the id with this number. Zero is no id.
    pub(crate) fn from_raw(raw: u32) -> Option<Self> {
        NonZeroU32::new(raw).map(Self)
    }

    /// Returns the number of the runtime. The first one in a process has the number 1.
    pub(crate) fn number(self) -> u32 {
        self.0.get()
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
    // The `ManuallyDrop` removes the destructor, so that an access is a plain load and works while the thread
    // ends. No destructor is needed, because the lists have no memory outside a runtime. // LOG R1
    static LOCAL: ManuallyDrop<Local> = const {
        ManuallyDrop::new(Local {
            runtime: Cell::new(None),
            yielding: Cell::new(false),
            woken: RefCell::new(Vec::new()),
            yielded: RefCell::new(Vec::new()),
        })
    };
}

/// Returns the id of the runtime that this thread is inside.
pub(crate) fn runtime() -> Option<RuntimeId> {
    LOCAL.with(|local| local.runtime.get())
}

/// Makes a task ready. It must belong to the runtime that this thread is inside.
pub(crate) fn push(task: TaskId) {
    LOCAL.with(|local| {
        let list = if local.yielding.get() {
            &local.yielded
        } else {
            &local.woken
        };
        list.borrow_mut().push(task);
    });
}

/// Wakes a task so that the next turn polls it, after the reactor has checked for events.
///
/// The waker may be a combinator's own, if it wakes the task before it returns.
pub(crate) fn wake_next_turn(waker: &Waker) {
    // A flag, not an argument: the waker's vtable has no argument, and a combinator may stand in between.
    let _reset = Yielding(LOCAL.with(|local| local.yielding.replace(true)));
    waker.wake_by_ref();
}

/// Restores the flag when it drops, also if a foreign waker panics.
struct Yielding(bool);

impl Drop for Yielding {
    fn drop(&mut self) {
        LOCAL.with(|local| local.yielding.set(self.0));
    }
}

/// Calls `collect`, which appends tasks to a list, and moves these tasks in front of all that are ready.
/// `collect` must not call user code, because the list is borrowed.
pub(crate) fn push_first<T>(collect: impl FnOnce(&mut Vec<TaskId>) -> T) -> T {
    LOCAL.with(|local| {
        let woken = &mut *local.woken.borrow_mut();
        let waiting = woken.len();
        let result = collect(woken);
        if waiting > 0 {
            // Usually no task is ready here. Then the order is right already, and no id is moved.
            woken.rotate_left(waiting);
        }
        result
    })
}

/// Returns true if any task of the runtime that this thread is inside is ready.
pub(crate) fn any_ready() -> bool {
    LOCAL.with(|local| !local.woken.borrow().is_empty() || !local.yielded.borrow().is_empty())
}

/// Returns true if the newest task that waits for the next turn is this one.
#[cfg(feature = "inspect")]
pub(crate) fn has_just_yielded(task: TaskId) -> bool {
    LOCAL.with(|local| local.yielded.borrow().last() == Some(&task))
}

/// Forgets all ready tasks of the runtime that this thread is inside.
pub(crate) fn clear() {
    LOCAL.with(|local| {
        local.woken.borrow_mut().clear();
        local.yielded.borrow_mut().clear();
    });
}

/// The queue of one runtime. It stores the two lists while no thread is inside the runtime.
pub(crate) struct LocalQueue {
    runtime: RuntimeId,
    woken: RefCell<Vec<TaskId>>,
    yielded: RefCell<Vec<TaskId>>,
    /// The memory of the last turn's list. The next turn uses it again.
    spare: Cell<Vec<TaskId>>,
    /// True while a thread is inside the runtime, perhaps further up the stack.
    entered: Cell<bool>,
    /// Determines the order of the tasks of each list. Only tests have it.
    dice: Option<Box<Dice>>,
    /// The number of polls with which a turn begins to count. With dice, each turn has one list, so that one place
    /// puts all lists into another order.
    polls_at_start: usize,
}

impl LocalQueue {
    pub(crate) fn new(runtime: RuntimeId, seed: Option<u64>) -> Self {
        Self {
            runtime,
            // Allocated here, so that the first turns cost no more than the later ones.
            woken: RefCell::new(Vec::with_capacity(CAPACITY_AT_START)),
            yielded: RefCell::new(Vec::with_capacity(CAPACITY_AT_START)),
            spare: Cell::new(Vec::with_capacity(CAPACITY_AT_START)),
            entered: Cell::new(false),
            dice: seed.map(|seed| Box::new(Dice::new(seed))),
            polls_at_start: seed.map_or(0, |_| POLLS_PER_TURN),
        }
    }

    /// Makes the lists of this runtime the thread's lists, until the guard drops. Guards nest.
    ///
    /// | the thread is inside | effect |
    /// |---|---|
    /// | no runtime, or another one | the thread gets the lists of this one |
    /// | this one, innermost | the thread keeps the lists |
    /// | this one, and another one inside it | the lists stay out of reach; wakes go through the inbox |
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        let id = Some(self.runtime);
        let outer = runtime();
        let again = self.entered.replace(true);
        LOCAL.with(|local| {
            // In the third case the thread has no lists, so it counts as outside: wakes then use the inbox.
            local.runtime.set(id.filter(|_| !again || outer == id));
            if !again {
                self.exchange(local);
            }
            Entered {
                queue: self.clone(),
                outer,
                outer_yielding: local.yielding.take(),
                again,
            }
        })
    }

    /// Swaps the thread's lists with those that are stored here.
    fn exchange(&self, local: &Local) {
        local.woken.swap(&self.woken);
        local.yielded.swap(&self.yielded);
    }

    /// Begins a turn. It takes all tasks that are ready, and calls `read_mail` at the end of each list.
    pub(crate) fn begin_turn<F: Fn()>(&self, read_mail: F) -> Turn<'_, F> {
        // One swap takes the whole list. The turn then reads it without a borrow, so tasks may push. // LOG R3
        let mut tasks = self.spare.take();
        LOCAL.with(|local| {
            mem::swap(&mut tasks, &mut *local.woken.borrow_mut());
            let yielded = &mut *local.yielded.borrow_mut();
            if tasks.is_empty() {
                mem::swap(&mut tasks, yielded);
            } else if !yielded.is_empty() {
                // Behind the woken ones: a task that yields lets all others run first.
                tasks.append(yielded);
            }
        });
        if let Some(dice) = &self.dice {
            dice.shuffle(&mut tasks);
        }
        Turn {
            queue: self,
            tasks,
            next: 0,
            polls_before: self.polls_at_start,
            read_mail,
        }
    }
}

/// The tasks of one turn, as an iterator. If it drops early, the remaining tasks are ready again, in front of
/// all others.
pub(crate) struct Turn<'a, F> {
    queue: &'a LocalQueue,
    tasks: Vec<TaskId>,
    /// The position in `tasks`.
    next: usize,
    /// The number of polls before the first of `tasks`.
    polls_before: usize,
    read_mail: F,
}

impl<F: Fn()> Turn<'_, F> {
    /// Takes the list of the tasks that were woken meanwhile. Returns false if the turn is over.
    fn take_more(&mut self) -> bool {
        // Mail is read here even if the turn is over. If tasks are always ready, the executor never waits, and
        // this is the only place that reads the inbox.
        (self.read_mail)();
        if self.polls_before + self.next >= POLLS_PER_TURN {
            return false;
        }
        LOCAL.with(|local| {
            let woken = &mut *local.woken.borrow_mut();
            if woken.is_empty() {
                return false;
            }
            self.polls_before += self.next;
            self.next = 0;
            self.tasks.clear();
            mem::swap(&mut self.tasks, woken);
            true
        })
    }
}

impl<F: Fn()> Iterator for Turn<'_, F> {
    type Item = TaskId;

    #[inline]
    fn next(&mut self) -> Option<TaskId> {
        if self.next == self.tasks.len() && !self.take_more() {
            return None;
        }
        let task = self.tasks[self.next];
        self.next += 1;
        Some(task)
    }
}

impl<F> Drop for Turn<'_, F> {
    fn drop(&mut self) {
        if self.next < self.tasks.len() {
            put_back(self.tasks.drain(self.next..));
        }
        self.tasks.clear();
        // Rare, so the check of the two other lists is out of line with the rest.
        if self.tasks.capacity() > CAPACITY_KEPT {
            shrink_all(&mut self.tasks);
        }
        self.queue.spare.set(mem::take(&mut self.tasks));
    }
}

/// Makes the remaining tasks of a turn ready again. The turn ended early because the future of `block_on` is
/// ready or has panicked. The next call of `block_on` continues with these tasks.
#[cold] // inline, it costs each turn nine instructions
fn put_back(rest: impl Iterator<Item = TaskId>) {
    LOCAL.with(|local| drop(local.woken.borrow_mut().splice(0..0, rest)));
}

/// Frees the memory of all three lists, if many tasks were ready at once and now few are.
#[cold]
fn shrink_all(turn: &mut Vec<TaskId>) {
    let shrink = |list: &mut Vec<TaskId>| {
        if list.len() < list.capacity() / 4 {
            list.shrink_to(list.len().max(CAPACITY_KEPT / 4));
        }
    };
    LOCAL.with(|local| {
        shrink(&mut local.woken.borrow_mut());
        shrink(&mut local.yielded.borrow_mut());
    });
    shrink(turn);
}

/// The guard of [`LocalQueue::enter`]. Dropping it restores the lists that the thread had before.
pub(crate) struct Entered {
    queue: Rc<LocalQueue>,
    /// The runtime that the thread was inside before.
    outer: Option<RuntimeId>,
    /// The flag of that runtime: the thread may have entered this one from a waker.
    outer_yielding: bool,
    /// True if this runtime was entered further up the stack, so that the lists are not this guard's.
    again: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        LOCAL.with(|local| {
            if !self.again {
                self.queue.exchange(local);
                self.queue.entered.set(false);
            }
            local.runtime.set(self.outer);
            local.yielding.set(self.outer_yielding);
        });
    }
}
