//! The inbox of a runtime: other threads wake tasks through it.
//!
//! ```text
//!  wake on the runtime's own thread ──► local queue
//!  wake on another thread ──► inbox (Mutex<Vec<TaskId>>) ──► state = MAIL ──► unpark, if it was PARKED
//! ```
//!
//! One state word connects the inbox with the wait of the executor:
//!
//! | state | meaning | set by |
//! |---|---|---|
//! | `AWAKE` | the executor runs, and checks the state before it waits | the executor |
//! | `MAIL` | a message is in the inbox | a sender, after it has stored the message |
//! | `PARKED` | the executor waits, or is about to: a sender must unpark it | the executor, only from `AWAKE` |

use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::local_queue::{self, RuntimeId, TaskId};

const AWAKE: u8 = 0;
const MAIL: u8 = 1;
const PARKED: u8 = 2;

/// The inbox of one runtime.
pub struct Remote {
    id: RuntimeId,
    /// The tasks to wake. `None` once the runtime has ended.
    inbox: Mutex<Option<Vec<TaskId>>>,
    /// `AWAKE`, `MAIL` or `PARKED`.
    state: AtomicU8,
    /// The eventfd that ends the wait in epoll.
    unpark: mio::Waker,
}

impl Remote {
    pub fn new(unpark: mio::Waker) -> Arc<Self> {
        Arc::new(Self {
            id: RuntimeId::next(),
            inbox: Mutex::new(Some(Vec::new())),
            state: AtomicU8::new(AWAKE),
            unpark,
        })
    }

    pub fn id(&self) -> RuntimeId {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<TaskId>>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods that any thread may call.
impl Remote {
    /// Returns true if this thread is inside the runtime, and the runtime's lists are the thread's lists.
    pub fn is_entered(&self) -> bool {
        local_queue::runtime() == Some(self.id)
    }

    /// Makes a task ready through the inbox, and unparks the executor if it waits.
    pub fn send_wake(&self, task: TaskId) {
        match &mut *self.lock() {
            Some(inbox) => inbox.push(task),
            None => return,
        }
        // After the message, or the executor could read an empty inbox and then wait.
        if self.state.swap(MAIL, Ordering::Release) == PARKED {
            // A write to an eventfd fails only if its counter is full, and then the wait ends, too.
            _ = self.unpark.wake();
        }
    }
}

/// The methods that only the executor calls.
impl Remote {
    /// Returns true if another thread has sent a message.
    pub fn has_mail(&self) -> bool {
        self.state.load(Ordering::Relaxed) == MAIL
    }

    /// Takes the messages out.
    pub fn take_inbox(&self) -> Vec<TaskId> {
        self.state.swap(AWAKE, Ordering::Acquire);
        self.lock().as_mut().map(mem::take).unwrap_or_default()
    }

    /// Announces that the executor is about to wait. Returns false if it must read the inbox first.
    pub fn try_park(&self) -> bool {
        self.state
            .compare_exchange(AWAKE, PARKED, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Announces that the wait is over. A `MAIL` that came meanwhile stays.
    pub fn unparked(&self) {
        // Both results are right: `AWAKE`, or `MAIL`, which the executor reads next.
        _ = self
            .state
            .compare_exchange(PARKED, AWAKE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Closes the inbox, because the runtime ends.
    pub fn close(&self) {
        *self.lock() = None;
    }
}
