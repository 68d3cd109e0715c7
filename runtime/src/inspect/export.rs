//! Writes a trace in the trace-event format, which Perfetto and `chrome://tracing` open.
//!
//! # How it works
//!
//! The format is JSON: a list of records, each with a phase `ph`. A runtime is a process, and each task is a thread of
//! it, so that Perfetto shows a track for each:
//!
//! | track | slices (`X`) | instants (`i`) |
//! |---|---|---|
//! | a task | `queued`, from the wake to the poll; `poll` | system calls, cancels, the end |
//! | `reactor` | `epoll_wait`; `deliver`, from the end of the wait to the next poll | readiness, timers |
//! | `jobs` | pairs of `b` and `e`, because jobs overlap | |
//!
//! A wake is an arrow (`s` to `f`): from the slice in which it happened to the poll that it caused. Both ends lie within
//! a slice of their track, because the format binds an arrow to the slice around it.
//!
//! (The format: "Trace Event Format", Google, 2016.)
//!
//! # Invariants
//!
//! - Always: the records are sorted by time, and a slice stands before the arrows within it.
//! - Always: two slices of one track lie beside each other, or one within the other.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

use super::event::{Event, EventKind, WakeCause};
use super::json::{JsonText, OrNull, place};
use super::trace::Trace;
use crate::task_names::Id;

/// The numbers of the tracks that are not tasks. The numbers of tasks follow.
const REACTOR: usize = 1;
const JOBS: usize = 2;
const FIRST_TASK: usize = 3;

impl Trace {
    /// Writes the trace in the trace-event format. Perfetto (ui.perfetto.dev) opens it: a track for each task, a slice for
    /// each poll and for each time in the queue, an arrow for each wake.
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
    /// let file = std::env::temp_dir().join(format!("trace-{}.json", std::process::id()));
    /// std::fs::write(&file, trace.to_trace_events())?;
    /// # std::fs::remove_file(&file)?;
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn to_trace_events(&self) -> String {
        let mut export = Export::new(self);
        for event in self.events() {
            export.add(event);
        }
        export.finish()
    }
}

/// A record of the format, without the fields that all have.
struct Record {
    at: Duration,
    track: usize,
    /// The phase, the name, and the fields of the phase, as JSON.
    fields: String,
}

/// The present slice of the reactor's track.
#[derive(Clone, Copy)]
struct ReactorSlice {
    name: &'static str,
    from: Duration,
    /// The place of its record, which the end completes.
    record: usize,
}

const WAITS: &str = "epoll_wait";
const DELIVERS: &str = "deliver";

/// The first wake of a task in the queue.
struct Queued {
    since: Duration,
    /// The number of its arrow, and the place of its record.
    arrow: u64,
    record: usize,
}

/// The shortest slice, so that an arrow can lie within it.
const SHORTEST: Duration = Duration::from_nanos(1);

/// Collects the records of a trace.
struct Export<'a> {
    trace: &'a Trace,
    tracks: HashMap<Id, usize>,
    records: Vec<Record>,
    /// The tasks in the queue.
    queued: HashMap<Id, Queued>,
    /// The end of the last poll of each task.
    polled_until: HashMap<Id, Duration>,
    /// The poll that has not ended, and the place of its record, which the end completes.
    polling: Option<(Id, Duration, usize)>,
    reactor: Option<ReactorSlice>,
    /// The jobs that have begun.
    jobs: HashSet<u32>,
    /// The end of the last slice of the reactor's track, and the last arrow in the present one.
    reactor_until: Duration,
}

impl<'a> Export<'a> {
    fn new(trace: &'a Trace) -> Self {
        let tasks = trace.tasks().iter().map(|task| task.id);
        Self {
            trace,
            tracks: tasks.zip(FIRST_TASK..).collect(),
            records: Vec::with_capacity(trace.events().len()),
            queued: HashMap::new(),
            polled_until: HashMap::new(),
            polling: None,
            reactor: None,
            jobs: HashSet::new(),
            reactor_until: Duration::ZERO,
        }
    }

    fn push(&mut self, at: Duration, track: usize, fields: String) {
        self.records.push(Record { at, track, fields });
    }

