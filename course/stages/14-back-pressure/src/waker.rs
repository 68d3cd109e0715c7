//! The waker of a task: an id, two flags, and the way into the runtime.
//!
//! | flag | set by | cost |
//! |---|---|---|
//! | `here` | a wake on the runtime's own thread | a load and a store: no other thread touches it |
//! | `elsewhere` | a wake on any other thread; the message is in the inbox, or was there | an atomic exchange |
//!
//! The executor clears both flags *before* it polls. So a wake during the poll queues the task again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_task::ArcWake;

use crate::local_queue::{self, TaskId};
use crate::remote::Remote;

/// The waker of one task. `futures_task` makes a `Waker` of its `Arc`, without a clone for each poll.
pub struct TaskWaker {
    task: TaskId,
    /// True if a wake from inside the runtime has queued the task. It is atomic only because a `Waker` must be `Sync`.
    here: AtomicBool,
    /// True if a wake from another thread has sent a message.
    elsewhere: AtomicBool,
    /// The way into the runtime.
    remote: Arc<Remote>,
}

impl TaskWaker {
    /// Makes a waker whose task counts as queued. The caller pushes the id.
    pub fn queued(task: TaskId, remote: Arc<Remote>) -> Arc<Self> {
        Arc::new(Self {
            task,
            here: AtomicBool::new(true),
            elsewhere: AtomicBool::new(true),
            remote,
        })
    }

    /// Clears both flags, so that the next wake queues the task. The executor calls this right before each poll.
    pub fn begin_poll(&self) {
        self.here.store(false, Ordering::Relaxed);
        // Few tasks are ever woken from elsewhere, so this is usually only a load.
        if self.elsewhere.load(Ordering::Relaxed) {
            // Acquire: the poll sees all that the waking thread wrote before its wake.
            self.elsewhere.swap(false, Ordering::Acquire);
        }
    }

    /// Marks the task as queued, for a wake from inside its runtime. Returns true if it was not marked; then the caller
    /// must queue it.
    pub fn mark_queued(&self) -> bool {
        let unmarked = !self.here.load(Ordering::Relaxed);
        self.here.store(true, Ordering::Relaxed);
        unmarked
    }
}

impl ArcWake for TaskWaker {
    fn wake_by_ref(this: &Arc<Self>) {
        if this.remote.is_entered() {
            if this.mark_queued() {
                local_queue::push(this.task);
            }
        } else if !this.elsewhere.swap(true, Ordering::Release) {
            this.remote.send_wake(this.task);
        }
    }
}
