//! The points at which the runtime reports what it does, to [`inspect`](crate::inspect).
//!
//! # How it works
//!
//! The feature `inspect` decides if this module has code. If it has, a thread-local switch is on while the thread is
//! inside a runtime that records. A point is one predictable branch on that switch, and the rest is out of line:
//!
//! ```text
//!  executor, task_table, waker, socket … ── a point ──► off: go on
//!                                              └──────► on:  EventWriter ──► the ring ──► readers on any thread
//! ```
//!
//! The cause of a wake is exact, because the writer knows the present activity of the thread: it polls a task, ends a
//! task, delivers the events of a descriptor, fires timers, or reads the messages of other threads.
//!
//! The clock is read once for each poll, for each wake by a task and for each system call. A poll begins at the time at
//! which the poll before it has ended. All events of one delivery have the time of the wait's end.
//!
//! # Invariants
//!
//! - Always: a build without the feature has no instruction of this module.
//! - Always: the switch is that of the innermost runtime that the thread is inside.
//! - Never: a call into user code, except for the closures that a point takes.

#[cfg(not(feature = "inspect"))]
pub(crate) use off::*;
#[cfg(feature = "inspect")]
pub(crate) use on::*;

/// The points of a build with the feature.
#[cfg(feature = "inspect")]
mod on {
    use std::cell::{Cell, RefCell};
    use std::mem::ManuallyDrop;
    use std::os::fd::{AsFd, AsRawFd};
    use std::panic::Location;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use crate::causes::{Call, CallError, Ready, Reason};
    use crate::inspect::options::Options;
    use crate::inspect::ring::RawEvent;
    use crate::inspect::shared::Inspected;
    use crate::inspect::writer::{Doing, EventWriter, FAILED, WOULD_BLOCK, code, word};
    use crate::local_queue::{RuntimeId, TaskId};

    // The `ManuallyDrop`s remove the destructors, so that an access is a plain load and works while the thread ends.
    thread_local! {
        /// True while the thread is inside a runtime that records.
        static ON: Cell<bool> = const { Cell::new(false) };
        /// The writer of that runtime.
        static WRITER: ManuallyDrop<RefCell<Option<Rc<EventWriter>>>> =
            const { ManuallyDrop::new(RefCell::new(None)) };
        /// The blocking job that this thread runs, if its runtime records.
        static JOB: ManuallyDrop<RefCell<Option<(Arc<Inspected>, u32)>>> =
            const { ManuallyDrop::new(RefCell::new(None)) };
    }

    /// Returns true while the thread is inside a runtime that records.
    #[inline]
    pub(crate) fn is_on() -> bool {
        ON.get()
    }

    /// Calls `f` with the writer of the runtime that the thread is inside, if it records.
    fn with_writer<T>(f: impl FnOnce(&EventWriter) -> T) -> Option<T> {
        WRITER.with(|writer| writer.borrow().as_deref().map(f))
    }

    /// Like [`with_writer`], for closures that call user code.
    fn with_own_writer<T>(f: impl FnOnce(Option<&EventWriter>) -> T) -> T {
        let writer = WRITER.with(|writer| writer.borrow().clone());
        f(writer.as_deref())
    }

    /// Returns what the runtime that the thread is inside records into.
    pub(crate) fn inspected() -> Option<Arc<Inspected>> {
        with_writer(|writer| writer.inspected.clone())
    }

    /// The settings of the recorder of a new runtime. `None` if its owner wants none.
    pub(crate) type Wanted = Option<Options>;

    /// The recorder of a runtime, if it records.
    #[derive(Clone)]
    pub(crate) struct Recording(Option<Rc<EventWriter>>);

    /// Keeps the switch as the runtime needs it while a thread is inside it.
    pub(crate) struct Switch {
        outer: Option<Rc<EventWriter>>,
        inner: Option<Rc<EventWriter>>,
        /// The activity of a runtime that the thread enters again.
        doing: Doing,
    }

