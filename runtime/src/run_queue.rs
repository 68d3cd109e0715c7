//! Which tasks are ready, and how a wake finds its way into that list.
//!
//! # How it works
//!
//! ```text
//!  wake on the runtime's own thread ──► local queue ─────────────┐
//!                                       (thread-local Vec)       ├──► executor
//!  wake from another thread ──► inbox ── unpark ─────────────────┘
//!                               (Mutex<Vec<Message>>)
//! ```
//!
//! A wake on the thread that is inside the runtime pushes an id onto a thread-local queue and is
//! done: no lock, no system call. Any other wake goes into the inbox; if the executor is parked,
//! the one that finds it so unparks it.
//!
//! A turn takes the whole local queue out ([`RunQueue::begin_turn`]), so that what it polls next is
//! a look into a list of its own. Should it break off, what is left goes back to the front.
//!
//! The inbox and the park are tied together by one state word, [`Remote::state`]:
//!
//! | state | meaning | who sets it |
//! |---|---|---|
//! | `AWAKE` | the executor runs and will look at the inbox before it sleeps | the executor |
//! | `MAIL` | there is something in the inbox, or somebody nudged | a sender, after it has put it there |
//! | `PARKED` | the executor sleeps, or is about to: unpark it | the executor, only from `AWAKE` |
//!
//! A sender first puts its message in, then swaps in `MAIL`; the executor parks only if it can
//! move from `AWAKE` to `PARKED`. Whichever comes second sees the other: a message is never left
//! behind by a sleeping executor.
//!
//! # Invariants
//!
//! - Always: the local queue is the queue of the runtime whose id stands beside it.
//! - Never: a message dropped while the inbox is locked (its destructor is user code).

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Names a task of one runtime, also after the task has ended and its slot has a new tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId {
    /// The slot in the executor's slab.
    pub(crate) index: u32,
    /// Which of the slot's tenants.
    pub(crate) generation: NonZeroU32,
}

impl TaskId {
    /// The future that `block_on` was given. It has no slot.
    pub(crate) const ROOT: Self = Self {
        index: u32::MAX,
        generation: NonZeroU32::MIN,
    };
}

/// Names a runtime within this process; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeId(NonZeroU32);

impl RuntimeId {
    fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU32::new(id).expect("fewer than four thousand million runtimes in a process"))
    }
}

/// What other threads can ask of a runtime.
pub(crate) enum Message {
    /// Put this task into the local queue.
    Wake(TaskId),
    /// Run this on the runtime's thread, inside the runtime.
    Run(Box<dyn FnOnce() + Send>),
}

struct Local {
    runtime: Cell<Option<RuntimeId>>,
    ready: RefCell<Vec<TaskId>>,
}

thread_local! {
    // Without a destructor, a look at it is a look into memory. There is none to run: outside a
    // runtime the queue has never held anything. And a runtime that lives in a thread-local of its
    // owner's finds it at the end of the thread, too.
    static LOCAL: ManuallyDrop<Local> = const {
        ManuallyDrop::new(Local { runtime: Cell::new(None), ready: RefCell::new(Vec::new()) })
    };
}

fn with_ready<T>(f: impl FnOnce(&mut Vec<TaskId>) -> T) -> T {
    LOCAL.with(|local| f(&mut local.ready.borrow_mut()))
}

fn current() -> Option<RuntimeId> {
    LOCAL.with(|local| local.runtime.get())
}

fn set_current(runtime: Option<RuntimeId>) {
    LOCAL.with(|local| local.runtime.set(runtime));
}

/// The executor's end: the local queue while the runtime is entered, and the inbox.
pub(crate) struct RunQueue {
    remote: Arc<Remote>,
    /// The local queue while nobody is inside the runtime.
    stowed: RefCell<Vec<TaskId>>,
    /// The memory of the last turn's list, for the next.
    spare: Cell<Vec<TaskId>>,
    /// Whether somebody is inside, perhaps further up the stack.
    entered: Cell<bool>,
}

impl RunQueue {
    pub(crate) fn new(unpark: mio::Waker) -> Self {
        Self {
            remote: Remote::new(unpark),
            stowed: RefCell::default(),
            spare: Cell::default(),
            entered: Cell::new(false),
        }
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// Makes this runtime's queue the thread's, until the guard drops. Guards nest.
    ///
    /// A runtime that is entered from within itself keeps the queue it has. If another one lies
    /// between, its queue is out of reach for the time being, and wakes go through the inbox.
    pub(crate) fn enter(self: &std::rc::Rc<Self>) -> Entered {
        let id = Some(self.remote.id);
        let outer = current();
        let again = self.entered.replace(true);
        if again {
            set_current(id.filter(|_| outer == id));
        } else {
            set_current(id);
            self.exchange();
        }
        Entered {
            queue: self.clone(),
            outer,
            again,
        }
    }

    /// Swaps the thread's queue with the stowed one.
    fn exchange(&self) {
        with_ready(|ready| std::mem::swap(ready, &mut *self.stowed.borrow_mut()));
    }

    /// How many tasks are ready in the runtime that this thread has entered.
    pub(crate) fn ready_len() -> usize {
        with_ready(|ready| ready.len())
    }

    /// Takes all that is ready: first whom the reactor has found, then the others, each in their order.
    /// This thread has entered this runtime.
    pub(crate) fn begin_turn(&self) -> Turn<'_> {
        let mut tasks = self.spare.take();
        with_ready(|ready| std::mem::swap(ready, &mut tasks));
        Turn {
            queue: self,
            tasks,
            next: 0,
        }
    }

