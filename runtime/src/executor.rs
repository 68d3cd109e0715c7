//! The turn of the loop: which tasks run, in which order, and how long the thread waits.
//!
//! # How it works
//!
//! [`Executor::turn`] is the design. The functions below it are its steps. Three loops call it:
//!
//! | loop | takes turns until |
//! |---|---|
//! | [`Executor::block_on`] | its future is ready |
//! | [`Executor::run_for`] | the time is over, or no task is ready after the one wait |
//! | [`Executor::run_until_idle`] | no task is ready |
//!
//! # Invariants
//!
//! - Always: a turn polls each task that was ready when it began. Then it polls the tasks that were woken
//!   during the turn, also by other threads, until it has polled 64.
//! - Always: the reactor checks for events between any two polls of a task that yields or has spent its
//!   budget. (The exception is a task that was woken in the same poll before; see `local_queue`.)
//! - Always: tasks with I/O events run before tasks that were woken during the turn or that yield. So a task
//!   that always yields delays the others by at most one poll.
//! - Never: a borrow of any field here while a future is polled, or a waker is woken or dropped.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::budget;
use crate::causes::Reason;
use crate::directory;
use crate::hooks::Hooks;
use crate::instant::Instant;
use crate::join_handle::JoinHandle;
use crate::joinable::{BoxRun, detached, joinable};
use crate::local_queue::{self, LocalQueue, RuntimeId, TaskId};
use crate::nodes::Tracker;
use crate::notify::Notify;
use crate::panics;
use crate::points::{self, ReportWish, Reports};
use crate::pool::{Pool, PoolSettings};
use crate::reactor::Reactor;
use crate::remote::{Message, Remote};
use crate::rotation;
use crate::source::Readiness;
use crate::task_names::{Info, NamedTask};
use crate::task_table::{self, Tasks};
use crate::timers::Timers;
use crate::waker::TaskWaker;
use crate::watch::{Place, Watch};

mod watched;

/// All parts of one runtime.
pub(crate) struct Executor {
    id: RuntimeId,
    /// The ids of the ready tasks. Shared with the guard that keeps a thread inside the runtime.
    queue: Rc<LocalQueue>,
    /// The inbox for other threads.
    remote: Arc<Remote>,
    /// The futures. Shared with the join handles, which may outlive the runtime.
    tasks: Rc<RefCell<Tasks>>,
    reactor: Reactor,
    timers: Timers,
    /// The threads for blocking jobs.
    blocking: Pool,
    /// Notified after each turn in which the reactor has delivered events.
    delivered: Rc<Notify>,
    /// Notified when a socket of this runtime is closed.
    freed: Rc<Notify>,
    /// The waker of the future that `block_on` runs. That future has no slot in `tasks`.
    root: RefCell<Option<Arc<TaskWaker>>>,
    /// The place in the program that called `block_on`, for the watch.
    root_place: Cell<Option<Place>>,
    /// True once the runtime ends: a task that a destructor spawns then is dropped at once.
    closing: Cell<bool>,
    /// The wakers that a turn collects. The memory is kept for the next turn.
    due: Cell<Vec<Waker>>,
    /// The functions of the user that a turn calls. `None` in most programs.
    hooks: Option<Box<Hooks>>,
    /// The receiver of reports, if the owner wants one. Then `hooks` is `Some`, too.
    reports: Reports,
    /// Learns of each poll, if the runtime is inspected.
    tracker: Tracker,
    /// The messages that a turn has received. The memory changes places with the inbox. // LOG R13
    mail: Cell<Vec<Message>>,
}

/// The settings of a runtime.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) pool: PoolSettings,
    hooks: Option<Box<Hooks>>,
    /// Determines the order of tasks, in a test.
    pub(crate) seed: Option<u64>,
    /// The receiver of reports, if the owner wants one.
    pub(crate) reports: ReportWish,
    pub(crate) tracker: Tracker,
}

impl Settings {
    pub(crate) fn hooks(&mut self) -> &mut Hooks {
        self.hooks.get_or_insert_default()
    }
}

/// A list of messages with room for more than this is freed.
const MAIL_KEPT: usize = 1024;

/// A call of [`Executor::run_for`] takes at most this many turns, so that tasks which wake each other
/// forever cannot keep it.
const TURNS_MAX: usize = 256;

/// The longest wait of a turn in which no task is ready.
#[derive(Clone, Copy)]
enum Wait {
    No,
    Until(Instant),
    Forever,
}

