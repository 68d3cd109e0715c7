//! The points of a build with the feature `inspect`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::causes::{Call, CallError, Ready, Reason};
use crate::local_queue::{RuntimeId, TaskId};
use crate::nodes::subject::Site;

/// The present activity of the thread, and so the cause of a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Anything else: code of the owner between two calls, a hook.
    Other,
    Poll(TaskId),
    /// The task has ended, and its waiter is woken.
    Join(TaskId),
    /// The events of this descriptor are delivered.
    Io(i32),
    Timers,
    /// The messages of other threads are read.
    Mail,
    /// The message of this blocking job is read.
    Job(u32),
}

/// The receiver of the reports of one runtime. Each method stands for one point below.
pub(crate) trait Reporter {
    /// For the reading end, which knows the type.
    fn as_any(&self) -> &dyn Any;
    /// The activity of the thread inside this runtime.
    fn doing(&self) -> &Cell<Doing>;
    fn root(&self, place: Site);
    fn spawned(&self, task: TaskId, place: Site, future_bytes: usize);
    fn named(&self, task: TaskId, name: &Arc<str>);
    fn wake(&self, task: TaskId);
    fn poll_starts(&self, task: TaskId);
    fn poll_ends(&self, task: TaskId, has_ended: bool);
    fn ended(&self, task: TaskId, is_cancelled: bool);
    fn cancelled(&self, task: TaskId, reason: Reason, place: Site);
    fn called(&self, call: Call, fd: i32, result: CallResult);
    fn registered(&self, source: usize, fd: i32);
    fn parks(&self, timeout: Option<Duration>) -> Option<Duration>;
    fn unparked(&self, events: usize);
    fn io_ready(&self, source: usize, ready: Ready, due: usize);
    fn delivered(&self, due: usize);
    fn timer_is_due(&self, tick: u64);
    fn wake_due(&self, due: usize, lag: &dyn Fn(u64) -> u64, wake_next: &mut dyn FnMut());
    /// Returns the cause of a message of another thread, which wakes this task.
    fn mail_is_read(&self, task: Option<TaskId>) -> Doing;
    fn job(&self) -> Arc<dyn JobReporter>;
    fn stop_before_poll(&self, task: TaskId) -> Duration;
    fn stop_before_wait(&self) -> Duration;
}

/// The receiver of the reports of one blocking job, on its own thread.
pub(crate) trait JobReporter: Send + Sync {
    fn starts(&self);
    fn ends(&self);
    fn wakes(&self, runtime: RuntimeId, task: TaskId);
}

/// The result of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    Number(usize),
    WouldBlock,
    Error,
}

/// Makes the reporter of a new runtime. It gets a function that ends the runtime's wait.
pub(crate) type OpenReporter = Box<dyn FnOnce(RuntimeId, UnparkFn) -> Rc<dyn Reporter>>;

/// A function that ends a runtime's wait, from any thread.
pub(crate) type UnparkFn = Box<dyn Fn() + Send + Sync>;

/// The wish of a runtime's owner. `None` if no code reads reports.
pub(crate) type ReportWish = Option<OpenReporter>;

/// A bit of [`STATE`]: the points report.
const ON: u8 = 1;
/// A bit of [`STATE`]: the last entry has changed the switch.
const HAS_SWITCHED: u8 = 2;

