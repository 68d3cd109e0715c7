//! A task's `Waker`: an id, two flags, and the way into the runtime.
//!
//! # How it works
//!
//! One [`TaskWaker`] is allocated for each task, when it is spawned, and stays in the task's slot. Another
//! task uses it again afterwards, unless a clone of it is left. It does not own the future. A clone that
//! outlives its runtime keeps the way in: the inbox and the eventfd.
//!
//! Two flags record that the task has been woken. So a task that is woken a hundred times before it runs
//! is queued once, or twice if the wakes come from both sides:
//!
//! - `here`: woken on the runtime's own thread, from within the runtime. No other thread reads it, so it
//!   costs no atomic exchange.
//! - `elsewhere`: woken from anywhere else; the message is in the inbox, or has been.
//!
//! The executor clears both *before* it polls, in any order. So a wake during the poll queues the task
//! again. Most tasks are never woken from elsewhere, so the executor looks at that flag first and
//! exchanges it only if it is set:
//!
//! ```text
//!  sender                                executor
//!  1. writes what the task is to see     3. takes the message out (the same lock)
//!  2. exchanges `elsewhere`: was clear,  4. begins the poll: is `elsewhere` set? exchange it
//!     so a message goes into the inbox   5. polls
//! ```
//!
//! The load in step 4 can be relaxed:
//!
//! - If step 3 has taken the message, the inbox lock makes the flag visible. So step 4 exchanges it and
//!   acquires all that was written: by this sender, and by the senders that found the flag set and sent
//!   no message.
//! - If step 4 runs first and misses the flag, the message is still to come and causes another poll.
//! - If step 4 runs first and sees the flag, this poll sees the data. The message causes one needless poll.
//! - A sender whose exchange comes after step 4 finds the flag clear and sends a message.
//!
//! # Invariants
//!
//! - Always: a task that has ended leaves its flags set, so that late wakes cost one exchange.
//! - Always: `here` is touched by one thread only.
//! - Never: a call out of this module into user code.

use std::sync::Arc;

use futures_task::ArcWake;

use crate::local_queue::{self, TaskId};
use crate::remote::Remote;
use crate::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct TaskWaker {
    task: TaskId,
    here: AtomicBool,
    elsewhere: AtomicBool,
    remote: Arc<Remote>,
}

impl TaskWaker {
    /// Makes a waker whose task counts as queued already: the spawner pushes the id.
    pub(crate) fn queued(task: TaskId, remote: Arc<Remote>) -> Arc<Self> {
        Arc::new(Self {
            task,
            here: AtomicBool::new(true),
            elsewhere: AtomicBool::new(true),
            remote,
        })
    }

    /// Makes the waker of a task that has ended the waker of another one, if no clone of it exists.
    pub(crate) fn renew(mut self: Arc<Self>, task: TaskId) -> Option<Arc<Self>> {
        // The flags are as `retire` has left them: set, as those of a task that is queued.
        Arc::get_mut(&mut self)?.task = task;
        Some(self)
    }

    /// Clears both flags, so that a wake queues the task again. The executor calls this right before each
    /// poll.
    pub(crate) fn begin_poll(&self) {
        self.here.store(false, Ordering::Relaxed);
        if self.elsewhere.load(Ordering::Relaxed) {
            // Acquire: what was written before the wake is visible to the poll.
            self.elsewhere.swap(false, Ordering::Acquire);
        }
    }

    /// Marks the task as queued, from within its runtime. Returns true if it was not, and the caller
    /// must queue it.
    pub(crate) fn mark_queued(&self) -> bool {
        let unmarked = !self.here.load(Ordering::Relaxed);
        self.here.store(true, Ordering::Relaxed);
        unmarked
    }

    /// Sets both flags, so that a wake has no effect. Called when the task has ended.
    pub(crate) fn retire(&self) {
        // Relaxed: a wake that finds the flag set reads no more of the task.
        self.here.store(true, Ordering::Relaxed);
        self.elsewhere.store(true, Ordering::Relaxed);
    }
}

impl ArcWake for TaskWaker {
    fn wake_by_ref(this: &Arc<Self>) {
        if this.remote.is_entered() {
            if this.mark_queued() {
                local_queue::push(this.task);
            }
        } else if !this.elsewhere.swap(true, Ordering::Release) {
            // Release: what was written before the wake is visible to the poll.
            this.remote.send_wake(this.task);
        }
    }
}
