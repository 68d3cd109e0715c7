//! Writes the events of one runtime, and knows what its thread is doing.
//!
//! # How it works
//!
//! The thread of the runtime has the writer. An event is five words in the ring; the table lists their meanings. A
//! task is a word: its index in the high half, its generation in the low half.
//!
//! | code | task | other | extra |
//! |---|---|---|---|
//! | `SPAWN` | the new task | the parent | the number of the place, the size of the future |
//! | `NAMED` | the task | the number of the name | |
//! | `WAKE_IO` | the woken task | the descriptor | |
//! | `WAKE_TASK`, `WAKE_JOIN` | the woken task | the task that woke it, or that has ended | |
//! | `WAKE_JOB` | the woken task | the number of the job | |
//! | `WAKE_SELF`, `WAKE_TIMER`, `WAKE_THREAD`, `WAKE_OTHER` | the woken task | | |
//! | `POLL_START` | the task | | |
//! | `POLL_END` | the task | 1 if the task has ended | |
//! | `END` | the task | the ending | |
//! | `CANCEL` | the task | the reason | the number of the place |
//! | `PARK` | | nanoseconds, or all ones | |
//! | `UNPARK` | | the number of the kernel's events | |
//! | `IO_READY` | | flags, the descriptor | |
//! | `TIMER` | | the lag in nanoseconds | |
//! | `JOB_START`, `JOB_END` | | the number of the job | |
//! | `CALL` | the task that is polled | the call, the descriptor | the result; -1 for `EAGAIN`, -2 for an error |
//! | `LONG_POLL` | the task | nanoseconds | the number of the place |
//!
//! # Invariants
//!
//! - Always: the times of the events do not go back, except for those of other threads. A [trace](super::Trace) sorts
//!   these in.
//! - Never: user code called from here.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::facts::Facts;
use super::gate::StopPoint;
use super::ring::RawEvent;
use super::shared::Inspected;
use crate::causes::{Call, Ready, Reason};
use crate::local_queue::{RuntimeId, TaskId};
use crate::nodes::subject::Site;
use crate::panics;
use crate::points::{CallResult, Doing, JobReporter, Reporter};

/// The kinds of events.
pub(crate) mod code {
    pub(crate) const SPAWN: u8 = 1;
    pub(crate) const NAMED: u8 = 2;
    pub(crate) const WAKE_IO: u8 = 3;
    pub(crate) const WAKE_TIMER: u8 = 4;
    pub(crate) const WAKE_TASK: u8 = 5;
    pub(crate) const WAKE_SELF: u8 = 6;
    pub(crate) const WAKE_THREAD: u8 = 7;
    pub(crate) const WAKE_JOIN: u8 = 8;
    pub(crate) const WAKE_JOB: u8 = 9;
    pub(crate) const WAKE_OTHER: u8 = 10;
    pub(crate) const POLL_START: u8 = 11;
    pub(crate) const POLL_END: u8 = 12;
    pub(crate) const END: u8 = 13;
    pub(crate) const CANCEL: u8 = 14;
    pub(crate) const PARK: u8 = 15;
    pub(crate) const UNPARK: u8 = 16;
    pub(crate) const IO_READY: u8 = 17;
    pub(crate) const TIMER: u8 = 18;
    pub(crate) const JOB_START: u8 = 19;
    pub(crate) const JOB_END: u8 = 20;
    pub(crate) const CALL: u8 = 21;
    pub(crate) const LONG_POLL: u8 = 22;
}

/// Makes the flags of `IO_READY`.
fn flags(ready: Ready) -> u64 {
    u64::from(ready.readable) | u64::from(ready.writable) << 1 | u64::from(ready.closed) << 2
}

/// Reads the flags of `IO_READY`.
pub(crate) fn ready_of(flags: u32) -> Ready {
    Ready {
        readable: flags & 1 != 0,
        writable: flags & 2 != 0,
        closed: flags & 4 != 0,
    }
}

/// The endings of `END`.
pub(crate) const ENDED_VALUE: u64 = 0;
pub(crate) const ENDED_PANIC: u64 = 1;
pub(crate) const ENDED_CANCELLED: u64 = 2;

/// The results of `CALL` that are not numbers.
pub(crate) const WOULD_BLOCK: u64 = u64::MAX;
pub(crate) const FAILED: u64 = u64::MAX - 1;

/// The longest wait of one step, if the runtime takes single steps and no task is ready.
const STEP_WAIT_MAX: Duration = Duration::from_millis(100);