    impl Recording {
        /// Opens the recorder of a new runtime, if its owner wants one. `unpark` ends the runtime's wait.
        pub(crate) fn open(
            wanted: Wanted,
            runtime: RuntimeId,
            unpark: impl Fn() + Send + Sync + 'static,
        ) -> Self {
            let inspected =
                wanted.map(|options| Inspected::new(runtime.number(), options, Box::new(unpark)));
            Self(inspected.map(|inspected| Rc::new(EventWriter::new(Arc::new(inspected)))))
        }

        pub(crate) fn is_on(&self) -> bool {
            self.0.is_some()
        }

        /// A task was spawned. The thread may be inside another runtime.
        #[inline]
        pub(crate) fn spawned(
            &self,
            task: TaskId,
            place: Option<&'static Location<'static>>,
            future_bytes: usize,
        ) {
            if let Some(writer) = &self.0 {
                writer.spawned(task, place, future_bytes);
            }
        }

        /// `block_on` was called at this place.
        pub(crate) fn root(&self, place: Option<&'static Location<'static>>) {
            if let Some((writer, place)) = self.0.as_ref().zip(place) {
                let inspected = &writer.inspected;
                let number = inspected.place_number(place);
                inspected.root_place.store(number, Ordering::Relaxed);
            }
        }

        /// Turns the switch while a thread is inside the runtime.
        pub(crate) fn enter(&self) -> Switch {
            let doing = |writer: &Rc<EventWriter>| writer.doing.replace(Doing::Other);
            let doing = self.0.as_ref().map_or(Doing::Other, doing);
            ON.set(self.is_on());
            Switch {
                outer: WRITER.with(|writer| writer.replace(self.0.clone())),
                inner: self.0.clone(),
                doing,
            }
        }
    }

    impl Drop for Switch {
        fn drop(&mut self) {
            if let Some(inner) = &self.inner {
                inner.doing.set(self.doing);
            }
            ON.set(self.outer.is_some());
            WRITER.with(|writer| writer.replace(self.outer.take()));
        }
    }

    /// A task has got a name.
    pub(crate) fn named(task: TaskId, name: &Arc<str>) {
        record(|writer| writer.named(task, name));
    }

    /// Writes an event, out of line.
    #[cold]
    #[inline(never)]
    fn record(write: impl FnOnce(&EventWriter)) {
        with_writer(write);
    }

    /// A task was queued, on the runtime's own thread.
    #[inline]
    pub(crate) fn wake(task: TaskId) {
        if is_on() {
            record(|writer| writer.wake(task));
        }
    }

    /// This thread sends a wake to the inbox of a runtime. If it runs a job of that runtime, the job is the cause.
    pub(crate) fn wake_is_sent(runtime: RuntimeId, task: TaskId) {
        JOB.with(|job| {
            if let Some((inspected, job)) = &*job.borrow()
                && inspected.runtime == runtime.number()
            {
                inspected.leave_wake(word(task), *job);
            }
        });
    }

    /// A future is about to end although it is not ready.
    #[inline]
    pub(crate) fn cancelled(
        task: TaskId,
        reason: Reason,
        place: Option<&'static Location<'static>>,
    ) {
        if is_on() {
            record(|writer| writer.cancelled(task, reason, place));
        }
    }

    /// A task has ended.
    #[inline]
    pub(crate) fn ended(task: TaskId, is_cancelled: bool) {
        if is_on() {
            record(|writer| writer.ended(task, is_cancelled));
        }
    }

    /// Wakes the waiter of a task that has ended.
    #[inline]
    pub(crate) fn ending<T>(task: TaskId, wake: impl FnOnce() -> T) -> T {
        if is_on() {
            with_own_writer(|writer| while_doing(writer, Doing::Join(task), wake))
        } else {
            wake()
        }
    }

    fn while_doing<T>(writer: Option<&EventWriter>, doing: Doing, f: impl FnOnce() -> T) -> T {
        match writer {
            Some(writer) => writer.while_doing(doing, f),
            None => f(),
        }
    }

