//! A copy of a ring: the events, the tasks, and claims about them for tests.
//!
//! # How it works
//!
//! The copy is made event by event, while the runtime goes on. Events that the runtime overwrites meanwhile are missing
//! at the beginning, and they count as lost.
//!
//! # Invariants
//!
//! - Always: each id in an event has an entry in the list of tasks.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::event::{Event, EventKind, SyscallResult, WakeCause, task_of};
use super::facts::{Facts, halves};
use super::gate::GateState;
use super::json::{JsonId, JsonText, OrNull, Shown, place};
use super::ring::RawEvent;
use super::shared::Inspected;
use super::writer::code;
use crate::task_names::Id;

/// A copy of the events of a runtime, in the order of their times.
///
/// [`Recorder::trace`](super::Recorder::trace) makes it. In a test, claims about it are exact: each poll and each wake
/// is an event.
///
/// # JSON
///
/// [`to_json`](Self::to_json) writes one object:
///
/// | field | meaning |
/// |---|---|
/// | `format`, `version` | `"waterwheel-trace"`, 1 |
/// | `runtime` | the number of the runtime in its process |
/// | `started_unix_ms` | the time at which the runtime was opened |
/// | `now_ns` | the time of the copy, in nanoseconds since the runtime was opened |
/// | `overflow` | the number of events that are lost |
/// | `clock` | `"running"`, or `"stopped"` while the runtime is paused |
/// | `reason` | the reason of the flight recorder, or `null` |
/// | `tasks` | for each task: `id`, `name`, `place`, `parent`, `future_bytes` |
/// | `events` | for each event: `seq`, `at` in nanoseconds, `kind`, and the fields of the kind |
///
/// A task is `"1.4.7"` (runtime, slot, generation), or `"root"` for the future of `block_on`. The kinds have these
/// fields; a field without a value is missing or `null`:
///
/// | kind | fields |
/// |---|---|
/// | `spawn` | `task`, `parent` |
/// | `wake` | `task`, `cause` (`io`, `timer`, `task`, `self`, `thread`, `join`, `job`, `other`), `by`, `fd`, `job` |
/// | `poll_start` | `task` |
/// | `poll_end` | `task`, `ready` |
/// | `end` | `task`, `outcome` (`value`, `panic`, `cancelled`) |
/// | `cancel` | `task`, `cause` (`abort`, `race lost`, `timeout`, `client gone`, `shutdown`, `drop`), `place` |
/// | `park` | `timeout_ns` |
/// | `unpark` | `events` |
/// | `io_ready` | `fd`, `readable`, `writable`, `closed` |
/// | `timer` | `lag_ns` |
/// | `job_start`, `job_end` | `job` |
/// | `syscall` | `task`, `op` (`read`, `write`, `accept`, `connect`, `epoll_wait`), `fd`, `result` (a number, `"EAGAIN"`, `"error"`) |
/// | `long_poll` | `task`, `place`, `ns` |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{Runtime, inspect, spawn, yield_now};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let trace: inspect::Trace = runtime.block_on(async {
///     spawn(yield_now()).await.unwrap();
///     inspect::recorder().unwrap().trace()
/// });
/// trace.assert_polls_shorter_than(Duration::from_secs(1));
/// let task = trace.tasks()[1].id;
/// trace.assert_wakes_at_most(task, 1); // by `yield_now`
/// assert_eq!(trace.polls_of(task).count(), 2);
/// assert_eq!(trace.wakes_of(task).count(), 1);
/// println!("{} longest: {:?}", trace.task(task).unwrap(), trace.longest_poll());
/// println!("longest in the queue: {:?}, of {} polls", trace.longest_queued(), trace.polls().count());
/// assert!(trace.reason().is_none() && trace.overflow() == 0);
/// assert!(trace.events().iter().all(|event| event.at <= trace.now()));
/// assert!(trace.to_json().starts_with("{\"format\":\"waterwheel-trace\""));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Trace {
    pub(crate) runtime: u32,
    started_unix_ms: u64,
    now: Duration,
    overflow: u64,
    is_stopped: bool,
    reason: Option<String>,
    events: Vec<Event>,
    tasks: Vec<TracedTask>,
}

