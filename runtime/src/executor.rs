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
//! - Always: a turn polls each task that was ready when it began. It goes on to the tasks that were woken
//!   meanwhile, also by other threads, until 64 polls have passed.
//! - Always: the reactor has its look between any two polls of a task that yields or has spent its budget.
//! - Always: tasks with I/O events run before tasks that were woken by others or that yield. So a task that
//!   yields again and again delays the others by at most one poll.
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
use crate::directory;
use crate::instant::Instant;
use crate::join_handle::JoinHandle;
use crate::local_queue::{self, LocalQueue, RuntimeId, TaskId};
use crate::notify::Notify;
use crate::panics;
use crate::pool::Pool;
use crate::reactor::Reactor;
use crate::remote::{Message, Remote};
use crate::task::{self, Tasks};
use crate::timers::Timers;
use crate::waker::TaskWaker;
use crate::watch::{Place, Watch};

/// Everything that one runtime consists of.
pub(crate) struct Executor {
    id: RuntimeId,
    queue: Rc<LocalQueue>,
    remote: Arc<Remote>,
    tasks: Rc<RefCell<Tasks>>,
    reactor: Reactor,
    timers: Timers,
    blocking: Pool,
    /// Notified after each delivery of the reactor.
    delivered: Rc<Notify>,
    /// Notified when a descriptor is closed.
    freed: Rc<Notify>,
    /// The waker of the future that `block_on` runs.
    root: RefCell<Option<Arc<TaskWaker>>>,
    /// The place in the program that called `block_on`.
    root_place: Cell<Option<Place>>,
    closing: Cell<bool>,
    /// The memory for the wakers of a turn, used again in each turn.
    due: Cell<Vec<Waker>>,
    /// The memory for the messages of a turn. It changes places with the inbox.
    mail: Cell<Vec<Message>>,
}

/// A list of messages with room for more than this is freed.
const MAIL_KEPT: usize = 1024;

/// How long a turn may wait if no task is ready.
#[derive(Clone, Copy)]
enum Wait {
    No,
    Until(Instant),
    Forever,
}

