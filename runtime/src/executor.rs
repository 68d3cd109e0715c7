//! The turn of the loop: whose turn it is, in which order, and when to wait.
//!
//! # How it works
//!
//! [`Executor::turn`] is the design. Everything else here is its steps, and the loops around it:
//! until a future is done ([`Executor::block_on`]), until the time is over
//! ([`Executor::run_for`]), until nothing is ready ([`Executor::run_until_idle`]).
//!
//! # Invariants
//!
//! - Always: a turn polls what was ready when it began, and each of it once. What is woken
//!   meanwhile waits for the next turn, after the reactor has had its look.
//! - Always: the time that passes between two looks at the reactor is that of one turn.
//! - Always: whom the reactor has found is polled before who was woken in the last turn, so that a
//!   task which goes on and on is no more than one poll in anybody's way.
//! - Never: a borrow of anything here while a future is polled, or a waker woken or dropped.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::budget;
use crate::join::{Join, JoinHandle};
use crate::notify::Notify;
use crate::pool::Pool;
use crate::reactor::Reactor;
use crate::run_queue::{Message, Remote, RunQueue, RuntimeId, TaskId};
use crate::task::{self, Detached, Task, Tasks};
use crate::time::instant::Instant;
use crate::time::timers::Timers;
use crate::waker::TaskWaker;

/// Everything that one runtime consists of.
pub(crate) struct Executor {
    id: RuntimeId,
    queue: Rc<RunQueue>,
    tasks: RefCell<Tasks>,
    reactor: Reactor,
    timers: Timers,
    blocking: Pool,
    /// Who waits for the reactor's next delivery.
    delivered: Rc<Notify>,
    /// Who waits for a descriptor.
    freed: Rc<Notify>,
    closing: Cell<bool>,
    /// Used again in each turn.
    due: Cell<Vec<Waker>>,
}

/// How long a turn may wait when nothing is ready.
#[derive(Clone, Copy)]
enum Wait {
    No,
    Until(Instant),
    Forever,
}