// The `ManuallyDrop`s remove the destructors, so that an access is a plain load and works while the thread ends.
thread_local! {
    /// [`ON`] while the thread is inside a runtime that reports. Zero in most programs.
    static STATE: Cell<u8> = const { Cell::new(0) };
    /// The switches that are to be restored.
    static SWITCHED: ManuallyDrop<RefCell<Vec<Switched>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    /// The reporter of that runtime.
    static REPORTER: ManuallyDrop<RefCell<Option<Rc<dyn Reporter>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
    /// True while this thread runs a blocking job whose runtime reports.
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
    /// That job.
    static JOB: ManuallyDrop<RefCell<Option<Arc<dyn JobReporter>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Returns true while the thread is inside a runtime that reports.
#[inline]
pub(crate) fn is_on() -> bool {
    STATE.get() & ON != 0
}

/// Returns true while the thread is inside a runtime that reports or explains its tasks. It may also be true inside
/// another runtime within that one.
#[inline]
pub(crate) fn is_watched() -> bool {
    STATE.get() != 0
}

/// Returns the value inside such a runtime, and the default elsewhere.
pub(crate) fn if_watched<T: Default>(value: T) -> T {
    if is_watched() { value } else { T::default() }
}

/// Returns the reporter of the runtime that the thread is inside. Unlike [`report`], this borrows nothing, so the
/// caller may call user code.
pub(crate) fn reporter() -> Option<Rc<dyn Reporter>> {
    REPORTER.with(|reporter| reporter.borrow().clone())
}

/// Calls `write` with the reporter, out of line.
#[cold]
#[inline(never)]
fn report(write: impl FnOnce(&dyn Reporter)) {
    REPORTER.with(|reporter| {
        if let Some(reporter) = &*reporter.borrow() {
            write(&**reporter);
        }
    });
}

/// The reporter of a runtime, if it reports.
#[derive(Clone, Default)]
pub(crate) struct Reports {
    reporter: Option<Rc<dyn Reporter>>,
    /// True if the runtime reports or explains its tasks.
    is_watched: bool,
}

/// Keeps the switch as the runtime needs it while a thread is inside it.
// Without a field, because an entry is on the way of each call of a runtime: the state tells the drop what to do.
pub(crate) struct Switch(());

/// A switch before an entry.
struct Switched {
    state: u8,
    outer: Option<Rc<dyn Reporter>>,
    inner: Option<Rc<dyn Reporter>>,
    /// The activity of a runtime that the thread enters again.
    doing: Doing,
}

impl Reports {
    /// Opens the reporter of a new runtime, if its owner wants one. `unpark` ends the runtime's wait.
    pub(crate) fn open(
        wish: ReportWish,
        explains: bool,
        runtime: RuntimeId,
        unpark: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let reporter = wish.map(|open| open(runtime, Box::new(unpark)));
        let is_watched = explains || reporter.is_some();
        Self {
            reporter,
            is_watched,
        }
    }

    pub(crate) fn are_on(&self) -> bool {
        self.reporter.is_some()
    }

    /// `block_on` was called at this place.
    pub(crate) fn root(&self, place: Site) {
        if let Some(reporter) = &self.reporter {
            reporter.root(place);
        }
    }

    /// A task was spawned. The thread may be inside another runtime.
    #[inline]
    pub(crate) fn spawned(&self, task: TaskId, place: Site, future_bytes: usize) {
        if let Some(reporter) = &self.reporter {
            reporter.spawned(task, place, future_bytes);
        }
    }

    /// A task is about to end although it is not ready. The thread may be outside the runtime.
    pub(crate) fn cancelled(&self, task: TaskId, reason: Reason, place: Site) {
        if let Some(reporter) = &self.reporter {
            reporter.cancelled(task, reason, place);
        }
    }

    /// Turns the switch while a thread is inside the runtime.
    #[inline]
    pub(crate) fn enter(&self) -> Switch {
        // Most programs record nothing, and then neither the entry nor the end does more.
        if self.is_watched || STATE.get() != 0 {
            self.switch();
        }
        Switch(())
    }

    #[cold]
    #[inline(never)]
    fn switch(&self) {
        let doing = |inner: &Rc<dyn Reporter>| inner.doing().replace(Doing::Other);
        let doing = self.reporter.as_ref().map_or(Doing::Other, doing);
        let on = if self.are_on() { ON } else { 0 };
        let switched = Switched {
            state: STATE.replace(on | HAS_SWITCHED),
            outer: REPORTER.with(|reporter| reporter.replace(self.reporter.clone())),
            inner: self.reporter.clone(),
            doing,
        };
        SWITCHED.with(|list| list.borrow_mut().push(switched));
    }
}

impl Drop for Switch {
    #[inline]
    fn drop(&mut self) {
        if STATE.get() != 0 {
            restore();
        }
    }
}

/// Undoes the last switch.
#[cold]
#[inline(never)]
fn restore() {
    let Some(switched) = SWITCHED.with(|list| list.borrow_mut().pop()) else {
        return;
    };
    if let Some(inner) = &switched.inner {
        inner.doing().set(switched.doing);
    }
    STATE.set(switched.state);
    REPORTER.with(|reporter| reporter.replace(switched.outer));
}

/// Restores the activity of the thread when it drops. `None` if the thread reports nothing.
struct Activity(#[expect(dead_code, reason = "its drop has the effect")] Option<ActivityBefore>);

struct ActivityBefore {
    reporter: Rc<dyn Reporter>,
    before: Doing,
}

impl Activity {
    /// Begins another activity.
    // A guard and not a closure around the work: that would be a call in two places, and so not inlined.
    #[inline]
    fn begin(doing: impl FnOnce(&dyn Reporter) -> Doing) -> Self {
        Self(if is_on() { begin_activity(doing) } else { None })
    }
}

#[cold]
#[inline(never)]
fn begin_activity(doing: impl FnOnce(&dyn Reporter) -> Doing) -> Option<ActivityBefore> {
    let reporter = reporter()?;
    let before = reporter.doing().replace(doing(&*reporter));
    Some(ActivityBefore { reporter, before })
}

impl Drop for ActivityBefore {
    fn drop(&mut self) {
        self.reporter.doing().set(self.before);
    }
}

/// A task has got a name.
pub(crate) fn named(task: TaskId, name: &Arc<str>) {
    report(|reporter| reporter.named(task, name));
}

/// A task was queued, on the runtime's own thread.
#[inline]
pub(crate) fn wake(task: TaskId) {
    if is_on() {
        report(|reporter| reporter.wake(task));
    }
}

/// This thread sends a wake to the inbox of a runtime. If it runs a job of that runtime, the job is the cause.
#[inline]
pub(crate) fn wake_is_sent(runtime: RuntimeId, task: TaskId) {
    if IN_JOB.get() {
        job_wakes(runtime, task);
    }
}

#[cold]
#[inline(never)]
fn job_wakes(runtime: RuntimeId, task: TaskId) {
    JOB.with(|job| {
        if let Some(job) = &*job.borrow() {
            job.wakes(runtime, task);
        }
    });
}

/// A future is about to end although it is not ready.
#[inline]
pub(crate) fn cancelled(task: TaskId, reason: Reason, place: Site) {
    if is_on() {
        report(|reporter| reporter.cancelled(task, reason, place));
    }
}

/// Passes on the result of futures of which the first that is ready ends the others.
#[inline]
pub(crate) fn raced<T>(poll: Poll<T>, place: Site) -> Poll<T> {
    if is_on() && poll.is_ready() {
        part_cancelled(Reason::RaceLost, place);
    }
    poll
}

/// A part of the task that is polled is about to end although it is not ready.
#[inline]
pub(crate) fn part_cancelled(reason: Reason, place: Site) {
    if is_on() {
        report(|reporter| {
            if let Doing::Poll(task) = reporter.doing().get() {
                reporter.cancelled(task, reason, place);
            }
        });
    }
}

/// A task has ended.
#[inline]
pub(crate) fn ended(task: TaskId, is_cancelled: bool) {
    if is_on() {
        report(|reporter| reporter.ended(task, is_cancelled));
    }
}

/// Wakes the waiter of a task that has ended.
#[inline]
pub(crate) fn ending<T>(task: TaskId, wake: impl FnOnce() -> T) -> T {
    let _activity = Activity::begin(|_| Doing::Join(task));
    wake()
}

/// Reads a message of another thread: a wake of this task, or a closure.
#[inline]
pub(crate) fn from_mail<T>(task: Option<TaskId>, read: impl FnOnce() -> T) -> T {
    let _activity = Activity::begin(|reporter| reporter.mail_is_read(task));
    read()
}

/// A system call has returned.
#[inline]
pub(crate) fn call<T, E: CallError>(
    call: Call,
    io: &impl AsFd,
    result: &Result<T, E>,
    number: impl Fn(&T) -> usize,
) {
    if is_on() {
        let result = match result {
            Ok(value) => CallResult::Number(number(value)),
            Err(error) if error.would_block() => CallResult::WouldBlock,
            Err(_) => CallResult::Error,
        };
        let fd = io.as_fd().as_raw_fd();
        report(|reporter| reporter.called(call, fd, result));
    }
}

/// A source was registered for a descriptor.
pub(crate) fn registered(source: u32, io: &impl AsFd) {
    if is_on() {
        let fd = io.as_fd().as_raw_fd();
        report(|reporter| reporter.registered(source as usize, fd));
    }
}

/// A timer is due since this tick.
#[inline]
pub(crate) fn timer_is_due(tick: impl FnOnce() -> u64) {
    if is_on() {
        let tick = tick();
        report(|reporter| reporter.timer_is_due(tick));
    }
}

/// Polls a task, between its two events. `poll` returns its result, and true if the task has ended.
pub(crate) fn polled<T>(task: TaskId, poll: impl FnOnce() -> (T, bool)) -> T {
    let Some(reporter) = reporter() else {
        return poll().0;
    };
    reporter.poll_starts(task);
    let mut ends = PollEnds {
        reporter,
        task,
        has_ended: true,
    };
    let (result, has_ended) = poll();
    ends.has_ended = has_ended;
    result
}

/// Reports the end of a poll when it drops, also if the future of `block_on` panics.
struct PollEnds {
    reporter: Rc<dyn Reporter>,
    task: TaskId,
    has_ended: bool,
}

impl Drop for PollEnds {
    fn drop(&mut self) {
        self.reporter.poll_ends(self.task, self.has_ended);
    }
}

/// Waits while the runtime is stopped before a poll. Returns the time that has passed.
pub(crate) fn stop_before_poll(task: TaskId) -> Duration {
    reporter().map_or(Duration::ZERO, |reporter| reporter.stop_before_poll(task))
}

/// Waits while the runtime is stopped before a wait. Returns the time that has passed.
pub(crate) fn stop_before_wait() -> Duration {
    reporter().map_or(Duration::ZERO, |reporter| reporter.stop_before_wait())
}

/// The thread is about to wait. Returns the time that it may wait, which is short if the runtime takes single steps.
#[inline]
pub(crate) fn parks(timeout: Option<Duration>) -> Option<Duration> {
    if is_on() {
        parks_reported(timeout)
    } else {
        timeout
    }
}

#[cold]
#[inline(never)]
fn parks_reported(timeout: Option<Duration>) -> Option<Duration> {
    match reporter() {
        Some(reporter) => reporter.parks(timeout),
        None => timeout,
    }
}

/// `epoll_wait` has returned this many events.
pub(crate) fn unparked(events: usize) {
    report(|reporter| reporter.unparked(events));
}

/// An event of a source: the index of the source, and the number of the wakers before it.
pub(crate) fn io_ready(source: usize, ready: Ready, due: usize) {
    report(|reporter| reporter.io_ready(source, ready, due));
}

/// All events are delivered. `due` is the number of the wakers that were collected.
pub(crate) fn delivered(due: usize) {
    report(|reporter| reporter.delivered(due));
}

/// Wakes the wakers that a turn has collected, one with each call of `wake_next`. `lag` returns the nanoseconds
/// since a tick.
pub(crate) fn wake_due(due: usize, lag: impl Fn(u64) -> u64, mut wake_next: impl FnMut()) {
    if let Some(reporter) = reporter() {
        reporter.wake_due(due, &lag, &mut wake_next);
    }
}

/// Returns a job that reports its beginning and its end. `runs` returns true for the order to run it.
pub(crate) fn job<A: 'static>(
    job: Box<dyn FnOnce(A) + Send>,
    runs: fn(&A) -> bool,
) -> Box<dyn FnOnce(A) + Send> {
    let Some(reporter) = reporter().map(|reporter| reporter.job()) else {
        return job;
    };
    Box::new(move |order| {
        if !runs(&order) {
            return job(order);
        }
        reporter.starts();
        // A thread may run a job itself if it cannot start another one, so jobs nest.
        let outer = JOB.with(|job| job.replace(Some(reporter.clone())));
        IN_JOB.set(true);
        let _running = RunningJob { reporter, outer };
        job(order);
    })
}

/// Restores the job around the present one when it drops, and reports the end. A job may panic.
struct RunningJob {
    reporter: Arc<dyn JobReporter>,
    outer: Option<Arc<dyn JobReporter>>,
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        IN_JOB.set(self.outer.is_some());
        JOB.with(|job| job.replace(self.outer.take()));
        self.reporter.ends();
    }
}