/// The number of places whose numbers a thread remembers.
const PLACES: usize = 64;

/// Makes a word of a task's id.
pub(super) fn word(task: TaskId) -> u64 {
    u64::from(task.index) << 32 | u64::from(task.generation.get())
}

/// Makes a word of a descriptor.
fn word_of(fd: i32) -> u64 {
    u64::from(fd.cast_unsigned())
}

/// The wakers of one event among those that a delivery has collected: all before this position that no other mark
/// has.
struct DueMark {
    end: usize,
    fd: i32,
}

/// Writes the events of one runtime.
pub(crate) struct EventWriter {
    pub(crate) inspected: Arc<Inspected>,
    doing: Cell<Doing>,
    /// The time of the last event.
    last_at: Cell<u64>,
    /// True if no code has run since the last event, so that its time is the present.
    is_present: Cell<bool>,
    /// True between the events of a wait.
    is_parked: Cell<bool>,
    /// True if a step through the gate has allowed the next wait.
    may_wait: Cell<bool>,
    jobs: Cell<u32>,
    /// The number of panics of tasks when the present poll began.
    panics: Cell<u64>,
    /// The number of each place by its address: the newest for each value of a hash.
    places: [Cell<(usize, u32)>; PLACES],
    /// The descriptor of each source.
    fds: RefCell<Vec<i32>>,
    marks: RefCell<Vec<DueMark>>,
    /// The ticks at which the due timers were due.
    due_ticks: RefCell<Vec<u64>>,
}

impl EventWriter {
    pub(crate) fn new(inspected: Arc<Inspected>) -> Self {
        Self {
            inspected,
            doing: Cell::new(Doing::Other),
            last_at: Cell::new(0),
            is_present: Cell::new(false),
            is_parked: Cell::new(false),
            may_wait: Cell::new(false),
            jobs: Cell::new(0),
            panics: Cell::new(0),
            places: [const { Cell::new((0, 0)) }; PLACES],
            fds: RefCell::default(),
            marks: RefCell::default(),
            due_ticks: RefCell::default(),
        }
    }

    /// Reads the clock.
    fn now(&self) -> u64 {
        let now = self.inspected.gate.now().max(self.last_at.get());
        self.last_at.set(now);
        now
    }

    /// Writes an event with the present time.
    fn write(&self, code: u8, task: u64, other: u64, extra: u64) {
        self.now();
        self.write_now(code, task, other, extra);
    }

    /// Writes an event with the time of the last one, which is the present.
    fn write_now(&self, code: u8, task: u64, other: u64, extra: u64) {
        self.inspected.ring.write(RawEvent {
            at: self.last_at.get(),
            code,
            task,
            other,
            extra,
        });
    }

    /// Returns the number of a place. Zero is no place.
    fn place_number(&self, place: Site) -> u32 {
        let Some(place) = place else { return 0 };
        let address = std::ptr::from_ref(place).addr();
        // Locations stand side by side in the binary. So this division numbers them one by one, and few collide.
        let cached = &self.places[address / size_of::<Location<'_>>() % PLACES];
        if cached.get().0 != address {
            cached.set((address, self.inspected.place_number(place)));
        }
        cached.get().1
    }
}

/// The points of the runtime.
impl Reporter for EventWriter {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn doing(&self) -> &Cell<Doing> {
        &self.doing
    }

    fn root(&self, place: Site) {
        let number = self.place_number(place);
        self.inspected.root_place.store(number, Ordering::Relaxed);
    }

    fn spawned(&self, task: TaskId, place: Site, future_bytes: usize) {
        let parent = match self.doing.get() {
            Doing::Poll(parent) | Doing::Join(parent) => word(parent),
            _ => 0,
        };
        let place = self.place_number(place);
        let future_bytes = u32::try_from(future_bytes).unwrap_or(u32::MAX);
        let facts = Facts {
            parent,
            place,
            future_bytes,
            name: 0,
        };
        let generation = task.generation.get();
        self.inspected.facts.store(task.index, generation, facts);
        let extra = u64::from(place) << 32 | u64::from(future_bytes);
        self.write(code::SPAWN, word(task), parent, extra);
    }

    fn named(&self, task: TaskId, name: &Arc<str>) {
        let number = self.inspected.name_number(name);
        self.inspected.facts.store_name(task.index, number);
        self.write(code::NAMED, word(task), number.into(), 0);
    }

