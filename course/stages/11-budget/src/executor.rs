//! The turn of the loop: which tasks run, and when the thread waits.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::budget;
use crate::context::Counts;
use crate::join_handle::{JoinHandle, joinable};
use crate::queue::{Queue, TaskId};
use crate::reactor::Reactor;
use crate::task_table::{self, Tasks};
use crate::timers::Timers;
use crate::waker::TaskWaker;

/// A turn that has polled this many tasks starts no further list.
const POLLS_PER_TURN: usize = 64;

/// All parts of one runtime.
pub struct Executor {
    /// The ids of the ready tasks. The wakers share it.
    queue: Arc<Queue>,
    /// The futures.
    tasks: RefCell<Tasks>,
    reactor: Reactor,
    timers: Timers,
    turns: Cell<u64>,
}

impl Executor {
    /// Opens an epoll instance and an eventfd.
    pub fn new() -> io::Result<Rc<Self>> {
        let reactor = Reactor::new()?;
        Ok(Rc::new(Self {
            queue: Arc::new(Queue::new(reactor.unparker()?)),
            tasks: RefCell::default(),
            reactor,
            timers: Timers::new(),
            turns: Cell::new(0),
        }))
    }

    /// Takes one turn. Returns `Ready` if `root`, the future of `block_on`, is ready.
    fn turn(&self, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        let mut root_poll = Poll::Pending;
        self.turns.set(self.turns.get() + 1);
        // TODO 4: 1. Take the tasks of the turn (`self.queue.take_turn()`), and poll each of them with `self.poll(task, root)`. Store
        //    the result for `TaskId::ROOT` in `root_poll`. Then take the tasks that were woken meanwhile
        //    (`self.queue.take_woken()`) and poll them too, and so on, until no task is woken or the turn has polled
        //    `POLLS_PER_TURN` tasks. A list that was taken is polled to its end.
        todo!("TODO 4");
        if root_poll.is_ready() {
            return root_poll;
        }
        // 2. Find out how long the thread may wait. This is zero if a task is ready.
        let timeout = if self.queue.try_park() {
            self.timers.until_next()
        } else {
            Some(Duration::ZERO)
        };
        // 3. Wait until an event, a wake or the end of that time.
        let parked = self.reactor.park(timeout);
        parked.expect("epoll_wait fails only if foreign code has closed its descriptor");
        self.queue.unparked();
        // 4. Collect the wakers of the sockets that have events, and those of the due timers.
        let mut due = Vec::new();
        self.reactor.deliver(&mut due);
        self.timers.advance(&mut due);
        // 5. Wake them last, when no part of the executor is borrowed.
        for waker in due {
            waker.wake();
        }
        Poll::Pending
    }

    /// Polls one task, or the future of `block_on`.
    fn poll(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        // TODO 3: Refill the budget (`budget::refill()`).
        todo!("TODO 3");
        if task == TaskId::ROOT {
            return root();
        }
        task_table::run(&self.tasks, task);
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

    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    pub fn counts(&self) -> Counts {
        Counts {
            tasks: self.tasks.borrow().len(),
            timers: self.timers.len(),
            sources: self.reactor.len(),
            turns: self.turns.get(),
        }
    }

    /// Makes a task of a future. The next turn polls it.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let (task, handle) = joinable(future);
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.insert(Box::pin(task), &self.queue);
        handle.set_task(tasks.waker(task));
        self.queue.push(task);
        handle
    }

    /// Ends all tasks, because the runtime ends.
    pub fn shut_down(&self) {
        task_table::end_all(&self.tasks);
    }
}