    /// Forgets who is ready in the runtime that this thread has entered.
    pub(crate) fn clear() {
        with_ready(Vec::clear);
    }

    /// Has tasks put into the queue of the runtime that this thread has entered. `f` wakes nobody.
    pub(crate) fn add<T>(f: impl FnOnce(&mut Vec<TaskId>) -> T) -> T {
        with_ready(f)
    }

    /// Whether other threads have asked for attention.
    pub(crate) fn has_mail(&self) -> bool {
        self.remote.state.load(Ordering::Acquire) == MAIL
    }

    /// Takes what other threads have sent, which is nothing if they only nudged; costs one atomic
    /// load when there is no mail.
    pub(crate) fn take_inbox(&self) -> Option<Vec<Message>> {
        if !self.has_mail() {
            return None;
        }
        self.remote.state.swap(AWAKE, Ordering::AcqRel);
        let messages = self.remote.lock().as_mut().map(std::mem::take);
        Some(messages.unwrap_or_default())
    }

    /// Announces that the executor is about to sleep; `false` if there is mail to be read first.
    pub(crate) fn try_park(&self) -> bool {
        self.remote
            .state
            .compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Takes the announcement back. Mail that came meanwhile stays announced.
    pub(crate) fn unparked(&self) {
        // Either outcome is right: AWAKE again, or MAIL that the next look will find.
        _ = self
            .remote
            .state
            .compare_exchange(PARKED, AWAKE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Refuses all further messages and hands out those that are left.
    pub(crate) fn close(&self) -> Vec<Message> {
        registry().retain(|(id, _)| *id != self.remote.id);
        self.remote.lock().take().unwrap_or_default()
    }
}

/// The tasks of one turn. What is left when it breaks off is ready again, before all others.
pub(crate) struct Turn<'a> {
    queue: &'a RunQueue,
    tasks: Vec<TaskId>,
    next: usize,
}

impl Iterator for Turn<'_> {
    type Item = TaskId;

    #[inline]
    fn next(&mut self) -> Option<TaskId> {
        let task = *self.tasks.get(self.next)?;
        self.next += 1;
        Some(task)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut tasks = std::mem::take(&mut self.tasks);
        if self.next < tasks.len() {
            with_ready(|ready| drop(ready.splice(0..0, tasks.drain(self.next..))));
        }
        tasks.clear();
        self.queue.spare.set(tasks);
    }
}

/// The runtime's queue is this thread's queue while this lives.
pub(crate) struct Entered {
    queue: std::rc::Rc<RunQueue>,
    outer: Option<RuntimeId>,
    /// Whether this runtime had been entered further up the stack.
    again: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.again {
            self.queue.exchange();
            self.queue.entered.set(false);
        }
        set_current(self.outer);
    }
}

const AWAKE: u8 = 0;
const MAIL: u8 = 1;
const PARKED: u8 = 2;

/// The way into a runtime for everybody else: wakers, handles, and what is dropped far from home.
pub(crate) struct Remote {
    id: RuntimeId,
    /// `None` once the runtime is gone.
    inbox: Mutex<Option<Vec<Message>>>,
    state: AtomicU8,
    unpark: mio::Waker,
}

impl Remote {
    fn new(unpark: mio::Waker) -> Arc<Self> {
        let remote = Arc::new(Self {
            id: RuntimeId::next(),
            inbox: Mutex::new(Some(Vec::new())),
            state: AtomicU8::new(AWAKE),
            unpark,
        });
        registry().push((remote.id, Arc::downgrade(&remote)));
        remote
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Message>>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a task ready, by the short way if this thread is inside its runtime.
    pub(crate) fn wake(&self, task: TaskId) {
        if self.is_entered() {
            Self::queue(task);
        } else {
            self.send_wake(task);
        }
    }

    /// Whether this thread is inside the runtime, and the local queue is its queue.
    pub(crate) fn is_entered(&self) -> bool {
        current() == Some(self.id)
    }

    /// The short way, from within.
    pub(crate) fn queue(task: TaskId) {
        with_ready(|ready| ready.push(task));
    }

    /// The long way, from wherever else.
    pub(crate) fn send_wake(&self, task: TaskId) {
        // A runtime that is gone has no tasks left to wake.
        _ = self.send(Message::Wake(task));
    }

    /// Puts a message into the inbox and sees to it that it is read.
    ///
    /// # Errors
    ///
    /// The message itself, if the runtime is gone.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        match &mut *self.lock() {
            Some(inbox) => inbox.push(message),
            None => return Err(message),
        }
        self.nudge();
        Ok(())
    }

    /// Sees to it that the executor looks around: it does not begin to sleep before it has.
    pub(crate) fn nudge(&self) {
        if self.state.swap(MAIL, Ordering::AcqRel) == PARKED {
            // An eventfd write fails only when its counter is full, and then it is readable.
            _ = self.unpark.wake();
        }
    }
}

/// All runtimes of the process, for what is dropped on a thread that is not its own.
fn registry() -> MutexGuard<'static, Vec<(RuntimeId, Weak<Remote>)>> {
    static REGISTRY: Mutex<Vec<(RuntimeId, Weak<Remote>)>> = Mutex::new(Vec::new());
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a message to the runtime of that id; does nothing if it is gone.
pub(crate) fn send_to(id: RuntimeId, message: Message) {
    let remote = registry()
        .iter()
        .find(|(candidate, _)| *candidate == id)
        .and_then(|(_, remote)| remote.upgrade());
    if let Some(remote) = remote {
        _ = remote.send(message);
    }
}
