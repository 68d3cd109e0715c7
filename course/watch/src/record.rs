//! The record: tasks, events, and questions about them.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::switches::switches;

/// The number of events of a record. Later ones are counted as lost.
const EVENTS_MAX: usize = 20_000;

/// A sleep takes longer than this, because the processor has to switch to another thread and back. So a shorter time
/// between two events needs no look at the kernel's count.
const SLEEP_MIN: Duration = Duration::from_micros(20);

static RECORD: Mutex<Option<Record>> = Mutex::new(None);

/// The events of one scene.
pub struct Record {
    begin: Instant,
    started_unix_ms: u128,
    /// The thread of the executor.
    executor: ThreadId,
    tasks: Vec<TaskEntry>,
    /// Sorted by time.
    events: Vec<Entry>,
    lost: usize,
    jobs: u32,
    /// The time of the last event on the thread of the executor.
    last: Duration,
    /// True while the executor polls a task.
    is_polling: bool,
    /// The kernel's count of sleeps, as it was found last.
    switches: u64,
}

struct TaskEntry {
    /// `None` for the future of `block_on`.
    name: Option<String>,
    place: &'static Location<'static>,
    parent: Option<u32>,
    future_bytes: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    at: Duration,
    kind: Kind,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Spawn { task: u32, parent: Option<u32> },
    Wake(u32, Cause),
    PollStart { task: u32 },
    PollEnd { task: u32, ready: bool },
    End(u32, Outcome),
    Park,
    Unpark,
    JobStart { job: u32 },
    JobEnd { job: u32 },
}

/// The cause of a wake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// The task has woken itself during its poll.
    Myself,
    /// Another task has woken it.
    Task(u32),
    /// The task that it awaits has ended.
    Join(u32),
    Timer,
    Socket,
    /// Another thread.
    Thread,
    /// A job that it awaits has ended.
    Job(u32),
    Other,
}

impl Cause {
    /// The word for it in a trace.
    fn word(self) -> &'static str {
        match self {
            Self::Myself => "self",
            Self::Task(_) => "task",
            Self::Join(_) => "join",
            Self::Timer => "timer",
            Self::Socket => "io",
            Self::Thread => "thread",
            Self::Job(_) => "job",
            Self::Other => "other",
        }
    }
}

/// The end of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Value,
    Panic,
    Cancelled,
}

fn lock() -> MutexGuard<'static, Option<Record>> {
    RECORD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a record. The executor runs on this thread.
pub(crate) fn begin() {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    *lock() = Some(Record {
        begin: Instant::now(),
        started_unix_ms: unix.unwrap_or_default().as_millis(),
        executor: thread::current().id(),
        tasks: Vec::new(),
        // Room for all, because a growing list would copy itself in the middle of a poll.
        events: Vec::with_capacity(EVENTS_MAX),
        lost: 0,
        jobs: 0,
        last: Duration::ZERO,
        is_polling: true,
        switches: switches(),
    });
}

/// Takes the record out. Later events have no effect.
pub(crate) fn end() -> Option<Record> {
    lock().take()
}

/// Takes the record out while the executor hangs. If its thread sleeps, this is the last event.
pub(crate) fn end_of_hang() -> Option<Record> {
    let mut record = end()?;
    // This is the status of the first thread of the process, which runs the executor.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !record.is_polling && status.contains("\nState:\tS") {
        let (at, kind) = (record.last, Kind::Park);
        record.events.push(Entry { at, kind });
        record.events.sort_by_key(|entry| entry.at);
    }
    Some(record)
}

/// Returns true on the thread of the executor.
pub(crate) fn is_executor() -> bool {
    let record = lock();
    record
        .as_ref()
        .is_some_and(|record| record.executor == thread::current().id())
}

pub(crate) fn add_task(
    name: Option<&str>,
    place: &'static Location<'static>,
    parent: Option<u32>,
    future_bytes: usize,
) -> u32 {
    let mut record = lock();
    let Some(record) = &mut *record else {
        return 0;
    };
    record.tasks.push(TaskEntry {
        name: name.map(str::to_owned),
        place,
        parent,
        future_bytes,
    });
    u32::try_from(record.tasks.len() - 1).unwrap_or(u32::MAX)
}

pub(crate) fn next_job() -> u32 {
    lock().as_mut().map_or(0, |record| {
        record.jobs += 1;
        record.jobs
    })
}

pub(crate) fn add(kind: Kind) {
    if let Some(record) = &mut *lock() {
        record.add(kind);
    }
}

