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
    // TODO 2: 1. Check the task out. If it is gone, return. Take care that the borrow of `tasks` ends in this line
    //    (`let runnable = tasks.borrow_mut().check_out(task);` does that), because the future may spawn tasks.
    // 2. Call `begin_poll` of its waker, and then poll the future. `Waker::from(runnable.waker.clone())` is the
    //    waker for the context.
    // 3. If the poll is pending, check the task in again.
    todo!("TODO 2")
}