/// A task of a trace.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect, task};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let trace = runtime.block_on(async {
///     task::Builder::new().name("worker").spawn(async {}).await.unwrap();
///     inspect::recorder().unwrap().trace()
/// });
/// let worker: &inspect::TracedTask = &trace.tasks()[1];
/// assert_eq!(worker.name.as_deref(), Some("worker"));
/// assert!(worker.parent.unwrap().is_root());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TracedTask {
    /// The task.
    pub id: Id,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// The place in the program that has spawned it. `None` if the event of its spawn was overwritten and it has
    /// ended.
    pub place: Option<&'static Location<'static>>,
    /// The task that has spawned it.
    pub parent: Option<Id>,
    /// The size of its future in bytes. Zero if it is not known.
    pub future_bytes: u32,
}

impl fmt::Display for TracedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id.is_root() {
            f.write_str("the future of block_on")?;
        } else {
            write!(f, "task {}", self.id)?;
        }
        if let Some(name) = &self.name {
            write!(f, " `{}`", Shown(name))?;
        }
        if let Some(place) = self.place {
            write!(f, ", spawned at {place}")?;
        }
        Ok(())
    }
}

/// One poll of a task.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect, spawn};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let trace = runtime.block_on(async {
///     spawn(async {}).await.unwrap();
///     inspect::recorder().unwrap().trace()
/// });
/// let longest: inspect::PollSpan = trace.longest_poll().unwrap();
/// println!("{:?} in the queue, {:?} polled", longest.queued, longest.duration);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PollSpan {
    /// The task.
    pub task: Id,
    /// The begin of the poll.
    pub at: Duration,
    /// The time that it took.
    pub duration: Duration,
    /// The time from the wake or the spawn to the poll. `None` if that event was overwritten.
    pub queued: Option<Duration>,
    /// True if the task has ended.
    pub ready: bool,
}

impl Trace {
    /// Copies the events from this number on.
    pub(crate) fn of(inspected: &Inspected, from: u64) -> Self {
        let ring = &inspected.ring;
        // In this order: if the ring goes on between the two, the copy misses events, and counts them as lost.
        let (begin, written) = (ring.oldest().max(from), ring.written());
        let mut raw = Vec::new();
        for seq in begin..written {
            match ring.read(seq) {
                Some(event) => raw.push((seq, event)),
                // The runtime has overtaken this copy. With the events before, the copy would have a hole in it, and
                // an export would pair the begin of one poll with the end of another.
                None => raw.clear(),
            }
        }
        let copied = u64::try_from(raw.len()).unwrap_or_default();
        // The events of other threads will get these numbers, unless the runtime writes some of its own before.
        raw.extend((written..).zip(inspected.left()));
        // The events of other threads come late into the ring, and have the times at which they happened.
        raw.sort_by_key(|(_, event)| event.at);
        let mut tasks = TaskList::new(inspected);
        raw.iter().for_each(|(_, event)| tasks.add(*event));
        let event = |&(seq, raw)| Event::of(inspected, seq, raw);
        Self {
            runtime: inspected.runtime,
            started_unix_ms: inspected.started_unix_ms,
            now: Duration::from_nanos(inspected.gate.read_now()),
            overflow: (written - from.min(written)) - copied
                + inspected.lost.load(Ordering::Relaxed),
            is_stopped: matches!(inspected.gate.state(), GateState::Stopped(_)),
            reason: None,
            events: raw.iter().filter_map(event).collect(),
            tasks: tasks.finish(),
        }
    }