impl Record {
    fn add(&mut self, kind: Kind) {
        let at = self.begin.elapsed();
        if self.executor == thread::current().id() {
            self.note_sleep(at);
            match kind {
                Kind::PollStart { .. } => self.is_polling = true,
                Kind::PollEnd { .. } => self.is_polling = false,
                _ => {}
            }
            self.last = at;
        }
        if self.events.len() < EVENTS_MAX {
            self.events.push(Entry { at, kind });
        } else {
            self.lost += 1;
        }
    }

    /// Notes that the thread of the executor has slept since its last event, if the kernel says so.
    fn note_sleep(&mut self, now: Duration) {
        if now - self.last < SLEEP_MIN {
            return;
        }
        let switches = switches();
        let has_slept = switches > self.switches;
        self.switches = switches;
        // A poll that sleeps blocks the thread. That is no park.
        if self.is_polling || !has_slept || self.events.len() + 2 > EVENTS_MAX {
            return;
        }
        let begin = self.last;
        // Other threads may have woken tasks meanwhile, so the begin of the sleep stands before their events.
        let place = self.events.partition_point(|entry| entry.at <= begin);
        self.events.insert(
            place,
            Entry {
                at: begin,
                kind: Kind::Park,
            },
        );
        self.events.push(Entry {
            at: now,
            kind: Kind::Unpark,
        });
    }
}

/// The questions that claims ask. `"root"` is the future of `block_on`. All tasks with one name count together.
impl Record {
    fn name(&self, task: u32) -> &str {
        let entry = self.tasks.get(task as usize);
        entry
            .and_then(|entry| entry.name.as_deref())
            .unwrap_or("root")
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.events.iter().map(|entry| entry.kind)
    }

    /// Returns the names of the tasks in the order of their polls.
    pub fn polled(&self) -> Vec<&str> {
        let task = |kind| match kind {
            Kind::PollStart { task } => Some(self.name(task)),
            _ => None,
        };
        self.kinds().filter_map(task).collect()
    }

    /// Returns the number of polls of a task.
    pub fn polls(&self, name: &str) -> usize {
        self.polled().iter().filter(|other| **other == name).count()
    }

    /// Returns the causes of the wakes of a task.
    pub fn wakes(&self, name: &str) -> Vec<Cause> {
        let cause = |kind| match kind {
            Kind::Wake(task, cause) => (self.name(task) == name).then_some(cause),
            _ => None,
        };
        self.kinds().filter_map(cause).collect()
    }

    /// Returns the names of the tasks that have woken a task, by a wake or by their end.
    pub fn woken_by(&self, name: &str) -> Vec<&str> {
        let by = |cause: &Cause| match *cause {
            Cause::Task(by) | Cause::Join(by) => Some(self.name(by)),
            _ => None,
        };
        self.wakes(name).iter().filter_map(by).collect()
    }

    /// Returns the ends of the tasks with this name.
    pub fn ends(&self, name: &str) -> Vec<Outcome> {
        let outcome = |kind| match kind {
            Kind::End(task, outcome) => (self.name(task) == name).then_some(outcome),
            _ => None,
        };
        self.kinds().filter_map(outcome).collect()
    }

    /// Returns how long the thread has slept, for each sleep.
    pub fn sleeps(&self) -> Vec<Duration> {
        let mut sleeps = Vec::new();
        let mut began = None;
        for entry in &self.events {
            match entry.kind {
                Kind::Park => began = Some(entry.at),
                Kind::Unpark => sleeps.extend(began.take().map(|began| entry.at - began)),
                _ => {}
            }
        }
        sleeps
    }

    /// Returns true if a task with this name was woken while the thread slept.
    pub fn is_woken_in_a_sleep(&self, name: &str) -> bool {
        let mut sleeps = false;
        self.kinds().any(|kind| {
            match kind {
                Kind::Park => sleeps = true,
                Kind::Unpark => sleeps = false,
                Kind::Wake(task, _) => return sleeps && self.name(task) == name,
                _ => {}
            }
            false
        })
    }

    /// Returns the polls that began while a job ran.
    pub fn polls_beside_jobs(&self) -> usize {
        let (mut jobs, mut polls) = (0, 0);
        for kind in self.kinds() {
            match kind {
                Kind::JobStart { .. } => jobs += 1,
                Kind::JobEnd { .. } => jobs -= 1,
                Kind::PollStart { .. } if jobs > 0 => polls += 1,
                _ => {}
            }
        }
        polls
    }

    /// Returns the number of jobs that ran at the same time at most.
    pub fn jobs_max(&self) -> usize {
        let (mut jobs, mut most) = (0, 0);
        for kind in self.kinds() {
            match kind {
                Kind::JobStart { .. } => jobs += 1,
                Kind::JobEnd { .. } => jobs -= 1,
                _ => {}
            }
            most = most.max(jobs);
        }
        most
    }
}