    /// Adds a mark within the slices of a track.
    fn instant(&mut self, at: Duration, track: usize, name: &str, args: &str) {
        let name = JsonText(name);
        let fields = format!(r#""ph":"i","s":"t","name":{name},"args":{{{args}}}"#);
        self.push(at, track, fields);
    }

    fn track(&self, task: Id) -> usize {
        self.tracks.get(&task).copied().unwrap_or(REACTOR)
    }

    fn add(&mut self, event: &Event) {
        let at = event.at;
        match event.kind {
            EventKind::Spawn { task, parent } => {
                self.queue(event, task, parent);
            }
            EventKind::Wake { task, cause } => {
                let by = match cause {
                    WakeCause::Task(by) => Some(by),
                    WakeCause::Myself => Some(task),
                    // A task ends within its poll, which wakes its waiter. So the arrow begins in the slice of that poll.
                    _ => self.polling.map(|(polled, ..)| polled),
                };
                self.queue(event, task, by);
            }
            EventKind::PollStart { task } => self.poll_starts(at, task),
            EventKind::PollEnd { task, ready } => self.poll_ends(at, task, ready),
            EventKind::Park { timeout } => {
                self.begin_reactor_slice(at, WAITS);
                let timeout = OrNull(timeout.map(Micros));
                let args = format!(r#""timeout_us":{timeout}"#);
                self.instant(at, REACTOR, "park", &args);
            }
            EventKind::Unpark { .. } => {
                self.begin_reactor_slice(at, DELIVERS);
            }
            EventKind::IoReady { fd, .. } => {
                self.deliver(at);
                let name = format!("fd {} is ready", OrNull(fd));
                self.instant(at, REACTOR, &name, "");
            }
            EventKind::Timer { lag } => {
                self.deliver(at);
                let args = format!(r#""lag_us":{}"#, Micros(lag));
                self.instant(at, REACTOR, "timer", &args);
            }
            EventKind::JobStart { job } => self.job(at, 'b', job),
            EventKind::JobEnd { job } => self.job(at, 'e', job),
            EventKind::Syscall {
                task, op, result, ..
            } => {
                let track = task.map_or(REACTOR, |task| self.track(task));
                self.instant(at, track, &format!("{op} = {result}"), "");
            }
            EventKind::End { task, outcome } => {
                let track = self.track(task);
                self.instant(at, track, &format!("end: {outcome}"), "");
            }
            EventKind::Cancel {
                task,
                cause,
                place: caused_at,
            } => {
                let track = self.track(task);
                let args = format!(r#""place":{}"#, place(caused_at));
                self.instant(at, track, &format!("cancel: {cause}"), &args);
            }
            EventKind::LongPoll { task, .. } => {
                let track = self.track(task);
                self.instant(at, track, "long poll", "");
            }
        }
    }

    /// Begins the delivery of a turn that has not waited.
    fn deliver(&mut self, at: Duration) {
        if self.reactor.is_none_or(|slice| slice.name != DELIVERS) {
            self.begin_reactor_slice(at, DELIVERS);
        }
    }

    fn begin_reactor_slice(&mut self, at: Duration, name: &'static str) {
        self.end_reactor_slice(at);
        let from = at.max(self.reactor_until);
        let record = self.records.len();
        // Pushed now, without its duration: Perfetto binds an arrow to a slice that stands before it.
        self.push(from, REACTOR, String::new());
        self.reactor = Some(ReactorSlice { name, from, record });
        self.reactor_until = from;
    }

    fn end_reactor_slice(&mut self, at: Duration) {
        let Some(ReactorSlice { name, from, record }) = self.reactor.take() else {
            return;
        };
        self.reactor_until = at.max(self.reactor_until + SHORTEST);
        let lasts = Micros(self.reactor_until.saturating_sub(from));
        self.records[record].fields = format!(r#""ph":"X","name":"{name}","dur":{lasts}"#);
    }

    /// Notes that a task stands in the queue, and begins its arrow in the slice of its cause.
    fn queue(&mut self, event: &Event, task: Id, by: Option<Id>) {
        if self.queued.contains_key(&task) {
            return;
        }
        let in_poll = by.filter(|by| self.polling.is_some_and(|(polled, ..)| polled == *by));
        let (track, at) = if let Some(by) = in_poll {
            (self.track(by), event.at)
        } else {
            // No task is polled, so the cause is an event or a message. Its arrow begins in a slice of the reactor.
            self.deliver(event.at);
            // The slice must reach to the arrow, or Perfetto binds the arrow to no slice.
            self.reactor_until = self.reactor_until.max(event.at);
            (REACTOR, self.reactor_until)
        };
        let queued = Queued {
            since: event.at,
            arrow: event.seq,
            record: self.records.len(),
        };
        self.queued.insert(task, queued);
        self.arrow(at, track, 's', event.seq);
    }

    fn arrow(&mut self, at: Duration, track: usize, phase: char, number: u64) {
        // "bp":"e" binds the end of an arrow to the slice around it. Without that, Perfetto takes the next slice.
        let binds = if phase == 'f' { r#","bp":"e""# } else { "" };
        let fields = format!(r#""ph":"{phase}","id":{number},"name":"wake","cat":"wake"{binds}"#);
        self.push(at, track, fields);
    }

    fn poll_starts(&mut self, at: Duration, task: Id) {
        self.end_reactor_slice(at);
        let track = self.track(task);
        let queued = self.queued.remove(&task);
        if let Some(Queued { since, .. }) = queued {
            // A task that is woken while it is polled stands in the queue after that poll.
            let polled_until = self.polled_until.get(&task).copied();
            let from = since.max(polled_until.unwrap_or_default());
            let lasts = Micros(at.saturating_sub(from));
            self.push(
                from.min(at),
                track,
                format!(r#""ph":"X","name":"queued","dur":{lasts}"#),
            );
        }
        self.polling = Some((task, at, self.records.len()));
        // Pushed now, without its duration, so that it stands before its arrows. The end of the poll completes it.
        self.push(at, track, String::new());
        if let Some(Queued { arrow, .. }) = queued {
            self.arrow(at, track, 'f', arrow);
        }
    }

    fn poll_ends(&mut self, at: Duration, task: Id, ready: bool) {
        let Some((_, from, record)) = self.polling.take() else {
            // The ring has overwritten the begin of this poll.
            return;
        };
        let lasts = Micros(at.saturating_sub(from));
        self.records[record].fields =
            format!(r#""ph":"X","name":"poll","dur":{lasts},"args":{{"ready":{ready}}}"#);
        self.polled_until.insert(task, at);
    }

    fn job(&mut self, at: Duration, phase: char, job: u32) {
        // The ring may have overwritten the begin.
        let is_known = match phase {
            'b' => self.jobs.insert(job),
            _ => self.jobs.remove(&job),
        };
        if !is_known {
            return;
        }
        let fields = format!(r#""ph":"{phase}","id":{job},"name":"job {job}","cat":"job""#);
        self.push(at, JOBS, fields);
    }

    fn finish(mut self) -> String {
        let now = self.trace.now();
        self.end_reactor_slice(now);
        if let Some((task, ..)) = self.polling {
            self.poll_ends(now, task, false);
        }
        // An arrow without an end is left out.
        for queued in std::mem::take(&mut self.queued).into_values() {
            self.records[queued.record].fields.clear();
        }
        self.records.retain(|record| !record.fields.is_empty());
        // Stable: the records of one time stay in their order, in which a slice comes first.
        self.records.sort_by_key(|record| record.at);
        let mut json = String::with_capacity(120 * self.records.len() + 200);
        // Writing to a string does not fail.
        _ = self.write(&mut json);
        json
    }

    fn write(&self, json: &mut String) -> fmt::Result {
        let process = self.trace.runtime;
        json.push_str("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
        write!(
            json,
            r#"{{"ph":"M","pid":{process},"tid":0,"ts":0,"name":"process_name","args":{{"name":"waterwheel runtime {process}"}}}}"#
        )?;
        let own = [(REACTOR, "reactor".to_owned()), (JOBS, "jobs".to_owned())];
        let tasks = self.trace.tasks().iter().map(|task| {
            let name = task.name.as_deref().unwrap_or_default();
            let root = task.id.is_root().then_some("block_on");
            let id = root.map_or_else(|| task.id.to_string(), str::to_owned);
            format!("{id} {name}").trim_end().to_owned()
        });
        for (track, name) in own.into_iter().chain((FIRST_TASK..).zip(tasks)) {
            let name = JsonText(&name);
            write!(
                json,
                ",\n{{\"ph\":\"M\",\"pid\":{process},\"tid\":{track},\"ts\":0,\"name\":\"thread_name\",\"args\":{{\"name\":{name}}}}}"
            )?;
        }
        for Record { at, track, fields } in &self.records {
            let at = Micros(*at);
            write!(
                json,
                ",\n{{\"pid\":{process},\"tid\":{track},\"ts\":{at},{fields}}}"
            )?;
        }
        json.push_str("\n]}\n");
        Ok(())
    }
}

/// A time in microseconds, the unit of the format, with three decimal places.
struct Micros(Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write!(f, "{}.{:03}", nanos / 1000, nanos % 1000)
    }
}
