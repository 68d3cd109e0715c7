//! The futures of all tasks, and one poll of a task.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use slab::Slab;

use crate::queue::{Queue, TaskId};
use crate::waker::TaskWaker;

/// A future of any type. The box fixes its place in memory.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A future that is not ready yet, and its waker.
pub struct Runnable {
    future: BoxFuture,
    waker: Arc<TaskWaker>,
}

/// All tasks that have not ended.
#[derive(Default)]
pub struct Tasks {
    slots: Slab<Slot>,
    /// The generation of the next task.
    next_generation: u32,
}

struct Slot {
    generation: u32,
    /// `None` while the task is running.
    runnable: Option<Runnable>,
}

impl Tasks {
    /// Stores a future under a new id. The caller pushes the id.
    pub fn insert(&mut self, future: BoxFuture, queue: &Arc<Queue>) -> TaskId {
        let entry = self.slots.vacant_entry();
        let task = TaskId {
            index: u32::try_from(entry.key()).expect("fewer than four thousand million tasks"),
            generation: self.next_generation,
        };
        self.next_generation = self.next_generation.wrapping_add(1);
        let waker = TaskWaker::queued(task, queue.clone());
        entry.insert(Slot {
            generation: task.generation,
            runnable: Some(Runnable { future, waker }),
        });
        task
    }

    /// Returns the number of tasks that have not ended.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the waker of a task that is not running.
    pub fn waker(&mut self, task: TaskId) -> Option<Waker> {
        let runnable = self.slot(task)?.runnable.as_ref()?;
        Some(Waker::from(runnable.waker.clone()))
    }

    /// Takes any task out of the table.
    fn remove_any(&mut self) -> Option<Slot> {
        let (index, _) = self.slots.iter().next()?;
        self.slots.try_remove(index)
    }

    /// Takes a task out of its slot. Returns `None` if the id is stale, or if the task is running.
    fn check_out(&mut self, task: TaskId) -> Option<Runnable> {
        self.slot(task)?.runnable.take()
    }

    /// Puts back a task that is not ready.
    fn check_in(&mut self, task: TaskId, runnable: Runnable) {
        if let Some(slot) = self.slot(task) {
            slot.runnable = Some(runnable);
        }
    }

    /// Frees the slot of a task that has ended.
    fn remove(&mut self, task: TaskId) {
        if self.slot(task).is_some() {
            self.slots.remove(task.index as usize);
        }
    }

    /// Returns the slot of a task, or `None` if the id is stale.
    fn slot(&mut self, task: TaskId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(task.index as usize);
        slot.filter(|slot| slot.generation == task.generation)
    }
}

/// Polls one task once. Has no effect if the task has ended.
pub fn run(tasks: &RefCell<Tasks>, task: TaskId) {
    let runnable = tasks.borrow_mut().check_out(task);
    let Some(mut runnable) = runnable else {
        return;
    };
    // Before the poll: a wake during the poll then queues the task again.
    runnable.waker.begin_poll();
    let waker = Waker::from(runnable.waker.clone());
    let mut cx = Context::from_waker(&waker);
    let poll = runnable.future.as_mut().poll(&mut cx);
    if poll.is_pending() {
        tasks.borrow_mut().check_in(task, runnable);
    } else {
        tasks.borrow_mut().remove(task);
    }
}

/// Drops the futures of all tasks, because the runtime ends.
pub fn end_all(tasks: &RefCell<Tasks>) {
    // TODO 6: Take the tasks out one by one (`remove_any`), and drop each of them after the borrow of the table has ended. A
    // destructor may spawn a task. So loop until there is no task.
    // TODO 6 is here. `Runtime` calls this in its destructor, so a `todo!()` would end the whole process.
}
