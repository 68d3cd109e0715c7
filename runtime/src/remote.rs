//! The inbox of a runtime: other threads wake tasks, send closures and nudge the executor through it.
//!
//! # How it works
//!
//! ```text
//!  wake on the runtime's own thread ──► local queue
//!  wake on another thread ──► inbox (Mutex<Vec<Message>>) ──► state = MAIL ──► unpark, if it was PARKED
//! ```
//!
//! One state word, [`Remote::state`], connects the inbox with the wait of the executor:
//!
//! | state | meaning | set by |
//! |---|---|---|
//! | `AWAKE` | the executor runs, and checks the state before it waits | the executor |
//! | `MAIL` | a message is in the inbox, or a nudge has come | a sender, after it has stored the message |
//! | `PARKED` | the executor waits, or is about to: a sender must unpark it | the executor, only from `AWAKE` |
//!
//! The danger is a message that arrives between "the inbox is empty" and the wait. A sender first stores its
//! message and then swaps in `MAIL`. The executor waits only if it can exchange `AWAKE` for `PARKED`. Both
//! change the same word, so one of them is first:
//!
//! ```text
//!  case A: the sender is first                    case B: the executor is first
//!  sender            state     executor           sender            state     executor
//!  stores message    AWAKE                                          AWAKE
//!  swap ───────────► MAIL                                           PARKED ◄── AWAKE → PARKED succeeds
//!                    MAIL ◄─── AWAKE → PARKED     stores message               waits in epoll
//!                              fails              swap ───────────► MAIL
//!                              reads the inbox    saw PARKED:
//!                              does not wait      unparks ────────────────────► wakes up, reads the inbox
//! ```
//!
//! For this, each step must be a single exchange, but the exchanges need no ordering: the lock of the inbox
//! orders the contents of a message. The orderings of the state are for nudges, which have no message. The
//! executor that sees the `MAIL` of a nudge also sees all that the thread wrote before the nudge.
//!
//! # Invariants
//!
//! - Never: a message dropped while the inbox is locked, because its destructor is user code.

use std::sync::{Arc, PoisonError};

use crate::local_queue::{self, RuntimeId, TaskId};
use crate::points;
use crate::primitives::atomic::{AtomicU8, Ordering};
use crate::primitives::{Mutex, MutexGuard, Unpark};

/// A request of another thread.
pub(crate) enum Message {
    /// Make this task ready.
    Wake(TaskId),
    /// Run this on the runtime's thread, inside the runtime.
    Run(Box<dyn FnOnce() + Send>),
}

const AWAKE: u8 = 0;
const MAIL: u8 = 1;
const PARKED: u8 = 2;

/// The inbox of one runtime.
pub(crate) struct Remote {
    id: RuntimeId,
    /// The messages that the executor has not read. `None` once the runtime has ended.
    inbox: Mutex<Option<Vec<Message>>>,
    /// `AWAKE`, `MAIL` or `PARKED`; see the module.
    state: AtomicU8,
    /// The eventfd that ends the wait in epoll.
    unpark: Unpark,
}

impl Remote {
    pub(crate) fn new(unpark: Unpark) -> Arc<Self> {
        Arc::new(Self {
            id: RuntimeId::next(),
            inbox: Mutex::new(Some(Vec::new())),
            state: AtomicU8::new(AWAKE),
            unpark,
        })
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.id
    }

    /// Locks the inbox. A thread that panics while it holds the lock leaves a whole list behind.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Message>>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods that any thread may call.
impl Remote {
    /// Makes a task ready: through the local queue if this thread is inside the runtime, else through the
    /// inbox.
    pub(crate) fn wake(&self, task: TaskId) {
        if self.is_entered() {
            points::wake(task);
            local_queue::push(task);
        } else {
            self.send_wake(task);
        }
    }

    /// Returns true if this thread is inside the runtime, and the runtime's lists are the thread's lists.
    pub(crate) fn is_entered(&self) -> bool {
        local_queue::runtime() == Some(self.id)
    }

    /// Makes a task ready through the inbox.
    #[inline] // with `inspect` it would be a call of its own
    pub(crate) fn send_wake(&self, task: TaskId) {
        points::wake_is_sent(self.id, task);
        // An error means that the runtime has ended, and all its tasks with it.
        _ = self.send(Message::Wake(task));
    }

    /// Puts a message into the inbox, and unparks the executor if it waits.
    ///
    /// # Errors
    ///
    /// Returns the message if the runtime has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        match &mut *self.lock() {
            Some(inbox) => inbox.push(message),
            None => return Err(message),
        }
        // After the message, or the executor could read an empty inbox and then wait.
        self.nudge();
        Ok(())
    }

    /// Makes the executor read its inbox before it waits again.
    pub(crate) fn nudge(&self) {
        // Of several senders, only the first one sees `PARKED`. So a wait costs one eventfd write at most.
        if self.state.swap(MAIL, Ordering::Release) == PARKED {
            // An eventfd write fails only if its counter is full, and then it is readable.
            _ = self.unpark.wake();
        }
    }
}

/// The methods that only the executor calls.
impl Remote {
    /// Returns true if another thread has sent a message or a nudge.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        // Relaxed: only `take_inbox` relies on the sender's data, and it exchanges the state.
        self.state.load(Ordering::Relaxed) == MAIL
    }

    /// Swaps the messages with the empty list `mail`. The list stays empty if there was only a nudge.
    pub(crate) fn take_inbox(&self, mail: &mut Vec<Message>) {
        // `AWAKE` is set before the inbox is taken. In the other order, a message could come between the two,
        // and `AWAKE` would erase its `MAIL`.
        //
        // This is a swap, not a store. A nudge takes no lock, so only the swap acquires the data that the
        // other thread wrote before the nudge.
        self.state.swap(AWAKE, Ordering::Acquire);
        if let Some(inbox) = &mut *self.lock() {
            std::mem::swap(inbox, mail);
        }
    }

    /// Announces that the executor is about to wait. Returns false if it must read the inbox first.
    pub(crate) fn try_park(&self) -> bool {
        // Not a load and a store: a message could come between the two, and no sender would unpark.
        self.state
            .compare_exchange(AWAKE, PARKED, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Announces that the wait is over. A `MAIL` that came meanwhile stays.
    pub(crate) fn unparked(&self) {
        // Both results are right: `AWAKE`, or `MAIL`, which the executor reads next.
        _ = self
            .state
            .compare_exchange(PARKED, AWAKE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Closes the inbox, so that it refuses all further messages. Returns those that are left.
    pub(crate) fn close(&self) -> Vec<Message> {
        self.lock().take().unwrap_or_default()
    }
}