impl Executor {
    /// Opens a runtime: an epoll instance with two descriptors, and an eventfd.
    ///
    /// # Errors
    ///
    /// Fails if the process does not have three descriptors left.
    pub(crate) fn new(mut settings: Settings) -> io::Result<Rc<Self>> {
        let reactor = Reactor::new()?;
        let remote = Remote::new(reactor.unparker()?);
        directory::add(&remote, reactor.epoll_handle()?);
        let unpark = remote.clone();
        let explains = settings.tracker.is_on();
        let unpark = move || unpark.nudge();
        let reports = Reports::open(settings.reports, explains, remote.id(), unpark);
        if reports.are_on() || explains {
            // One branch then serves for both, and costs no more than before.
            settings.hooks.get_or_insert_default();
        }
        settings.tracker.opened(remote.id());
        if let Some(seed) = settings.seed {
            rotation::start_at(seed);
        }
        Ok(Rc::new(Self {
            id: remote.id(),
            queue: Rc::new(LocalQueue::new(remote.id(), settings.seed)),
            tasks: Rc::new(RefCell::new(Tasks::new(
                remote.clone(),
                settings.tracker.clone(),
                reports.clone(),
            ))),
            reactor,
            timers: Timers::new(),
            blocking: Pool::new(remote.clone(), settings.pool),
            remote,
            delivered: Rc::default(),
            freed: Rc::default(),
            root: RefCell::new(None),
            root_place: Cell::new(None),
            closing: Cell::new(false),
            due: Cell::default(),
            mail: Cell::default(),
            hooks: settings.hooks,
            reports,
            tracker: settings.tracker,
        }))
    }

    /// Takes one turn. Returns `Ready` if `root`, the future of `block_on`, is ready.
    fn turn(&self, root: &mut dyn FnMut() -> Poll<()>, wait: Wait) -> Poll<()> {
        // 1. Poll the tasks that are ready, and those that they or other threads wake meanwhile.
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
        // 2. If the clock is paused and no task is ready, move it to the next deadline.
        self.skip_paused_time(wait);
        if self.hooks.is_some() {
            self.before_wait(wait);
        }
        // 3. Find out how long the thread may wait. This is zero if a task is ready.
        let timeout = self.timeout(wait, had_mail.get());
        // 4. Wait for an event, a message or the end of that time. Queue the tasks that have events.
        let mut due = self.due.take();
        let events = self.park(timeout, &mut due);
        // 5. Read the clock and collect the wakers of the due timers. Wake all wakers that steps 4 and 5 have
        // collected. This is last, because a foreign waker may call back into the runtime.
        self.timers.advance(&mut due);
        self.wake_all(&mut due);
        self.due.set(due);
        self.notify_delivered(events);
        Poll::Pending
    }

    /// Polls one task, or the future of `block_on`.
    fn poll(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        if self.hooks.is_some() {
            return self.poll_with_hooks(task, root);
        }
        self.poll_once(task, root)
    }