    /// Reads a message of another thread: a wake of this task, or a closure.
    #[inline]
    pub(crate) fn from_mail<T>(task: Option<TaskId>, read: impl FnOnce() -> T) -> T {
        if is_on() {
            with_own_writer(|writer| {
                let job = writer
                    .zip(task)
                    .and_then(|(writer, task)| writer.inspected.waking_job(word(task)));
                writer.inspect(|writer| writer.let_time_pass());
                while_doing(writer, job.map_or(Doing::Mail, Doing::Job), read)
            })
        } else {
            read()
        }
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
            let number = match result {
                Ok(value) => number(value) as u64,
                Err(error) if error.would_block() => WOULD_BLOCK,
                Err(_) => FAILED,
            };
            let fd = io.as_fd().as_raw_fd();
            record(|writer| writer.called(call, fd, number));
        }
    }

    /// A source was registered for a descriptor.
    pub(crate) fn registered(source: u32, io: &impl AsFd) {
        if is_on() {
            let fd = io.as_fd().as_raw_fd();
            record(|writer| writer.registered(source as usize, fd));
        }
    }

    /// A timer is due since this tick.
    #[inline]
    pub(crate) fn timer_is_due(tick: impl FnOnce() -> u64) {
        if is_on() {
            let tick = tick();
            record(|writer| writer.timer_is_due(tick));
        }
    }

    /// Polls a task, between its two events. `poll` returns its result, and true if the task has ended.
    pub(crate) fn polled<T>(task: TaskId, poll: impl FnOnce() -> (T, bool)) -> T {
        with_own_writer(|writer| {
            let Some(writer) = writer else {
                return poll().0;
            };
            writer.poll_starts(task);
            let mut ends = PollEnds {
                writer,
                task,
                has_ended: true,
            };
            let (result, has_ended) = poll();
            ends.has_ended = has_ended;
            result
        })
    }

    /// Writes the end of a poll when it drops, also if the future of `block_on` panics.
    struct PollEnds<'a> {
        writer: &'a EventWriter,
        task: TaskId,
        has_ended: bool,
    }

    impl Drop for PollEnds<'_> {
        fn drop(&mut self) {
            self.writer.poll_ends(self.task, self.has_ended);
        }
    }

    /// Waits while the runtime is stopped before a poll. Returns the time that has passed.
    pub(crate) fn stop_before_poll(task: TaskId) -> Duration {
        with_own_writer(|writer| {
            writer.map_or(Duration::ZERO, |writer| writer.stop_before_poll(task))
        })
    }

    /// Waits while the runtime is stopped before a wait. Returns the time that has passed.
    pub(crate) fn stop_before_wait() -> Duration {
        with_own_writer(|writer| writer.map_or(Duration::ZERO, EventWriter::stop_before_wait))
    }

    /// Returns true if the runtime takes single steps.
    pub(crate) fn takes_steps() -> bool {
        with_writer(|writer| writer.inspected.gate.is_closed()).unwrap_or(false)
    }

    /// The thread is about to wait.
    pub(crate) fn parks(timeout: Option<Duration>) {
        with_writer(|writer| writer.parks(timeout));
    }

    /// `epoll_wait` has returned this many events.
    pub(crate) fn unparked(events: usize) {
        with_writer(|writer| writer.unparked(events));
    }

    /// An event of a source: the index of the source, and the number of the wakers before it.
    pub(crate) fn io_ready(source: usize, ready: Ready, due: usize) {
        with_writer(|writer| writer.io_ready(source, ready, due));
    }

    /// All events are delivered. `due` is the number of the wakers that were collected.
    pub(crate) fn delivered(due: usize) {
        with_writer(|writer| writer.delivered(due));
    }

    /// Wakes the wakers that a turn has collected, one with each call of `wake_next`.
    pub(crate) fn wake_due(due: usize, lag: impl Fn(u64) -> u64, wake_next: impl FnMut()) {
        with_own_writer(|writer| {
            if let Some(writer) = writer {
                writer.wake_due(due, lag, wake_next);
            }
        });
    }

    /// Returns a job that reports its beginning and its end. `runs` returns true for the order to run it.
    pub(crate) fn job<A: 'static>(
        job: Box<dyn FnOnce(A) + Send>,
        runs: fn(&A) -> bool,
    ) -> Box<dyn FnOnce(A) + Send> {
        let Some((inspected, number)) =
            with_writer(|writer| (writer.inspected.clone(), writer.next_job()))
        else {
            return job;
        };
        Box::new(move |order| {
            if !runs(&order) {
                return job(order);
            }
            let event = |code| RawEvent {
                at: inspected.gate.now(),
                code,
                other: number.into(),
                ..RawEvent::default()
            };
            inspected.leave(event(code::JOB_START));
            let _running = RunningJob::begin(inspected.clone(), number);
            job(order);
            inspected.leave(event(code::JOB_END));
        })
    }

    /// Marks the thread as running a job, until it drops.
    struct RunningJob(Option<(Arc<Inspected>, u32)>);

    impl RunningJob {
        fn begin(inspected: Arc<Inspected>, number: u32) -> Self {
            // A thread may run a job itself if it cannot start another one, so jobs nest.
            Self(JOB.with(|job| job.replace(Some((inspected, number)))))
        }
    }

    impl Drop for RunningJob {
        fn drop(&mut self) {
            JOB.with(|job| job.replace(self.0.take()));
        }
    }
}