    /// Copies at most this many events, the newest ones.
    pub(crate) fn newest(inspected: &Inspected, events_max: usize) -> Self {
        let events_max = u64::try_from(events_max).unwrap_or(u64::MAX);
        Self::of(
            inspected,
            inspected.ring.written().saturating_sub(events_max),
        )
    }

    pub(crate) fn with_reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// Returns the reason of the [flight recorder](super::Flight) for this copy.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns the events in the order of their times.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns the tasks that the events name, in the order in which they first appear.
    #[must_use]
    pub fn tasks(&self) -> &[TracedTask] {
        &self.tasks
    }

    /// Returns the task with this id, if an event names it.
    #[must_use]
    pub fn task(&self, task: Id) -> Option<&TracedTask> {
        self.tasks.iter().find(|other| other.id == task)
    }

    /// Returns the number of events that are lost: the ring has overwritten them, or too many came from other
    /// threads.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Returns the time of the copy, since the runtime was opened.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Returns all polls that have ended, in the order of their ends.
    pub fn polls(&self) -> impl Iterator<Item = PollSpan> {
        // A task that is woken twice before its poll stands in the queue since the first wake.
        let mut queued: HashMap<Id, Duration> = HashMap::new();
        let mut began: Option<(Duration, Option<Duration>)> = None;
        self.events.iter().filter_map(move |event| {
            match event.kind {
                EventKind::Spawn { task, .. } | EventKind::Wake { task, .. } => {
                    queued.entry(task).or_insert(event.at);
                }
                EventKind::PollStart { task } => began = Some((event.at, queued.remove(&task))),
                EventKind::PollEnd { task, ready } => {
                    let (at, queued_at) = began.take()?;
                    return Some(PollSpan {
                        task,
                        at,
                        duration: event.at.saturating_sub(at),
                        queued: queued_at.map(|queued_at| at.saturating_sub(queued_at)),
                        ready,
                    });
                }
                _ => {}
            }
            None
        })
    }

    /// Returns the polls of one task.
    pub fn polls_of(&self, task: Id) -> impl Iterator<Item = PollSpan> {
        self.polls().filter(move |poll| poll.task == task)
    }

    /// Returns the poll that took the longest time.
    #[must_use]
    pub fn longest_poll(&self) -> Option<PollSpan> {
        self.polls().max_by_key(|poll| poll.duration)
    }

    /// Returns the poll whose task stood in the queue for the longest time before it.
    #[must_use]
    pub fn longest_queued(&self) -> Option<PollSpan> {
        self.polls().max_by_key(|poll| poll.queued)
    }

    /// Returns the wakes of one task, each with its time and its cause.
    pub fn wakes_of(&self, task: Id) -> impl Iterator<Item = (Duration, WakeCause)> {
        self.events
            .iter()
            .filter_map(move |event| match event.kind {
                EventKind::Wake { task: woken, cause } if woken == task => Some((event.at, cause)),
                _ => None,
            })
    }

    /// Checks that each poll was shorter than this.
    ///
    /// # Panics
    ///
    /// Panics if a poll was not. The message names the task and its place.
    #[track_caller]
    pub fn assert_polls_shorter_than(&self, limit: Duration) {
        if let Some(poll) = self.longest_poll()
            && poll.duration >= limit
        {
            let (task, duration, at) = (self.described(poll.task), poll.duration, poll.at);
            panic!("a poll took {duration:?}, and the limit is {limit:?}: {task}, at {at:?}");
        }
    }

    /// Checks that a task was woken at most this many times.
    ///
    /// # Panics
    ///
    /// Panics if it was woken more often. The message has the causes.
    #[track_caller]
    pub fn assert_wakes_at_most(&self, task: Id, limit: usize) {
        let wakes: Vec<_> = self.wakes_of(task).collect();
        if wakes.len() > limit {
            let (count, task) = (wakes.len(), self.described(task));
            panic!("{count} wakes, and the limit is {limit}: {task}; {wakes:?}");
        }
    }