    /// Writes that a task was queued.
    fn wake(&self, task: TaskId) {
        let (code, other) = match self.doing.get() {
            Doing::Poll(by) if by == task => (code::WAKE_SELF, 0),
            Doing::Poll(by) => (code::WAKE_TASK, word(by)),
            Doing::Join(ended) => (code::WAKE_JOIN, word(ended)),
            Doing::Io(fd) => (code::WAKE_IO, word_of(fd)),
            Doing::Timers => (code::WAKE_TIMER, 0),
            Doing::Mail => (code::WAKE_THREAD, 0),
            Doing::Job(job) => (code::WAKE_JOB, job.into()),
            Doing::Other => (code::WAKE_OTHER, 0),
        };
        // A delivery wakes many tasks, and its own time is the present.
        if !matches!(self.doing.get(), Doing::Io(_)) {
            self.now();
        }
        self.write_now(code, word(task), other, 0);
    }

    fn poll_starts(&self, task: TaskId) {
        // The end of the poll before is the present, if no other code has run. That saves a reading of the clock.
        if !self.is_present.replace(false) {
            self.now();
        }
        self.write_now(code::POLL_START, word(task), 0, 0);
        self.doing.set(Doing::Poll(task));
        self.panics.set(panics::of_tasks());
    }

    fn poll_ends(&self, task: TaskId, has_ended: bool) {
        self.doing.set(Doing::Other);
        self.write(code::POLL_END, word(task), has_ended.into(), 0);
        self.is_present.set(true);
        // The panics of tasks are caught before this, so this is one of the future of `block_on`.
        if std::thread::panicking() {
            self.inspected.has_panicked();
        }
    }

    fn ended(&self, task: TaskId, is_cancelled: bool) {
        let ending = match is_cancelled {
            true => ENDED_CANCELLED,
            false if self.panics.get() != panics::of_tasks() => ENDED_PANIC,
            false => ENDED_VALUE,
        };
        self.write(code::END, word(task), ending, 0);
        if ending == ENDED_PANIC {
            self.inspected.has_panicked();
        }
    }

    fn cancelled(&self, task: TaskId, reason: Reason, place: Site) {
        let place = self.place_number(place).into();
        self.write(code::CANCEL, word(task), reason as u64, place);
    }

    /// Writes the result of a system call. `fd` is negative for a call without one.
    fn called(&self, call: Call, fd: i32, result: CallResult) {
        let result = match result {
            CallResult::Number(number) => number as u64,
            CallResult::WouldBlock => WOULD_BLOCK,
            CallResult::Error => FAILED,
        };
        let task = match self.doing.get() {
            Doing::Poll(task) | Doing::Join(task) => word(task),
            _ => 0,
        };
        let other = (call as u64) << 32 | word_of(fd);
        self.write(code::CALL, task, other, result);
    }

    fn parks(&self, timeout: Option<Duration>) -> Option<Duration> {
        let timeout = if self.inspected.gate.is_closed() {
            Some(timeout.map_or(STEP_WAIT_MAX, |timeout| timeout.min(STEP_WAIT_MAX)))
        } else {
            timeout
        };
        let nanos = timeout.map_or(u64::MAX, |timeout| {
            u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
        });
        self.inspected.collect_left();
        self.write(code::PARK, 0, nanos, 0);
        self.is_parked.set(true);
        timeout
    }

    /// Writes the end of a wait, or of a check for events.
    fn unparked(&self, events: usize) {
        self.may_wait.set(false);
        self.is_present.set(false);
        self.called(Call::EpollWait, -1, CallResult::Number(events));
        // A check without a wait has written no `PARK`.
        if self.is_parked.take() {
            self.write_now(code::UNPARK, 0, events as u64, 0);
        }
        self.inspected.collect_left();
    }

    /// Stores the descriptor of a source that was registered.
    fn registered(&self, source: usize, fd: i32) {
        let mut fds = self.fds.borrow_mut();
        if fds.len() <= source {
            fds.resize(source + 1, -1);
        }
        fds[source] = fd;
    }

    /// Writes an event of a source. Until the next one, it is the cause of wakes. `due` is the number of the wakers
    /// that were collected before it.
    fn io_ready(&self, source: usize, ready: Ready, due: usize) {
        self.end_mark(due);
        let fd = self.fds.borrow().get(source).copied().unwrap_or(-1);
        self.doing.set(Doing::Io(fd));
        self.write_now(code::IO_READY, 0, flags(ready) << 32 | word_of(fd), 0);
    }

