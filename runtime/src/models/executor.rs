//! The executor's turn without a reactor and timers.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use crate::joinable::detached;
use crate::local_queue::{self, LocalQueue};
use crate::nodes::Tracker;
use crate::panics;
use crate::points::Reports;
use crate::primitives::Unpark;
use crate::remote::{Message, Remote};
use crate::task_table::{self, Tasks};
use crate::watch::Place;

pub(super) struct Executor {
    pub(super) remote: Arc<Remote>,
    queue: Rc<LocalQueue>,
    tasks: RefCell<Tasks>,
    unpark: Unpark,
}

impl Executor {
    pub(super) fn new() -> Self {
        let unpark = Unpark::default();
        let remote = Remote::new(unpark.clone());
        Self {
            queue: Rc::new(LocalQueue::new(remote.id(), None)),
            tasks: RefCell::new(Tasks::new(
                remote.clone(),
                Tracker::default(),
                Reports::default(),
            )),
            remote,
            unpark,
        }
    }

    /// Takes in a task, ready in the first turn.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let _entered = self.queue.enter();
        let task = self
            .tasks
            .borrow_mut()
            .insert(detached(future), false, Place::here());
        self.remote.wake(task);
    }

    /// Runs `future` in a task, and returns its output.
    pub(super) fn block_on<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> T {
        let output = Rc::new(Cell::new(None));
        let to = output.clone();
        // A panic inside the task would end there.
        self.spawn(async move { to.set(Some(future.await)) });
        self.run();
        output.take().expect("the task has not panicked")
    }

    /// Takes turns until all tasks have ended.
    pub(super) fn run(&self) {
        while self.tasks.borrow().len() > 0 {
            self.turn();
        }
    }

    /// Polls the tasks that are ready, and sleeps if none is ready then.
    fn turn(&self) {
        let _entered = self.queue.enter();
        for task in self.queue.begin_turn(|| self.read_inbox()) {
            task_table::run(&self.tasks, task);
        }
        if !local_queue::any_ready() && self.tasks.borrow().len() > 0 {
            self.park();
        }
    }

    /// Sleeps until another thread unparks it, unless there is mail. Then reads the inbox.
    pub(super) fn park(&self) {
        if self.remote.try_park() {
            self.unpark.wait();
            self.remote.unparked();
        }
        self.read_inbox();
    }

    /// Reads the messages of other threads.
    pub(super) fn read_inbox(&self) {
        if !self.remote.has_mail() {
            return;
        }
        let mut mail = Vec::new();
        self.remote.take_inbox(&mut mail);
        for message in mail {
            match message {
                Message::Wake(task) => self.remote.wake(task),
                Message::Run(run) => _ = panics::contain(run),
            }
        }
    }
}