impl Executor {
    /// # Errors
    ///
    /// When the process has no descriptors left: it takes two of epoll, and an eventfd.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let reactor = Reactor::new()?;
        let queue = Rc::new(RunQueue::new(reactor.unparker()?));
        let listed = reactor.list_as(queue.remote().id());
        listed.inspect_err(|_| drop(queue.close()))?;
        let blocking = Pool::new(queue.remote().clone());
        Ok(Rc::new(Self {
            id: queue.remote().id(),
            queue,
            tasks: RefCell::default(),
            reactor,
            timers: Timers::new(),
            blocking,
            delivered: Rc::default(),
            freed: Rc::default(),
            closing: Cell::new(false),
            due: Cell::default(),
        }))
    }

    /// One turn of the wheel.
    fn turn(&self, root: &mut dyn FnMut() -> Poll<()>, wait: Wait) -> Poll<()> {
        // 1. What is ready now; what is woken meanwhile waits for the next turn.
        let ready = self.queue.begin_turn();
        // 2. Each of it is polled once.
        for task in ready {
            if self.poll(task, root).is_ready() {
                return Poll::Ready(());
            }
        }
        // 3. What other threads have sent. Whoever sends expects the caller's attention, so that
        //    there is no sleep in a turn with mail.
        let wait = if self.read_inbox() { Wait::No } else { wait };
        // 4. and 5. Until when we may sleep, and sleep.
        let mut due = self.due.take();
        let events = self.park(wait, &mut due);
        // 6. Whoever can go on is woken, now that nothing is borrowed.
        self.timers.begin_turn(&mut due);
        due.drain(..).for_each(Waker::wake);
        self.due.set(due);
        if events > 0 {
            self.delivered.notify_all();
        }
        Poll::Pending
    }

    fn poll(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        budget::refill();
        if task == TaskId::ROOT {
            return root();
        }
        task::run(&self.tasks, task);
        Poll::Pending
    }

    /// Does what other threads ask for; `true` if they have.
    fn read_inbox(&self) -> bool {
        let Some(messages) = self.queue.take_inbox() else {
            return false;
        };
        for message in messages {
            match message {
                Message::Wake(task) => self.queue.remote().wake(task),
                Message::Run(run) => run(),
            }
        }
        true
    }

    /// Lets the reactor look, and sleep if it may; says how many events there were.
    fn park(&self, wait: Wait, due: &mut Vec<Waker>) -> usize {
        let timeout = self.timeout(wait);
        if timeout == Some(Duration::ZERO) || !self.queue.try_park() {
            return self.look(Some(Duration::ZERO), due);
        }
        let events = self.look(timeout, due);
        self.queue.unparked();
        events
    }

    /// Queues the tasks that are ready, before those that were woken in this turn, and collects the
    /// wakers of all others.
    fn look(&self, timeout: Option<Duration>, due: &mut Vec<Waker>) -> usize {
        let parked = self.reactor.park(timeout);
        parked.expect("epoll_wait fails only if somebody else has closed its own descriptor");
        let tasks = self.tasks.borrow();
        RunQueue::add(|ready| {
            let woken = ready.len();
            let events = self.reactor.deliver(due, |task| {
                if tasks.mark_queued(task) {
                    ready.push(task);
                }
            });
            // Who has used up its budget comes after those who have waited for it.
            ready.rotate_left(woken);
            events
        })
    }

    /// Whether a task has not ended.
    pub(crate) fn is_alive(&self, task: TaskId) -> bool {
        self.tasks.borrow().contains(task)
    }

    /// Wakes a task by its id, which runs nothing of a user's.
    pub(crate) fn wake_task(&self, task: TaskId) {
        let unmarked = self.tasks.borrow().mark_queued(task);
        if unmarked {
            self.remote().wake(task);
        }
    }

    /// How long the reactor may sleep; zero if there is anything to do.
    fn timeout(&self, wait: Wait) -> Option<Duration> {
        // In this order: the look before a jump may make a task ready.
        if self.skipped_time(wait) || RunQueue::ready_len() > 0 {
            return Some(Duration::ZERO);
        }
        let until_timer = self.timers.until_next();
        let until_end = match wait {
            Wait::No => Some(Duration::ZERO),
            Wait::Until(end) => Some(end.saturating_duration_since(Instant::real())),
            Wait::Forever => None,
        };
        match (until_timer, until_end) {
            (Some(timer), Some(end)) => Some(timer.min(end)),
            (timer, end) => timer.or(end),
        }
    }

    /// With a paused clock, waiting is a jump: to the next deadline, if nothing else can happen.
    fn skipped_time(&self, wait: Wait) -> bool {
        let nothing_else = !matches!(wait, Wait::No)
            && self.timers.clock().is_paused()
            && RunQueue::ready_len() == 0
            // A job that has ended has sent its mail before: look for that afterwards.
            && self.blocking.is_idle_or_reports()
            && !self.queue.has_mail()
            && self.nothing_delivered();
        nothing_else && self.timers.skip_to_next()
    }

    /// Looks whether the reactor has anything; what it has goes its way.
    fn nothing_delivered(&self) -> bool {
        let mut due = Vec::new();
        let events = self.look(Some(Duration::ZERO), &mut due);
        due.into_iter().for_each(Waker::wake);
        if events > 0 {
            self.delivered.notify_all();
        }
        RunQueue::ready_len() == 0
    }

    /// Runs `future` to its end, and the spawned tasks beside it.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = TaskWaker::queued(TaskId::ROOT, self.queue.remote().clone());
        self.queue.remote().wake(TaskId::ROOT);
        let mut value = None;
        let mut root = || {
            waker.begin_poll();
            poll_root(future.as_mut(), &waker).map(|output| value = Some(output))
        };
        while self.turn(&mut root, Wait::Forever).is_pending() {}
        waker.retire();
        value.expect("the loop ends when the future has given its value")
    }

    /// Waits at most `duration` for something to do, and does what is there, for at most
    /// `duration` in all; `true` if some is left to do.
    pub(crate) fn run_for(&self, duration: Duration) -> bool {
        let end = Instant::real() + duration;
        let wait = if duration.is_zero() {
            Wait::No
        } else {
            Wait::Until(end)
        };
        self.step(wait);
        for _ in 1..TURNS_MAX {
            let over = !duration.is_zero() && Instant::real() >= end;
            if over || RunQueue::ready_len() == 0 {
                break;
            }
            self.step(Wait::No);
        }
        RunQueue::ready_len() > 0
    }

    /// Takes turns until every task waits for something outside; says how many tasks there are.
    pub(crate) fn run_until_idle(&self) -> usize {
        loop {
            self.step(Wait::No);
            if RunQueue::ready_len() == 0 {
                return self.tasks.borrow().len();
            }
        }
    }

    fn step(&self, wait: Wait) {
        let pending = self.turn(&mut || Poll::Pending, wait);
        debug_assert!(pending.is_pending(), "there is no root to end");
    }

    /// Takes a future in as a task of its own, queued for the next turn.
    pub(crate) fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let mut join = None;
        self.start(|waker| {
            let cell = Join::new(futures_task::waker(waker.clone()));
            join = Some(cell.clone());
            Task::new(future, cell)
        });
        JoinHandle::new(join.expect("start has called the closure"))
    }

    /// As [`spawn`](Self::spawn), for what nobody will ask about.
    pub(crate) fn spawn_detached<F: Future<Output = ()> + 'static>(&self, future: F) {
        self.start(|_| Detached::new(future));
    }

    fn start<F: Future<Output = ()> + 'static>(&self, make: impl FnOnce(&Arc<TaskWaker>) -> F) {
        let remote = self.queue.remote();
        let task = self.tasks.borrow_mut().insert(remote, make);
        remote.wake(task);
        if self.closing.get() {
            task::end_all(&self.tasks);
        }
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.id
    }

    /// # Panics
    ///
    /// When something of another runtime is used in this one.
    pub(crate) fn expect_own(&self, runtime: RuntimeId, what: &str, operation: &str) {
        assert!(
            self.id() == runtime,
            "{what} was {operation} under another runtime than the one it first ran under"
        );
    }

    pub(crate) fn queue(&self) -> &Rc<RunQueue> {
        &self.queue
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        self.queue.remote()
    }

    pub(crate) fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(crate) fn blocking(&self) -> &Pool {
        &self.blocking
    }

    /// Notified when the reactor has delivered something.
    pub(crate) fn delivered(&self) -> &Rc<Notify> {
        &self.delivered
    }

    /// Notified when a socket is closed.
    pub(crate) fn freed(&self) -> &Rc<Notify> {
        &self.freed
    }

    pub(crate) fn tasks_len(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Ends all tasks and drops all messages. The caller has entered the runtime, so that what
    /// they hold finds its way.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        while task::end_all(&self.tasks) {}
        self.queue.close().into_iter().for_each(task::discard);
        RunQueue::clear();
    }
}

/// No call of [`Executor::run_for`] takes more turns, so that tasks which keep waking each other
/// cannot keep it.
const TURNS_MAX: usize = 256;

fn poll_root<F: Future>(future: Pin<&mut F>, waker: &Arc<TaskWaker>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&futures_task::waker_ref(waker)))
}
