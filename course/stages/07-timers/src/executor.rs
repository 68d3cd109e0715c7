//! The turn of the loop: which tasks run, and when the thread waits.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::join_handle::{JoinHandle, joinable};
use crate::queue::{Queue, TaskId};
use crate::task_table::{self, Tasks};
use crate::timers::Timers;
use crate::waker::TaskWaker;

/// All parts of one runtime.
pub struct Executor {
    /// The ids of the ready tasks. The wakers share it.
    queue: Arc<Queue>,
    /// The futures.
    tasks: RefCell<Tasks>,
    timers: Timers,
}

impl Executor {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            queue: Arc::new(Queue::new()),
            tasks: RefCell::default(),
            timers: Timers::new(),
        })
    }

    /// Takes one turn. Returns `Ready` if `root`, the future of `block_on`, is ready.
    fn turn(&self, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        let mut root_poll = Poll::Pending;
        // 1. Poll the tasks that are ready, each once.
        for task in self.queue.take() {
            if task == TaskId::ROOT {
                root_poll = root();
            } else {
                task_table::run(&self.tasks, task);
            }
        }
        if root_poll.is_ready() {
            return root_poll;
        }
        // TODO 6: 2. Find out how long the thread may wait: not at all if a task is ready, else until the next deadline
        //    (`self.timers.until_next()`), and without an end if there is no timer.
        // 3. Wait for that time, with `thread::park_timeout` or `thread::park`.
        // 4. Let the timers advance (`self.timers.advance(&mut due)`, with an empty `Vec`), and wake the wakers of the due
        //    timers.
        todo!("TODO 6");
        Poll::Pending
    }

    /// Runs `future` to its end, and the spawned tasks beside it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let task_waker = TaskWaker::queued(TaskId::ROOT, self.queue.clone());
        let waker = Waker::from(task_waker.clone());
        self.queue.push(TaskId::ROOT);
        let mut value = None;
        let mut root = || {
            task_waker.begin_poll();
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            poll.map(|output| value = Some(output))
        };
        while self.turn(&mut root).is_pending() {}
        value.expect("the loop ends when the future is ready")
    }

    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Makes a task of a future. The next turn polls it.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let (task, handle) = joinable(future);
        let task = self.tasks.borrow_mut().insert(Box::pin(task), &self.queue);
        self.queue.push(task);
        handle
    }
}