    /// Returns a text that names a task.
    fn described(&self, task: Id) -> String {
        self.task(task)
            .map_or_else(|| format!("task {task}"), ToString::to_string)
    }

    /// Writes the trace as JSON; see [the type](Self#json).
    #[must_use]
    pub fn to_json(&self) -> String {
        // An event has about 100 bytes, and a string that grows would copy megabytes.
        let mut json = String::with_capacity(100 * (self.events.len() + self.tasks.len()) + 200);
        // Writing to a string does not fail.
        _ = self.write_json(&mut json);
        json
    }

    fn write_json(&self, json: &mut String) -> fmt::Result {
        let Self {
            runtime,
            started_unix_ms,
            overflow,
            ..
        } = self;
        let now_ns = self.now.as_nanos();
        let reason = OrNull(self.reason().map(JsonText));
        let clock = if self.is_stopped {
            "stopped"
        } else {
            "running"
        };
        write!(
            json,
            r#"{{"format":"waterwheel-trace","version":1,"runtime":{runtime},"started_unix_ms":{started_unix_ms},"now_ns":{now_ns},"overflow":{overflow},"clock":"{clock}","reason":{reason},"#
        )?;
        json.push_str("\n\"tasks\":[");
        for (position, task) in self.tasks.iter().enumerate() {
            json.push_str(if position == 0 { "\n" } else { ",\n" });
            let name = OrNull(task.name.as_deref().map(JsonText));
            let (id, parent) = (JsonId(task.id), OrNull(task.parent.map(JsonId)));
            let (place, bytes) = (place(task.place), task.future_bytes);
            write!(
                json,
                r#"{{"id":{id},"name":{name},"place":{place},"parent":{parent},"future_bytes":{bytes}}}"#
            )?;
        }
        json.push_str("],\n\"events\":[");
        for (position, event) in self.events.iter().enumerate() {
            json.push_str(if position == 0 { "\n" } else { ",\n" });
            let (seq, at) = (event.seq, event.at.as_nanos());
            write!(json, r#"{{"seq":{seq},"at":{at},"kind":"#)?;
            write_kind(json, &event.kind)?;
            json.push('}');
        }
        json.push_str("]}\n");
        Ok(())
    }
}

/// Writes the name of a kind, and its fields.
fn write_kind(json: &mut String, kind: &EventKind) -> fmt::Result {
    match kind {
        EventKind::Park { timeout } => {
            let nanos = OrNull(timeout.map(|timeout| timeout.as_nanos()));
            write!(json, r#""park","timeout_ns":{nanos}"#)
        }
        EventKind::Unpark { events } => write!(json, r#""unpark","events":{events}"#),
        EventKind::IoReady {
            fd,
            readable,
            writable,
            closed,
        } => {
            let fd = OrNull(*fd);
            write!(
                json,
                r#""io_ready","fd":{fd},"readable":{readable},"writable":{writable},"closed":{closed}"#
            )
        }
        EventKind::Timer { lag } => write!(json, r#""timer","lag_ns":{}"#, lag.as_nanos()),
        EventKind::JobStart { job } => write!(json, r#""job_start","job":{job}"#),
        EventKind::JobEnd { job } => write!(json, r#""job_end","job":{job}"#),
        EventKind::Syscall {
            task,
            op,
            fd,
            result,
        } => {
            let (task, fd) = (OrNull(task.map(JsonId)), OrNull(*fd));
            write!(json, r#""syscall","task":{task},"op":"{op}","fd":{fd},"#)?;
            match result {
                SyscallResult::Number(number) => write!(json, r#""result":{number}"#),
                other => write!(json, r#""result":"{other}""#),
            }
        }
        _ => write_task_kind(json, kind),
    }
}

/// Writes the kinds that are about a task.
fn write_task_kind(json: &mut String, kind: &EventKind) -> fmt::Result {
    let id = OrNull(kind.task().map(JsonId));
    match kind {
        EventKind::Spawn { parent, .. } => {
            let parent = OrNull(parent.map(JsonId));
            write!(json, r#""spawn","task":{id},"parent":{parent}"#)
        }
        EventKind::Wake { cause, .. } => {
            write!(json, r#""wake","task":{id},"cause":"{cause}""#)?;
            match cause {
                WakeCause::Io(fd) => write!(json, r#","fd":{}"#, OrNull(*fd)),
                WakeCause::Task(by) | WakeCause::Join(by) => {
                    write!(json, r#","by":{}"#, JsonId(*by))
                }
                WakeCause::Job(job) => write!(json, r#","job":{job}"#),
                _ => Ok(()),
            }
        }
        EventKind::PollStart { .. } => write!(json, r#""poll_start","task":{id}"#),
        EventKind::PollEnd { ready, .. } => {
            write!(json, r#""poll_end","task":{id},"ready":{ready}"#)
        }
        EventKind::End { outcome, .. } => {
            write!(json, r#""end","task":{id},"outcome":"{outcome}""#)
        }
        EventKind::Cancel {
            cause, place: at, ..
        } => {
            let at = place(*at);
            write!(
                json,
                r#""cancel","task":{id},"cause":"{cause}","place":{at}"#
            )
        }
        EventKind::LongPoll {
            place: at,
            duration,
            ..
        } => {
            let (at, nanos) = (place(*at), duration.as_nanos());
            write!(json, r#""long_poll","task":{id},"place":{at},"ns":{nanos}"#)
        }
        _ => Ok(()),
    }
}

/// Collects the tasks that events name.
struct TaskList<'a> {
    inspected: &'a Inspected,
    /// The words of the tasks in the order of their first appearance.
    order: Vec<u64>,
    /// The facts that the events have, or `None` if only the table may have them.
    facts: HashMap<u64, Option<Facts>>,
}

impl<'a> TaskList<'a> {
    fn new(inspected: &'a Inspected) -> Self {
        Self {
            inspected,
            order: Vec::new(),
            facts: HashMap::new(),
        }
    }

    /// Adds the tasks of an event.
    fn add(&mut self, event: RawEvent) {
        let facts = self.named(event.task);
        // Only these kinds name a task, or know something that the table may have lost.
        match event.code {
            code::SPAWN => {
                let [future_bytes, place] = halves(event.extra);
                *facts = Some(Facts {
                    parent: event.other,
                    place,
                    future_bytes,
                    name: 0,
                });
                self.named(event.other);
            }
            code::NAMED => {
                if let Some(facts) = facts {
                    facts.name = halves(event.other)[0];
                }
            }
            code::WAKE_TASK | code::WAKE_JOIN => _ = self.named(event.other),
            _ => {}
        }
    }

    /// Returns the place for the facts of a task. Adds the task if it is new.
    fn named(&mut self, word: u64) -> &mut Option<Facts> {
        let order = &mut self.order;
        self.facts.entry(word).or_insert_with(|| {
            order.push(word);
            None
        })
    }

    fn finish(mut self) -> Vec<TracedTask> {
        let mut tasks = Vec::new();
        let mut position = 0;
        // The facts of a task may name a parent that no event names.
        while position < self.order.len() {
            let word = self.order[position];
            position += 1;
            let Some(id) = task_of(self.inspected, word) else {
                continue;
            };
            let known = self.facts.get(&word).copied().flatten();
            let facts = known
                .or_else(|| self.inspected.facts_of(word))
                .unwrap_or_default();
            self.named(facts.parent);
            tasks.push(TracedTask {
                id,
                name: self.inspected.name(facts.name),
                place: self.inspected.place(facts.place),
                parent: task_of(self.inspected, facts.parent),
                future_bytes: facts.future_bytes,
            });
        }
        tasks
    }
}
