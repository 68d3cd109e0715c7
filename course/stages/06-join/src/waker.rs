//! The waker of a task: an id, a flag, and the way to the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use crate::queue::{Queue, TaskId};

/// The waker of one task. It does not own the future of the task.
pub struct TaskWaker {
    task: TaskId,
    /// True while the id is in the queue.
    queued: AtomicBool,
    queue: Arc<Queue>,
}

impl TaskWaker {
    /// Makes a waker whose task counts as queued. The caller pushes the id.
    pub fn queued(task: TaskId, queue: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self {
            task,
            queued: AtomicBool::new(true),
            queue,
        })
    }

    /// Clears the flag, so that the next wake queues the task. The executor calls this right before each poll.
    pub fn begin_poll(&self) {
        // Acquire: the poll sees all that the waking thread wrote before its wake.
        self.queued.swap(false, Ordering::Acquire);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Release) {
            self.queue.push(self.task);
        }
    }
}
