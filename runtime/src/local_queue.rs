//! The tasks of this thread that are ready, and the order in which a turn polls them.
//!
//! # How it works
//!
//! ```text
//!  a wake on the runtime's own thread ──► woken ────┐ the turn polls them, then list by list those that
//!  events (in front), due timers ───────► woken ────┤ are woken meanwhile, until at least 64 were polled
//!  yield_now, a spent budget ───────────► yielded ──┘ the next turn: after the look at the reactor
//! ```
//!
//! A wake pushes an id onto a thread-local list: no lock, no system call. A turn takes the whole list
//! out and walks through it. At the end of a list, it reads the mail of other threads and takes the list
//! of the tasks that were woken meanwhile. A turn that has polled [`POLLS_PER_TURN`] tasks starts no
//! further list, but a list that was started is polled to its end.
//!
//! A task that has called `yield_now`, or has spent its budget, could go on at once and lets others run
//! first. Its id goes to a list of its own, which the next turn takes. So the runtime looks at the reactor
//! and the timers between any two polls of a task that is always ready. Any other task that wakes itself
//! counts as woken.
//!
//! # Invariants
//!
//! - Always: the lists are those of the runtime whose id is stored beside them.
//! - Always: a task that yields is polled next after a look at the reactor.
//! - Never: a call into user code, but for the waker of [`wake_next_turn`].

use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use crate::sync::thread_local;

/// A turn that has polled this many tasks starts no further list. A list that was started is polled to its
/// end.
const POLLS_PER_TURN: usize = 64;

/// A list with room for more tasks than this is shrunk once it is mostly empty.
const CAPACITY_KEPT: usize = 4096;

/// Each list of a new runtime has room for this many tasks.
const CAPACITY_AT_START: usize = 16;

/// Names a task of one runtime. It names no other task after this one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId {
    /// The slot in the executor's slab.
    pub(crate) index: u32,
    /// Tells apart the tasks that have this slot one after the other.
    pub(crate) generation: NonZeroU32,
}

impl TaskId {
    /// The future that `block_on` runs. It has no slot.
    pub(crate) const ROOT: Self = Self {
        index: u32::MAX,
        generation: NonZeroU32::MIN,
    };
}

/// Names a runtime within this process. Ids are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeId(NonZeroU32);

impl RuntimeId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU32::new(id).expect("fewer than four thousand million runtimes in a process"))
    }
}

/// The ready tasks of the runtime that this thread is inside.
struct Local {
    runtime: Cell<Option<RuntimeId>>,
    /// True while a task that yields wakes itself.
    yielding: Cell<bool>,
    woken: RefCell<Vec<TaskId>>,
    yielded: RefCell<Vec<TaskId>>,
}

thread_local! {
    // It has no destructor, so that an access is a plain load (and works while the thread ends).
    // No destructor is needed: outside a runtime the lists are empty and have no memory.
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

/// Makes a task of the runtime that this thread is inside ready.
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

/// Wakes a task that could go on, but lets others run first: its next poll comes after the next look at
/// the reactor. The waker may be that of a combinator, which wakes the task at once.
pub(crate) fn wake_next_turn(waker: &Waker) {
    let _reset = Yielding(LOCAL.with(|local| local.yielding.replace(true)));
    waker.wake_by_ref();
}

/// Restores the flag, also if a foreign waker panics.
struct Yielding(bool);

impl Drop for Yielding {
    fn drop(&mut self) {
        LOCAL.with(|local| local.yielding.set(self.0));
    }
}

/// Lets `collect` append tasks, and moves these in front of all tasks that are ready already.
/// `collect` calls no user code.
pub(crate) fn push_first<T>(collect: impl FnOnce(&mut Vec<TaskId>) -> T) -> T {
    LOCAL.with(|local| {
        let woken = &mut *local.woken.borrow_mut();
        let waiting = woken.len();
        let result = collect(woken);
        if waiting > 0 {
            woken.rotate_left(waiting);
        }
        result
    })
}

/// Returns true if a task of the runtime that this thread is inside is ready.
pub(crate) fn any_ready() -> bool {
    LOCAL.with(|local| !local.woken.borrow().is_empty() || !local.yielded.borrow().is_empty())
}

/// Forgets all ready tasks of the runtime that this thread is inside.
pub(crate) fn clear() {
    LOCAL.with(|local| {
        local.woken.borrow_mut().clear();
        local.yielded.borrow_mut().clear();
    });
}

/// The lists of a runtime that no thread is inside, and the memory of its turns.
pub(crate) struct LocalQueue {
    runtime: RuntimeId,
    woken: RefCell<Vec<TaskId>>,
    yielded: RefCell<Vec<TaskId>>,
    /// The memory of the last turn's list, for the next turn.
    spare: Cell<Vec<TaskId>>,
    /// True while a thread is inside the runtime, perhaps further up the stack.
    entered: Cell<bool>,
}

impl LocalQueue {
    pub(crate) fn new(runtime: RuntimeId) -> Self {
        Self {
            runtime,
            // Allocated here, so that the first turns cost what all turns cost.
            woken: RefCell::new(Vec::with_capacity(CAPACITY_AT_START)),
            yielded: RefCell::new(Vec::with_capacity(CAPACITY_AT_START)),
            spare: Cell::new(Vec::with_capacity(CAPACITY_AT_START)),
            entered: Cell::new(false),
        }
    }

    /// Makes this runtime's lists the thread's, until the guard drops. Guards nest.
    ///
    /// A runtime that is entered from within itself keeps the lists that it has. If another runtime
    /// lies between, its lists are out of reach, and wakes go through the inbox.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        let id = Some(self.runtime);
        let outer = runtime();
        let again = self.entered.replace(true);
        LOCAL.with(|local| {
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

    /// Begins a turn: takes all tasks that are ready. The turn calls `read_mail` at the end of each list.
    pub(crate) fn begin_turn<F: Fn()>(&self, read_mail: F) -> Turn<'_, F> {
        let mut tasks = self.spare.take();
        LOCAL.with(|local| {
            mem::swap(&mut tasks, &mut *local.woken.borrow_mut());
            let yielded = &mut *local.yielded.borrow_mut();
            if tasks.is_empty() {
                mem::swap(&mut tasks, yielded);
            } else if !yielded.is_empty() {
                tasks.append(yielded);
            }
        });
        Turn {
            queue: self,
            tasks,
            next: 0,
            polls_before: 0,
            read_mail,
        }
    }
}

/// The tasks of one turn. If the turn breaks off, the rest is ready again, before all others.
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
    /// Starts the list of the tasks that were woken since. Returns false if the turn is over.
    fn take_more(&mut self) -> bool {
        // Also at the end of a turn: with enough tasks that are always ready, the loop never waits, and mail
        // is read nowhere else.
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
        if self.tasks.capacity() > CAPACITY_KEPT {
            give_back(&mut self.tasks);
        }
        self.queue.spare.set(mem::take(&mut self.tasks));
    }
}

/// Makes the rest of a turn that breaks off ready again, before all others.
#[cold]
fn put_back(rest: impl Iterator<Item = TaskId>) {
    LOCAL.with(|local| drop(local.woken.borrow_mut().splice(0..0, rest)));
}

/// Frees the memory that many tasks at once have needed.
#[cold]
fn give_back(turn: &mut Vec<TaskId>) {
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

/// Keeps the runtime's lists as this thread's lists until it drops.
pub(crate) struct Entered {
    queue: Rc<LocalQueue>,
    outer: Option<RuntimeId>,
    outer_yielding: bool,
    /// True if this runtime had been entered further up the stack.
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