impl Executor {
    /// # Errors
    ///
    /// Fails if the process has no descriptors left: it takes two of epoll, and an eventfd.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let reactor = Reactor::new()?;
        let remote = Remote::new(reactor.unparker()?);
        directory::add(&remote, reactor.epoll_handle()?);
        Ok(Rc::new(Self {
            id: remote.id(),
            queue: Rc::new(LocalQueue::new(remote.id())),
            tasks: Rc::new(RefCell::new(Tasks::new(remote.clone()))),
            reactor,
            timers: Timers::new(),
            blocking: Pool::new(remote.clone()),
            remote,
            delivered: Rc::default(),
            freed: Rc::default(),
            root: RefCell::new(None),
            root_place: Cell::new(None),
            closing: Cell::new(false),
            due: Cell::default(),
            mail: Cell::default(),
        }))
    }

    /// One turn of the wheel.
    fn turn(&self, root: &mut dyn FnMut() -> Poll<()>, wait: Wait) -> Poll<()> {
        // 1. Poll the tasks that are ready, and those that they or other threads wake, for a while.
        let had_mail = Cell::new(false);
        let read_mail = || {
            if self.read_inbox() {
                had_mail.set(true);
            }
        };
        for task in self.queue.begin_turn(read_mail) {
            if self.poll(task, root).is_ready() {
                return Poll::Ready(());
            }
        }
        // 2. With a paused clock and no work, skip to the next deadline.
        self.skip_paused_time(wait);
        // 3. and 4. Wait until an event, a message or the next deadline; not at all if a task is ready.
        let mut due = self.due.take();
        let events = self.park(self.timeout(wait, had_mail.get()), &mut due);
        // 5. Wake all whose time or event has come, now that nothing is borrowed.
        self.timers.begin_turn(&mut due);
        panics::wake_all(due.drain(..));
        self.due.set(due);
        if events > 0 {
            self.delivered.notify_all();
        }
        Poll::Pending
    }

    fn poll(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        budget::refill();
        let watch = Watch::start(|| match task {
            TaskId::ROOT => self.root_place.get(),
            task => self.tasks.borrow().spawned_at(task),
        });
        let poll = if task == TaskId::ROOT {
            root()
        } else {
            task::run(&self.tasks, task);
            Poll::Pending
        };
        watch.stop();
        poll
    }

    /// Does what other threads ask for. Returns true if they have asked. It is called between polls, and
    /// right after each wait, so that one message never ends two waits.
    #[inline]
    fn read_inbox(&self) -> bool {
        let has_mail = self.remote.has_mail();
        if has_mail {
            self.read_mail();
        }
        has_mail
    }

    #[inline(never)] // so that a turn without mail costs two loads
    fn read_mail(&self) {
        let mut mail = self.mail.take();
        self.remote.take_inbox(&mut mail);
        for message in mail.drain(..) {
            match message {
                // Not if it is queued already: a task that yields must not run before the look.
                Message::Wake(task) => self.wake_task(task),
                Message::Run(run) => _ = panics::contain(run),
            }
        }
        if mail.capacity() <= MAIL_KEPT {
            self.mail.set(mail);
        }
    }

    /// Moves a paused clock to the next deadline if nothing else can happen.
    fn skip_paused_time(&self, wait: Wait) {
        if matches!(wait, Wait::No) || !self.timers.clock().is_paused() {
            return;
        }
        // In this order: a job that has ended has sent its mail before, and the last look at the
        // reactor may make a task ready.
        let nothing_else = !local_queue::any_ready()
            && self.blocking.is_idle_or_reports()
            && !self.remote.has_mail()
            && !self.deliver_ready();
        if nothing_else {
            self.timers.skip_to_next();
        }
    }

    /// Delivers the events that are there already. Returns true if a task is ready now.
    fn deliver_ready(&self) -> bool {
        let mut due = Vec::new();
        let events = self.look(Some(Duration::ZERO), &mut due);
        panics::wake_all(due);
        if events > 0 {
            self.delivered.notify_all();
        }
        local_queue::any_ready()
    }

    fn mark_root_queued(&self) -> bool {
        let root = self.root.borrow();
        root.as_ref().is_some_and(|root| root.mark_queued())
    }

    /// Returns how long the reactor may sleep: zero if a task is ready, `None` if there is no deadline. A
    /// turn that has had mail does not wait for a given time: [`Handle::wake`](crate::Handle::wake) ends the
    /// wait of `poll_timeout`.
    fn timeout(&self, wait: Wait, had_mail: bool) -> Option<Duration> {
        if local_queue::any_ready() {
            return Some(Duration::ZERO);
        }
        let until_end = match wait {
            Wait::No => return Some(Duration::ZERO),
            Wait::Until(_) if had_mail => return Some(Duration::ZERO),
            Wait::Until(end) => Some(end.saturating_duration_since(Instant::real())),
            Wait::Forever => None,
        };
        match (self.timers.until_next(), until_end) {
            (Some(timer), Some(end)) => Some(timer.min(end)),
            (timer, end) => timer.or(end),
        }
    }

    /// Lets the reactor look, and sleep for at most `timeout`. Returns the number of events.
    fn park(&self, timeout: Option<Duration>, due: &mut Vec<Waker>) -> usize {
        if timeout == Some(Duration::ZERO) {
            return self.look(timeout, due);
        }
        let parks = self.remote.try_park();
        let events = self.look(if parks { timeout } else { Some(Duration::ZERO) }, due);
        if parks {
            self.remote.unparked();
        }
        self.read_inbox();
        events
    }

    /// Queues the tasks that have events, before those that are ready already, and collects the wakers
    /// of all others.
    fn look(&self, timeout: Option<Duration>, due: &mut Vec<Waker>) -> usize {
        let parked = self.reactor.park(timeout);
        parked.expect("epoll_wait fails only if foreign code has closed its descriptor");
        let tasks = self.tasks.borrow();
        local_queue::push_first(|ready| {
            self.reactor.deliver(due, |task| {
                if tasks.mark_queued(task) {
                    ready.push(task);
                }
            })
        })
    }

    /// Returns true if a task has not ended.
    pub(crate) fn is_alive(&self, task: TaskId) -> bool {
        self.tasks.borrow().is_alive(task)
    }

    /// Wakes a task by its id, which runs no foreign code.
    pub(crate) fn wake_task(&self, task: TaskId) {
        let unmarked = match task {
            TaskId::ROOT => self.mark_root_queued(),
            task => self.tasks.borrow().mark_queued(task),
        };
        if unmarked {
            self.remote.wake(task);
        }
    }

    /// Runs `future` to its end, and the spawned tasks beside it. `place` is where the caller stands.
    pub(crate) fn block_on<F: Future>(&self, future: F, place: Place) -> F::Output {
        self.root_place.set(Some(place));
        let mut future = pin!(future);
        let waker = TaskWaker::queued(TaskId::ROOT, self.remote.clone());
        self.remote.wake(TaskId::ROOT);
        self.root.replace(Some(waker.clone()));
        let mut value = None;
        let mut root = || {
            waker.begin_poll();
            poll_root(future.as_mut(), &waker).map(|output| value = Some(output))
        };
        while self.turn(&mut root, Wait::Forever).is_pending() {}
        waker.retire();
        value.expect("the loop ends when the future has given its value")
    }

    /// Polls the tasks that are ready, waits once if none is ready then, and polls the tasks that this wakes.
    /// All of this takes at most `duration`. Returns true if a task is still ready.
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
            if over || !local_queue::any_ready() {
                break;
            }
            self.step(Wait::No);
        }
        local_queue::any_ready()
    }

    /// Takes turns until every task waits for something outside; says how many tasks there are.
    pub(crate) fn run_until_idle(&self) -> usize {
        loop {
            self.step(Wait::No);
            if !local_queue::any_ready() {
                return self.tasks.borrow().len();
            }
        }
    }

    fn step(&self, wait: Wait) {
        let pending = self.turn(&mut || Poll::Pending, wait);
        debug_assert!(pending.is_pending(), "there is no root to end");
    }

    /// Takes a future in as a task of its own, ready in this turn or the next.
    pub(crate) fn spawn<F: Future + 'static>(
        &self,
        future: F,
        place: Place,
    ) -> JoinHandle<F::Output> {
        let task = self.tasks.borrow_mut().insert_joinable(future, place);
        self.start(task);
        JoinHandle::new(self.tasks.clone(), task)
    }

    /// As [`spawn`](Self::spawn), without a handle.
    pub(crate) fn spawn_detached<F>(&self, future: F, place: Place)
    where
        F: Future<Output = ()> + 'static,
    {
        let task = self.tasks.borrow_mut().insert_detached(future, place);
        self.start(task);
    }

    fn start(&self, task: TaskId) {
        if self.remote.is_entered() {
            local_queue::push(task);
        } else {
            // Another runtime lies between: the way leads through the inbox, which marks the task.
            self.tasks.borrow().unmark_queued(task);
            self.remote.send_wake(task);
        }
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

    pub(crate) fn queue(&self) -> &Rc<LocalQueue> {
        &self.queue
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
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

    /// Ends all tasks and drops all messages. The caller has entered the runtime, so that their
    /// destructors find it.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        while task::end_all(&self.tasks) {}
        self.remote.close().into_iter().for_each(panics::discard);
        // Sleeps and sockets may outlive the runtime; their wakers do not.
        self.timers.clear();
        self.reactor.clear().into_iter().for_each(panics::discard);
        local_queue::clear();
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        directory::remove(self.id);
    }
}

/// A call of [`Executor::run_for`] takes at most this many turns, so that tasks which keep waking each
/// other cannot keep it.
const TURNS_MAX: usize = 256;

fn poll_root<F: Future>(future: Pin<&mut F>, waker: &Arc<TaskWaker>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&futures_task::waker_ref(waker)))
}
