//! The way into a runtime from other threads: for wakers, for handles, and for sockets and sleeps that are
//! dropped on another thread.
//!
//! # How it works
//!
//! ```text
//!  wake on the runtime's own thread ──► local queue
//!  wake from another thread ──► inbox ──► unpark
//!                               (Mutex<Vec<Message>>)
//! ```
//!
//! The inbox and the park are tied together by one state word, [`Remote::state`]:
//!
//! | state | meaning | set by |
//! |---|---|---|
//! | `AWAKE` | the executor runs and looks at the inbox before it sleeps | the executor |
//! | `MAIL` | a message is in the inbox, or a nudge has come | a sender, after the message is there |
//! | `PARKED` | the executor sleeps, or is about to: unpark it | the executor, only from `AWAKE` |
//!
//! A sender first puts its message in, then swaps in `MAIL`. The executor parks only if it can move from
//! `AWAKE` to `PARKED`. Both change the same word. If the sender is first, the executor sees `MAIL` and
//! does not park. If the executor is first, the sender sees `PARKED` and unparks it. For that, each step
//! must be a single exchange; it takes no ordering. The lock of the inbox orders what belongs to a message.
//! The orderings of the state are for nudges, which have no message: a thread that sees `MAIL` sees what
//! was written before the nudge.
//!
//! # Invariants
//!
//! - Never: a message dropped while the inbox is locked (its destructor is user code).

use std::sync::{Arc, PoisonError};

use crate::local_queue::{self, RuntimeId, TaskId};
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{Mutex, MutexGuard, Unpark};

/// A request from another thread.
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
    /// `None` once the runtime has ended.
    inbox: Mutex<Option<Vec<Message>>>,
    state: AtomicU8,
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

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Message>>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods for any thread.
impl Remote {
    /// Makes a task ready. Uses the local queue if this thread is inside the runtime.
    pub(crate) fn wake(&self, task: TaskId) {
        if self.is_entered() {
            local_queue::push(task);
        } else {
            self.send_wake(task);
        }
    }

    /// Returns true if this thread is inside the runtime and its local queue is in reach.
    pub(crate) fn is_entered(&self) -> bool {
        local_queue::runtime() == Some(self.id)
    }

    /// Makes a task ready by way of the inbox. A runtime that has ended has no tasks to wake.
    pub(crate) fn send_wake(&self, task: TaskId) {
        _ = self.send(Message::Wake(task));
    }

    /// Puts a message into the inbox and unparks the executor if it sleeps.
    ///
    /// # Errors
    ///
    /// Returns the message if the runtime has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        match &mut *self.lock() {
            Some(inbox) => inbox.push(message),
            None => return Err(message),
        }
        self.nudge();
        Ok(())
    }

    /// Makes the executor look at its inbox before it sleeps.
    pub(crate) fn nudge(&self) {
        if self.state.swap(MAIL, Ordering::Release) == PARKED {
            // An eventfd write fails only if its counter is full, and then it is readable.
            _ = self.unpark.wake();
        }
    }
}

/// The methods for the executor.
impl Remote {
    /// Returns true if another thread asks for attention.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        // Relaxed: only `take_inbox` relies on what the sender wrote, and it exchanges the state.
        self.state.load(Ordering::Relaxed) == MAIL
    }

    /// Moves the messages into an empty list. The list stays empty after a mere nudge.
    pub(crate) fn take_inbox(&self, mail: &mut Vec<Message>) {
        // `AWAKE` before the inbox is taken. In the other order, a message could come between the two, and
        // `AWAKE` would erase its `MAIL`. A swap, not a store: a nudge without a message takes no lock, so
        // only the swap acquires what was written before it.
        self.state.swap(AWAKE, Ordering::Acquire);
        if let Some(inbox) = &mut *self.lock() {
            std::mem::swap(inbox, mail);
        }
    }

    /// Announces that the executor is about to sleep. Returns false if there is mail to read first.
    pub(crate) fn try_park(&self) -> bool {
        self.state
            .compare_exchange(AWAKE, PARKED, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the announcement back. Mail that came meanwhile stays announced.
    pub(crate) fn unparked(&self) {
        // Both outcomes are right: `AWAKE` again, or `MAIL`, which the executor reads next.
        _ = self
            .state
            .compare_exchange(PARKED, AWAKE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Refuses all further messages and returns those that are left.
    pub(crate) fn close(&self) -> Vec<Message> {
        self.lock().take().unwrap_or_default()
    }
}
