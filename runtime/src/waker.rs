//! What a task's `Waker` is: an id, a flag, and the way into the runtime.
//!
//! # How it works
//!
//! One [`TaskWaker`] is allocated for each task, when it is spawned, and stays in the task's slot.
//! It does not own the future: a waker that outlives its task keeps 48 bytes alive, no more.
//!
//! `queued` says that the id is in the run queue (or in the inbox on its way there), so that a
//! task that is woken a hundred times before it runs is queued once. The executor clears it
//! *before* it polls; a wake during the poll therefore queues the task again.
//!
//! # Invariants
//!
//! - Always: a task that has ended leaves its flag set, so that late wakes cost one swap.
//! - Never: a call out of this module into user code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_task::ArcWake;

use crate::run_queue::{Remote, TaskId};

pub(crate) struct TaskWaker {
    task: TaskId,
    queued: AtomicBool,
    remote: Arc<Remote>,
}

impl TaskWaker {
    /// A waker whose task is queued already: the spawner pushes the id.
    pub(crate) fn queued(task: TaskId, remote: Arc<Remote>) -> Arc<Self> {
        Arc::new(Self {
            task,
            queued: AtomicBool::new(true),
            remote,
        })
    }

    /// From here on, a wake queues the task again. Called right before each poll.
    pub(crate) fn begin_poll(&self) {
        // Acquire: what was written before the wake is visible to the poll.
        self.queued.swap(false, Ordering::AcqRel);
    }

    /// Marks the task as queued; `true` if it was not, and the caller is to queue it.
    pub(crate) fn mark_queued(&self) -> bool {
        // Release: what was written before the wake is visible to the poll.
        !self.queued.swap(true, Ordering::AcqRel)
    }

    /// From here on, a wake does nothing. Called when the task has ended.
    pub(crate) fn retire(&self) {
        self.queued.store(true, Ordering::Release);
    }
}

impl ArcWake for TaskWaker {
    fn wake_by_ref(this: &Arc<Self>) {
        if this.mark_queued() {
            this.remote.wake(this.task);
        }
    }
}