    // Always inline, or the second caller, which is cold, would make each poll a call. // LOG R1
    #[expect(
        clippy::inline_always,
        reason = "measured: 20 instructions for each poll"
    )]
    #[inline(always)]
    fn poll_once(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        budget::refill();
        let watch = Watch::start(|| match task {
            TaskId::ROOT => self.root_place.get(),
            task => self.tasks.borrow().spawned_at(task),
        });
        let poll = if task == TaskId::ROOT {
            root()
        } else {
            task_table::run(&self.tasks, task);
            Poll::Pending
        };
        watch.stop();
        poll
    }

    /// Reads the messages of other threads. Returns true if a thread has sent one, or a nudge.
    ///
    /// This runs after each list of tasks, and right after each wait. So one message never ends two waits.
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
                // A queued task is not queued again: a task that yields must not run before the reactor
                // checks for events.
                Message::Wake(task) => points::from_mail(Some(task), || self.wake_task(task)),
                Message::Run(run) => _ = points::from_mail(None, || panics::contain(run)),
            }
        }
        if mail.capacity() <= MAIL_KEPT {
            self.mail.set(mail);
        }
    }

    /// Moves a paused clock to the next deadline, if no task is ready and no other event can come first. It
    /// checks the reactor for events before it moves the clock.
    fn skip_paused_time(&self, wait: Wait) {
        if matches!(wait, Wait::No) || !self.timers.clock().is_paused() {
            return;
        }
        if points::is_on() && !local_queue::any_ready() {
            self.timers.fall_behind(points::stop_before_wait());
        }
        // The order matters. A blocking job sends its mail before it ends. So once the pool is idle, its mail
        // is in the inbox. The check of the sockets is last, because it is the only one that is a system call.
        if local_queue::any_ready() || !self.blocking.is_idle_or_reports() || self.remote.has_mail()
        {
            return;
        }
        let mut due = Vec::new();
        let events = self.deliver_events(Some(Duration::ZERO), &mut due);
        self.wake_all(&mut due);
        self.notify_delivered(events);
        // A socket may have made a task ready. That task runs at the present time.
        if !local_queue::any_ready() {
            self.timers.skip_to_next();
        }
    }

    /// Returns the time that the thread may wait: zero if a task is ready, `None` if there is no deadline.
    fn timeout(&self, wait: Wait, had_mail: bool) -> Option<Duration> {
        if local_queue::any_ready() {
            return Some(Duration::ZERO);
        }
        let until_end = match wait {
            Wait::No => return Some(Duration::ZERO),
            // The message was perhaps `Handle::wake`, which ends the wait of `poll_timeout`. It came before the
            // wait, so the wait must not begin.
            Wait::Until(_) if had_mail => return Some(Duration::ZERO),
            Wait::Until(end) => Some(end.saturating_duration_since(Instant::real())),
            Wait::Forever => None,
        };
        match (self.timers.until_next(), until_end) {
            (Some(timer), Some(end)) => Some(timer.min(end)),
            (timer, end) => timer.or(end),
        }
    }

    /// Waits for at most `timeout`, and delivers the events that end the wait. Returns their number.
    fn park(&self, timeout: Option<Duration>, due: &mut Vec<Waker>) -> usize {
        if timeout == Some(Duration::ZERO) {
            return self.deliver_events(timeout, due);
        }
        let timeout = points::parks(timeout);
        // From here on, a message of another thread unparks the reactor. If a message came before, this
        // returns false, and the thread must read it instead of waiting.
        let parks = self.remote.try_park();
        let timeout = if parks { timeout } else { Some(Duration::ZERO) };
        let events = self.deliver_events(timeout, due);
        if parks {
            self.remote.unparked();
        }
        self.read_inbox();
        events
    }

    /// Waits in the reactor for at most `timeout`. Queues the tasks that have events, before those that are
    /// ready already, and moves the wakers of all other waiters into `due`. Returns the number of events.
    fn deliver_events(&self, timeout: Option<Duration>, due: &mut Vec<Waker>) -> usize {
        let parked = self.reactor.park(timeout);
        parked.expect("epoll_wait fails only if foreign code has closed its descriptor");
        if points::is_on() {
            self.deliver_reported(due)
        } else {
            self.deliver::<false>(due)
        }
    }

    fn deliver<const REPORTS: bool>(&self, due: &mut Vec<Waker>) -> usize {
        // One borrow for all events, which is possible because no foreign code runs here. // LOG R4
        let tasks = self.tasks.borrow();
        local_queue::push_first(|ready| {
            let queue = |task| {
                if tasks.mark_queued(task) {
                    if REPORTS {
                        points::wake(task);
                    }
                    ready.push(task);
                }
            };
            let seen = |source, readiness: Readiness, due| {
                if REPORTS {
                    points::io_ready(source, readiness.into(), due);
                }
            };
            self.reactor.deliver(due, seen, queue)
        })
    }

    /// Wakes the wakers that a turn has collected.
    fn wake_all(&self, due: &mut Vec<Waker>) {
        // Most turns have none, and an empty `Drain` costs more than this branch.
        if due.is_empty() {
            return;
        }
        if points::is_on() {
            return self.wake_reported(due);
        }
        panics::wake_all(due.drain(..));
    }

    /// Notifies the tasks that wait for a delivery of the reactor.
    fn notify_delivered(&self, events: usize) {
        if events > 0 {
            self.delivered.notify_all();
        }
    }

    /// Returns true if a task has not ended.
    pub(crate) fn is_alive(&self, task: TaskId) -> bool {
        self.tasks.borrow().is_alive(task)
    }

    /// Aborts a task, which runs no foreign code. Has no effect on a task that has ended.
    pub(crate) fn abort(&self, task: TaskId, reason: Reason, place: Option<Place>) {
        task_table::handle::abort(&self.tasks, task, reason, place);
    }

    /// Names a task.
    pub(crate) fn name(&self, task: TaskId, named: NamedTask) {
        self.tasks.borrow_mut().name(task, named);
    }

    /// Returns all that is known about a task.
    pub(crate) fn info(&self, task: TaskId) -> Info {
        self.tasks.borrow().info(task)
    }

    /// Returns the tasks that have not ended.
    pub(crate) fn alive_tasks(&self) -> Vec<Info> {
        self.tasks.borrow().alive()
    }

    /// Wakes a task by its id, which runs no foreign code.
    pub(crate) fn wake_task(&self, task: TaskId) {
        let unmarked = match task {
            TaskId::ROOT => {
                let root = self.root.borrow();
                root.as_ref().is_some_and(|root| root.mark_queued())
            }
            task => self.tasks.borrow().mark_queued(task),
        };
        if unmarked {
            self.remote.wake(task);
        }
    }

    /// Runs `future` to its end, and the spawned tasks beside it. `place` is the caller's place in the
    /// program.
    pub(crate) fn block_on<F: Future>(&self, future: F, place: Place) -> F::Output {
        self.root_place.set(Some(place));
        self.reports.root(place.location());
        let mut future = pin!(future);
        let waker = TaskWaker::queued(TaskId::ROOT, self.remote.clone());
        self.remote.wake(TaskId::ROOT);
        self.root.replace(Some(waker.clone()));
        self.tracker
            .spawned(TaskId::ROOT, place.location(), size_of::<F>(), &waker);
        let _ends = EndOfRoot(&self.tracker);
        let mut value = None;
        let mut root = || {
            waker.begin_poll();
            let waker = futures_task::waker_ref(&waker);
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            poll.map(|output| value = Some(output))
        };
        while self.turn(&mut root, Wait::Forever).is_pending() {}
        waker.retire();
        value.expect("the loop ends when the future is ready")
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
        self.turn_without_root(wait);
        for _ in 1..TURNS_MAX {
            // The real clock: a paused one would never reach the end.
            let over = !duration.is_zero() && Instant::real() >= end;
            if over || !local_queue::any_ready() {
                break;
            }
            self.turn_without_root(Wait::No);
        }
        local_queue::any_ready()
    }

    /// Takes turns until no task is ready. Returns the number of tasks that have not ended.
    pub(crate) fn run_until_idle(&self) -> usize {
        loop {
            self.turn_without_root(Wait::No);
            if !local_queue::any_ready() {
                return self.tasks.borrow().len();
            }
        }
    }

    fn turn_without_root(&self, wait: Wait) {
        let pending = self.turn(&mut || Poll::Pending, wait);
        debug_assert!(
            pending.is_pending(),
            "only the future of block_on ends the loop"
        );
    }

    /// Makes a task of a future. The task is ready, and runs in this turn or the next.
    pub(crate) fn spawn<F: Future + 'static>(
        &self,
        future: F,
        place: Place,
    ) -> JoinHandle<F::Output> {
        let task = self.start(joinable(future), true, place, size_of::<F>());
        JoinHandle::new(self.tasks.clone(), task)
    }

    /// Like [`spawn`](Self::spawn), without a handle.
    pub(crate) fn spawn_detached<F>(&self, future: F, place: Place)
    where
        F: Future<Output = ()> + 'static,
    {
        self.start(detached(future), false, place, size_of::<F>());
    }

    /// Stores a future as a task, and queues it.
    fn start(&self, future: BoxRun, has_handle: bool, place: Place, future_bytes: usize) -> TaskId {
        let task = self.tasks.borrow_mut().insert(future, has_handle, place);
        self.reports.spawned(task, place.location(), future_bytes);
        if self.remote.is_entered() {
            local_queue::push(task);
        } else {
            // The thread has entered another runtime inside this one, whose lists are now the thread's. So the
            // id goes through the inbox. The reader of the inbox queues only tasks that have no mark.
            self.tasks.borrow().unmark_queued(task);
            self.remote.send_wake(task);
        }
        if self.closing.get() {
            task_table::end_all(&self.tasks);
        }
        task
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.id
    }

    /// Checks that a value belongs to this runtime.
    ///
    /// # Panics
    ///
    /// Panics if `runtime` is another one. The message names `what` and `operation`.
    pub(crate) fn expect_own(&self, runtime: RuntimeId, what: &str, operation: &str) {
        assert!(
            self.id() == runtime,
            "{what} was {operation} under another runtime than the one it first ran under"
        );
    }

    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    pub(crate) fn tracker(&self) -> &Tracker {
        &self.tracker
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

    /// Notified after each turn in which the reactor has delivered events.
    pub(crate) fn delivered(&self) -> &Rc<Notify> {
        &self.delivered
    }

    /// Notified when a socket of this runtime is closed.
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
        self.tracker.closing();
        // The destructor of one task may spawn another task, hence the loop.
        while task_table::end_all(&self.tasks) {}
        self.remote.close().into_iter().for_each(panics::discard);
        // Sleeps and sockets may outlive the runtime. Their wakers are dropped now, because they may hold
        // values of the user that the runtime must not keep.
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

/// Notes the end of the future of `block_on` when it drops, also if that future panics.
struct EndOfRoot<'a>(&'a Tracker);

impl Drop for EndOfRoot<'_> {
    fn drop(&mut self) {
        self.0.ended(TaskId::ROOT);
    }
}