    /// Ends the delivery. `due` is the number of the wakers that it has collected.
    fn delivered(&self, due: usize) {
        self.end_mark(due);
        self.doing.set(Doing::Other);
    }

    /// Notes a timer that is due.
    fn timer_is_due(&self, tick: u64) {
        self.due_ticks.borrow_mut().push(tick);
    }

    /// Wakes the wakers that a turn has collected: first those of sockets, then those of timers. `lag` returns the
    /// nanoseconds since a tick.
    fn wake_due(&self, due: usize, lag: &dyn Fn(u64) -> u64, wake_next: &mut dyn FnMut()) {
        // Taken out, because a wake may be foreign code that enters the runtime again.
        let marks = self.marks.take();
        let ticks = self.due_ticks.take();
        // The timers stand last, one waker for each tick.
        let of_timers = due.saturating_sub(ticks.len());
        let mut marks_left = marks.iter().peekable();
        for position in 0..due {
            while marks_left.next_if(|mark| mark.end <= position).is_some() {}
            let doing = match (position.checked_sub(of_timers), marks_left.peek()) {
                (Some(timer), _) => {
                    self.write(code::TIMER, 0, lag(ticks[timer]), 0);
                    Doing::Timers
                }
                (None, Some(mark)) => Doing::Io(mark.fd),
                (None, None) => Doing::Other,
            };
            let before = self.doing.replace(doing);
            wake_next();
            self.doing.set(before);
        }
        // The lists come back with their memory, so that the next turn allocates none.
        keep(&self.marks, marks);
        keep(&self.due_ticks, ticks);
    }

    fn mail_is_read(&self, task: Option<TaskId>) -> Doing {
        // The message may be a closure of the user, so time passes until the next event.
        self.is_present.set(false);
        let job = task.and_then(|task| self.inspected.waking_job(word(task)));
        job.map_or(Doing::Mail, Doing::Job)
    }

    fn job(&self) -> Arc<dyn JobReporter> {
        self.jobs.set(self.jobs.get().wrapping_add(1));
        Arc::new(JobEvents {
            inspected: self.inspected.clone(),
            job: self.jobs.get(),
        })
    }

    fn stop_before_poll(&self, task: TaskId) -> Duration {
        self.stop_before(StopPoint::Poll(word(task)))
    }

    fn stop_before_wait(&self) -> Duration {
        // A turn may ask twice: before it moves a paused clock, and before it waits.
        if self.may_wait.replace(true) {
            return Duration::ZERO;
        }
        self.stop_before(StopPoint::Wait)
    }
}

impl EventWriter {
    /// Notes that the wakers up to `due` belong to the present descriptor, if no mark has them.
    fn end_mark(&self, due: usize) {
        let mut marks = self.marks.borrow_mut();
        let begin = marks.last().map_or(0, |mark| mark.end);
        if let Doing::Io(fd) = self.doing.get()
            && due > begin
        {
            marks.push(DueMark { end: due, fd });
        }
    }

    fn stop_before(&self, point: StopPoint) -> Duration {
        if !self.inspected.gate.is_closed() {
            return Duration::ZERO;
        }
        self.inspected.collect_left();
        self.is_present.set(false);
        let board = self.inspected.board.get();
        if let Some(board) = board {
            board.stands();
        }
        let stood = self.inspected.gate.pass(point);
        if let Some(board) = board {
            board.runs_on(stood);
        }
        stood
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        self.inspected.collect_left();
        self.inspected.end();
    }
}

/// The events of one blocking job. Its thread leaves them for the runtime's thread.
struct JobEvents {
    inspected: Arc<Inspected>,
    job: u32,
}

impl JobEvents {
    fn leave(&self, code: u8) {
        self.inspected.leave(RawEvent {
            code,
            other: self.job.into(),
            ..RawEvent::default()
        });
    }
}

impl JobReporter for JobEvents {
    fn starts(&self) {
        self.leave(code::JOB_START);
    }

    fn ends(&self) {
        self.leave(code::JOB_END);
    }

    fn wakes(&self, runtime: RuntimeId, task: TaskId) {
        if runtime.number() == self.inspected.runtime {
            self.inspected.leave_wake(word(task), self.job);
        }
    }
}

/// Puts the memory of a list back.
fn keep<T>(place: &RefCell<Vec<T>>, mut list: Vec<T>) {
    list.clear();
    place.replace(list);
}