/// The id of a task in a trace.
struct JsonId<'a>(&'a Record, u32);

impl fmt::Display for JsonId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.0.tasks.get(self.1 as usize);
        match task.and_then(|task| task.name.as_ref()) {
            Some(_) => write!(f, "\"1.{}.1\"", self.1),
            None => f.write_str("\"root\""),
        }
    }
}

/// A string in a trace. The names and places of the course have no control characters.
struct JsonText<'a>(&'a str);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{escaped}\"")
    }
}

impl Record {
    /// Writes the record in the format of `Trace::to_json` of the real runtime.
    pub fn to_json(&self) -> String {
        let now = self.begin.elapsed().as_nanos();
        let mut json = format!(
            "{{\"format\":\"waterwheel-trace\",\"version\":1,\"runtime\":1,\"is_from_outside\":true,\
             \"started_unix_ms\":{},\"now_ns\":{now},\
             \"overflow\":{},\"clock\":\"running\",\"reason\":null,\"tasks\":[",
            self.started_unix_ms, self.lost
        );
        for (index, task) in self.tasks.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let id = JsonId(self, u32::try_from(index).unwrap_or(u32::MAX));
            let name = match &task.name {
                Some(name) => JsonText(name).to_string(),
                None => "null".to_owned(),
            };
            let parent = match task.parent {
                Some(parent) => JsonId(self, parent).to_string(),
                None => "null".to_owned(),
            };
            let place = task.place.to_string();
            let (place, bytes) = (JsonText(&place), task.future_bytes);
            _ = write!(
                json,
                "{separator}\n{{\"id\":{id},\"name\":{name},\"place\":{place},\"parent\":{parent},\"future_bytes\":{bytes}}}"
            );
        }
        json += "],\"events\":[";
        // The waiting task may be woken again before its poll. The queue has it once, and so has the picture.
        let mut queued: HashMap<u32, bool> = HashMap::new();
        let mut seq = 0;
        for entry in &self.events {
            match entry.kind {
                Kind::PollStart { task } => _ = queued.insert(task, false),
                Kind::Wake(task, _) if queued.insert(task, true) == Some(true) => continue,
                _ => {}
            }
            let separator = if seq == 0 { "" } else { "," };
            seq += 1;
            let at = entry.at.as_nanos();
            _ = write!(json, "{separator}\n{{\"seq\":{seq},\"at\":{at},");
            self.write_kind(&mut json, entry.kind);
            json.push('}');
        }
        json += "]}";
        json
    }

    fn write_kind(&self, json: &mut String, kind: Kind) {
        let id = |task| JsonId(self, task);
        _ = match kind {
            Kind::Spawn { task, parent } => {
                let parent = parent.map_or("null".to_owned(), |parent| id(parent).to_string());
                write!(
                    json,
                    "\"kind\":\"spawn\",\"task\":{},\"parent\":{parent}",
                    id(task)
                )
            }
            Kind::Wake(task, cause) => {
                let word = cause.word();
                let more = match cause {
                    Cause::Task(by) | Cause::Join(by) => format!(",\"by\":{}", id(by)),
                    Cause::Job(job) => format!(",\"job\":{job}"),
                    _ => String::new(),
                };
                write!(
                    json,
                    "\"kind\":\"wake\",\"task\":{},\"cause\":\"{word}\"{more}",
                    id(task)
                )
            }
            Kind::PollStart { task } => {
                write!(json, "\"kind\":\"poll_start\",\"task\":{}", id(task))
            }
            Kind::PollEnd { task, ready } => write!(
                json,
                "\"kind\":\"poll_end\",\"task\":{},\"ready\":{ready}",
                id(task)
            ),
            Kind::End(task, outcome) => {
                let outcome = match outcome {
                    Outcome::Value => "value",
                    Outcome::Panic => "panic",
                    Outcome::Cancelled => "cancelled",
                };
                write!(
                    json,
                    "\"kind\":\"end\",\"task\":{},\"outcome\":\"{outcome}\"",
                    id(task)
                )
            }
            // How long it may wait at most is known only inside the executor.
            Kind::Park => write!(json, "\"kind\":\"park\""),
            Kind::Unpark => write!(json, "\"kind\":\"unpark\""),
            Kind::JobStart { job } => write!(json, "\"kind\":\"job_start\",\"job\":{job}"),
            Kind::JobEnd { job } => write!(json, "\"kind\":\"job_end\",\"job\":{job}"),
        };
    }
}