/// The points of a build without the feature.
#[cfg(not(feature = "inspect"))]
mod off {
    use std::os::fd::AsFd;
    use std::panic::Location;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::causes::{Call, CallError, Ready, Reason};
    use crate::local_queue::{RuntimeId, TaskId};

    /// The settings of no recorder.
    #[derive(Default)]
    pub(crate) struct Wanted;

    /// The recorder of a runtime that does not record.
    #[derive(Clone, Copy)]
    pub(crate) struct Recording;

    /// The switch of a thread.
    pub(crate) struct Switch;

    impl Recording {
        pub(crate) fn open(_: Wanted, _: RuntimeId, _: impl Fn() + Send + Sync + 'static) -> Self {
            Self
        }

        pub(crate) fn is_on(self) -> bool {
            false
        }

        pub(crate) fn spawned(self, _: TaskId, _: Option<&'static Location<'static>>, _: usize) {}

        pub(crate) fn root(self, _: Option<&'static Location<'static>>) {}

        pub(crate) fn enter(self) -> Switch {
            Switch
        }
    }

    pub(crate) fn is_on() -> bool {
        false
    }

    pub(crate) fn takes_steps() -> bool {
        false
    }

    pub(crate) fn named(_: TaskId, _: &Arc<str>) {}
    pub(crate) fn wake(_: TaskId) {}
    pub(crate) fn wake_is_sent(_: RuntimeId, _: TaskId) {}
    pub(crate) fn cancelled(_: TaskId, _: Reason, _: Option<&'static Location<'static>>) {}
    pub(crate) fn ended(_: TaskId, _: bool) {}
    pub(crate) fn registered(_: u32, _: &impl AsFd) {}
    pub(crate) fn timer_is_due(_: impl FnOnce() -> u64) {}
    pub(crate) fn parks(_: Option<Duration>) {}
    pub(crate) fn unparked(_: usize) {}
    pub(crate) fn io_ready(_: usize, _: Ready, _: usize) {}
    pub(crate) fn delivered(_: usize) {}
    pub(crate) fn wake_due(_: usize, _: impl Fn(u64) -> u64, _: impl FnMut()) {}

    pub(crate) fn call<T, E: CallError>(
        _: Call,
        _: &impl AsFd,
        _: &Result<T, E>,
        _: impl Fn(&T) -> usize,
    ) {
    }

    pub(crate) fn ending<T>(_: TaskId, wake: impl FnOnce() -> T) -> T {
        wake()
    }

    pub(crate) fn from_mail<T>(_: Option<TaskId>, read: impl FnOnce() -> T) -> T {
        read()
    }

    pub(crate) fn polled<T>(_: TaskId, poll: impl FnOnce() -> (T, bool)) -> T {
        poll().0
    }

    pub(crate) fn stop_before_poll(_: TaskId) -> Duration {
        Duration::ZERO
    }

    pub(crate) fn stop_before_wait() -> Duration {
        Duration::ZERO
    }

    pub(crate) fn job<A>(
        job: Box<dyn FnOnce(A) + Send>,
        _: fn(&A) -> bool,
    ) -> Box<dyn FnOnce(A) + Send> {
        job
    }
}
