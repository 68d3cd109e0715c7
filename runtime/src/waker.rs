//! A task's `Waker`: an id, two flags, and the way into the runtime.
//!
//! # How it works
//!
//! The runtime allocates one [`TaskWaker`] for each task that it spawns, and stores it in the task's slot.
//! When the task has ended, the next task uses the waker again, unless a clone of it is left. The waker does
//! not own the future. A clone that outlives its runtime keeps the inbox and the eventfd alive.
//!
//! Two flags record that the task was woken. So a task that is woken a hundred times before it runs is
//! queued once, or twice if wakes come from both sides:
//!
//! | flag | set by | cost |
//! |---|---|---|
//! | `here` | a wake on the runtime's own thread | a load and a store: no other thread reads it (LOG R4) |
//! | `elsewhere` | a wake on any other thread; the message is in the inbox, or was there | an atomic exchange |
//!
//! The executor clears both flags *before* it polls. So a wake during the poll queues the task again. Few
//! tasks are ever woken from elsewhere, so the executor first loads that flag, and exchanges it only if it is
//! set:
//!
//! ```text
//!  sender                                     executor
//!  1. writes the data for the task            3. takes the message out (by the same lock)
//!  2. exchanges `elsewhere`. It was clear,    4. begins the poll: if `elsewhere` is set, exchanges it
//!     so puts a message into the inbox        5. polls, and reads the data
//! ```
//!
//! The load in step 4 can be relaxed. These are all cases:
//!
//! - *A: step 3 has taken the message.* Then the lock of the inbox makes the flag visible. Step 4 exchanges
//!   the flag and acquires all data: of this sender, and of other senders that found the flag set and so sent
//!   no message.
//! - *B: step 4 runs before step 3, and does not see the flag.* The message is still to come and causes
//!   another poll.
//! - *C: step 4 runs before step 3, and sees the flag.* This poll sees the data. The message causes one
//!   needless poll.
//! - *D: a sender exchanges the flag after step 4.* It finds the flag clear and sends a message, as in B.
//!
//! # Invariants
//!
//! - Always: the flags of a task that has ended are set, so that a late wake costs one exchange.
//! - Always: only the runtime's thread, inside the runtime, reads or writes `here`.
//! - Never: a call from this module into user code.

use std::sync::Arc;

use futures_task::ArcWake;

use crate::local_queue::{self, TaskId};
use crate::points;
use crate::primitives::atomic::{AtomicBool, Ordering};
use crate::remote::Remote;

/// The waker of one task. `futures_task` makes a `Waker` of its `Arc`.
pub(crate) struct TaskWaker {
    task: TaskId,
    /// True if a wake from inside the runtime has queued the task. It is atomic only because a `Waker` must be
    /// `Sync`.
    here: AtomicBool,
    /// True if a wake from another thread has sent a message.
    elsewhere: AtomicBool,
    /// The way into the runtime.
    remote: Arc<Remote>,
}

impl TaskWaker {
    /// Makes a waker whose task counts as queued. The caller pushes the id.
    pub(crate) fn queued(task: TaskId, remote: Arc<Remote>) -> Arc<Self> {
        Arc::new(Self {
            task,
            here: AtomicBool::new(true),
            elsewhere: AtomicBool::new(true),
            remote,
        })
    }

    /// Makes a waker of the waker of a task that has ended. Returns `None` if a clone of it exists.
    pub(crate) fn renew(mut self: Arc<Self>, task: TaskId) -> Option<Arc<Self>> {
        // `retire` has left both flags set, which also means "queued". A clone could still wake by the old id,
        // so a waker that is shared is not used again. // LOG R12
        Arc::get_mut(&mut self)?.task = task;
        Some(self)
    }

    /// Clears both flags, so that the next wake queues the task. The executor calls this right before each
    /// poll.
    pub(crate) fn begin_poll(&self) {
        self.here.store(false, Ordering::Relaxed);
        if self.elsewhere.load(Ordering::Relaxed) {
            // Acquire pairs with the release in `wake_by_ref`: the poll sees all that was written before the
            // wake.
            self.elsewhere.swap(false, Ordering::Acquire);
        }
    }

    /// Marks the task as queued, for a wake from inside its runtime. Returns true if it was not marked; then
    /// the caller must queue it.
    pub(crate) fn mark_queued(&self) -> bool {
        // A load and a store instead of an exchange: no other thread touches this flag. // LOG R4
        let unmarked = !self.here.load(Ordering::Relaxed);
        self.here.store(true, Ordering::Relaxed);
        unmarked
    }

    /// Sets both flags of a task that has ended, so that a wake has no effect.
    pub(crate) fn retire(&self) {
        // Relaxed is enough: a wake that finds the flag set reads no other data.
        self.here.store(true, Ordering::Relaxed);
        self.elsewhere.store(true, Ordering::Relaxed);
    }
}

#[cfg(feature = "inspect")]
impl crate::board::WakeState for TaskWaker {
    fn is_queued(&self) -> bool {
        self.here.load(Ordering::Relaxed) || self.elsewhere.load(Ordering::Relaxed)
    }
}

impl ArcWake for TaskWaker {
    fn wake_by_ref(this: &Arc<Self>) {
        if this.remote.is_entered() {
            if this.mark_queued() {
                points::wake(this.task);
                local_queue::push(this.task);
            }
        } else if !this.elsewhere.swap(true, Ordering::Release) {
            // Release pairs with the acquire in `begin_poll`: the poll sees all that was written before the
            // wake. The flag is set before the message is sent. In the other order, the poll could come
            // between the two. Then the flag would stay set without a message, and later wakes would be lost.
            this.remote.send_wake(this.task);
        }
    }
}
