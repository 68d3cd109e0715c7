//! The futures of all tasks, and one poll of a task.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::queue::{Queue, TaskId};
use crate::waker::TaskWaker;

/// A future of any type. The box fixes its place in memory.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A future that is not ready yet, and its waker.
pub struct Runnable {
    future: BoxFuture,
    waker: Arc<TaskWaker>,
}

/// All tasks that have not ended. A task that is running is taken out.
#[derive(Default)]
pub struct Tasks {
    slots: HashMap<TaskId, Runnable>,
    next: u32,
}

impl Tasks {
    /// Stores a future under a new id. The caller pushes the id.
    pub fn insert(&mut self, future: BoxFuture, queue: &Arc<Queue>) -> TaskId {
        let task = TaskId(self.next);
        self.next += 1;
        let waker = TaskWaker::queued(task, queue.clone());
        self.slots.insert(task, Runnable { future, waker });
        task
    }

    /// Takes a task out. Returns `None` if it has ended.
    pub fn check_out(&mut self, task: TaskId) -> Option<Runnable> {
        self.slots.remove(&task)
    }

    /// Puts back a task that is not ready.
    pub fn check_in(&mut self, task: TaskId, runnable: Runnable) {
        self.slots.insert(task, runnable);
    }
}

/// Polls one task once. Has no effect if the task has ended.
pub fn run(tasks: &RefCell<Tasks>, task: TaskId) {
    let runnable = tasks.borrow_mut().check_out(task);
    let Some(mut runnable) = runnable else {
        return;
    };
    runnable.waker.begin_poll();
    let waker = Waker::from(runnable.waker.clone());
    let poll = runnable
        .future
        .as_mut()
        .poll(&mut Context::from_waker(&waker));
    if poll.is_pending() {
        tasks.borrow_mut().check_in(task, runnable);
    }
}
