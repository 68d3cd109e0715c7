//! The turn of the loop: which tasks run, in which order, and how long the thread waits.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::budget;
use crate::context::Counts;
use crate::join_handle::{JoinHandle, joinable};
use crate::local_queue::{self, LocalQueue, TaskId};
use crate::pool::Pool;
use crate::reactor::Reactor;
use crate::remote::Remote;
use crate::task_table::{self, Tasks};
use crate::timers::Timers;
use crate::waker::TaskWaker;

/// A turn that has polled this many tasks starts no further list.
const POLLS_PER_TURN: usize = 64;

/// All parts of one runtime.
pub struct Executor {
    /// The ids of the ready tasks, while no thread is inside the runtime.
    queue: Rc<LocalQueue>,
    /// The inbox for other threads.
    remote: Arc<Remote>,
    /// The futures.
    tasks: RefCell<Tasks>,
    reactor: Reactor,
    timers: Timers,
    /// The threads for blocking jobs.
    blocking: Pool,
    /// The waker of the future that `block_on` runs. That future has no slot in `tasks`.
    root: RefCell<Option<Arc<TaskWaker>>>,
    turns: Cell<u64>,
    messages: Cell<u64>,
}

impl Executor {
    /// Opens an epoll instance and an eventfd.
    pub fn new() -> io::Result<Rc<Self>> {
        let reactor = Reactor::new()?;
        let remote = Remote::new(reactor.unparker()?);
        Ok(Rc::new(Self {
            queue: Rc::new(LocalQueue::new(remote.id())),
            tasks: RefCell::new(Tasks::new(remote.clone())),
            remote,
            reactor,
            timers: Timers::new(),
            blocking: Pool::new(),
            root: RefCell::default(),
            turns: Cell::new(0),
            messages: Cell::new(0),
        }))
    }

    /// Takes one turn. Returns `Ready` if `root`, the future of `block_on`, is ready.
    fn turn(&self, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        self.turns.set(self.turns.get() + 1);
        // 1. Poll the tasks that are ready, and then those that they or other threads wake, list by list.
        if self.poll_ready_tasks(root).is_ready() {
            return Poll::Ready(());
        }
        // 2. Find out how long the thread may wait. This is zero if a task is ready.
        let timeout = if local_queue::any_ready() {
            Some(Duration::ZERO)
        } else {
            self.timers.until_next()
        };
        // 3. Wait until an event, a message or the end of that time.
        self.park(timeout);
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

    fn poll_ready_tasks(&self, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        let mut root_poll = Poll::Pending;
        let mut tasks = local_queue::take_turn();
        let mut polls = 0;
        loop {
            polls += tasks.len();
            for task in tasks {
                let poll = self.poll(task, root);
                if task == TaskId::ROOT {
                    root_poll = poll;
                }
            }
            // If tasks are always ready, the executor never waits, and this is the only look at the inbox.
            self.read_inbox();
            if root_poll.is_ready() || polls >= POLLS_PER_TURN {
                return root_poll;
            }
            tasks = local_queue::take_woken();
            if tasks.is_empty() {
                return root_poll;
            }
        }
    }

    /// Polls one task, or the future of `block_on`.
    fn poll(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        budget::refill();
        if task == TaskId::ROOT {
            return root();
        }
        task_table::run(&self.tasks, task);
        Poll::Pending
    }

    /// Reads the messages of other threads, and queues the tasks that they wake.
    fn read_inbox(&self) {
        if !self.remote.has_mail() {
            return;
        }
        for task in self.remote.take_inbox() {
            self.messages.set(self.messages.get() + 1);
            let unmarked = match task {
                TaskId::ROOT => {
                    let root = self.root.borrow();
                    root.as_ref().is_some_and(|root| root.mark_queued())
                }
                task => self.tasks.borrow_mut().mark_queued(task),
            };
            if unmarked {
                local_queue::push(task);
            }
        }
    }

    /// Waits for at most `timeout`.
    fn park(&self, timeout: Option<Duration>) {
        if timeout == Some(Duration::ZERO) {
            return self.look(timeout);
        }
        // From here on, a message of another thread ends the wait. If a message came before, the thread must not wait.
        if self.remote.try_park() {
            self.look(timeout);
            self.remote.unparked();
        } else {
            self.look(Some(Duration::ZERO));
        }
        self.read_inbox();
    }

    /// Waits in the reactor.
    fn look(&self, timeout: Option<Duration>) {
        let parked = self.reactor.park(timeout);
        parked.expect("epoll_wait fails only if foreign code has closed its descriptor");
    }

    /// Runs `future` to its end, and the spawned tasks beside it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = TaskWaker::queued(TaskId::ROOT, self.remote.clone());
        self.root.replace(Some(waker.clone()));
        local_queue::push(TaskId::ROOT);
        let mut value = None;
        let mut root = || {
            waker.begin_poll();
            let waker = futures_task::waker_ref(&waker);
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            poll.map(|output| value = Some(output))
        };
        while self.turn(&mut root).is_pending() {}
        self.root.replace(None);
        value.expect("the loop ends when the future is ready")
    }

    pub fn queue(&self) -> &Rc<LocalQueue> {
        &self.queue
    }

    pub fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    pub fn blocking(&self) -> &Pool {
        &self.blocking
    }

    pub fn counts(&self) -> Counts {
        Counts {
            tasks: self.tasks.borrow().len(),
            timers: self.timers.len(),
            sources: self.reactor.len(),
            turns: self.turns.get(),
            messages: self.messages.get(),
        }
    }

    /// Makes a task of a future. It runs in this turn or the next.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let (task, handle) = joinable(future);
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.insert(Box::pin(task));
        handle.set_task(tasks.waker(task));
        local_queue::push(task);
        handle
    }

    /// Ends all tasks, because the runtime ends.
    pub fn shut_down(&self) {
        task_table::end_all(&self.tasks);
        self.blocking.close();
        self.remote.close();
    }
}
