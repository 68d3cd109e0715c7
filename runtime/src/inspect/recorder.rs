//! The reading end of a ring.
//!
//! # How it works
//!
//! A recorder shares the ring with the runtime. A read takes no lock that the runtime waits for, so it works also while
//! a task holds the runtime's thread.
//!
//! # Invariants
//!
//! - Never: a wait for the runtime.

use std::fmt;
use std::panic::Location;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::dump::Dump;
use super::event::{CancelCause, Event};
use super::explain::Explain;
use super::flight;
use super::options::Options;
use super::ring::RawEvent;
use super::shared::{Inspected, all, list};
use super::trace::Trace;
use super::writer::{EventWriter, code, word};
use crate::board::{Board, LongPoll};
use crate::causes::Reason;
use crate::points;
use crate::runtime_builder::RuntimeBuilder;

/// Reads the events of a runtime, from any thread.
///
/// It keeps the ring alive, and so works after the end of the runtime.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect::{self, Recorder}};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let recorder: Recorder = runtime.block_on(async { inspect::recorder().unwrap() });
/// drop(runtime);
/// let reader = std::thread::spawn(move || recorder.trace());
/// assert!(reader.join().unwrap().events().len() > 2);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Recorder {
    pub(crate) inspected: Arc<Inspected>,
}

/// Returns the recorder of the runtime that this thread is inside. Returns `None` outside a runtime, and if the
/// runtime was made without [`RuntimeBuilder::inspect`](crate::RuntimeBuilder::inspect).
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, inspect};
///
/// assert!(block_on(async { inspect::recorder() }).is_none());
/// ```
#[must_use]
pub fn recorder() -> Option<Recorder> {
    // The thread-local has the receiver only as a trait, because the core does not know this module.
    let reporter = points::reporter()?;
    let writer: &EventWriter = reporter.as_any().downcast_ref()?;
    Some(Recorder {
        inspected: writer.inspected.clone(),
    })
}

/// Returns the recorders of all runtimes of this process that record, the oldest first. A runtime that has ended is
/// among them as long as a recorder of it is kept.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let own = runtime.block_on(async { inspect::recorder().unwrap().runtime() });
/// assert!(inspect::recorders().iter().any(|recorder| recorder.runtime() == own));
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn recorders() -> Vec<Recorder> {
    let recorder = |inspected| Recorder { inspected };
    all().into_iter().map(recorder).collect()
}

/// Records that a future in the present task is about to be dropped before it is ready. The place of the event is that
/// of the call. Has no effect outside a poll, and in a runtime that does not record.
///
/// The runtime records its own causes: aborts, lost races, timeouts, and its end. This function is for libraries that
/// know another one, for example a server whose client has gone.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect::{self, CancelCause, EventKind}};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let trace = runtime.block_on(async {
///     inspect::cancelled(CancelCause::ClientGone);
///     inspect::recorder().unwrap().trace()
/// });
/// let cancel = trace.events().last().unwrap();
/// assert!(matches!(cancel.kind, EventKind::Cancel { cause: CancelCause::ClientGone, .. }));
/// # std::io::Result::Ok(())
/// ```
#[track_caller]
pub fn cancelled(cause: CancelCause) {
    let reason = match cause {
        CancelCause::Abort => Reason::Abort,
        CancelCause::RaceLost => Reason::RaceLost,
        CancelCause::Timeout => Reason::Timeout,
        CancelCause::ClientGone => Reason::ClientGone,
        CancelCause::Shutdown => Reason::Shutdown,
        CancelCause::Drop => Reason::Drop,
    };
    points::part_cancelled(reason, Some(Location::caller()));
}

impl Recorder {
    /// Returns the number of the runtime in its process, the first part of each [task's id](crate::task::Id).
    #[must_use]
    pub fn runtime(&self) -> u32 {
        self.inspected.runtime
    }

    /// Makes a dump of the runtime: its tasks, and why each of them waits. This works from any thread, also while a poll
    /// holds the runtime's thread; see [`Dumper::dump`](super::Dumper::dump).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
    /// runtime.spawn(std::future::pending::<()>()).detach();
    /// assert_eq!(recorder.dump().tasks(), 1);
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn dump(&self) -> Dump {
        let board = self.inspected.board.get();
        board.map_or_else(Dump::default, |board| Dump::of(board))
    }

    /// Copies all events that the ring has.
    ///
    /// The copy of a full ring takes about a millisecond, on the thread that calls this. The runtime does not wait.
    #[must_use]
    pub fn trace(&self) -> Trace {
        Trace::of(&self.inspected, 0)
    }

    /// Returns the number that the next event will have, for [`trace_since`](Self::trace_since).
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.inspected.ring.written()
    }

    /// Copies the events from this number on. The overflow of the copy counts only these.
    ///
    /// # Examples
    ///
    /// A test counts the wakes of one step:
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect, spawn, yield_now};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// runtime.block_on(async {
    ///     let recorder = inspect::recorder().unwrap();
    ///     let begin = recorder.next_seq();
    ///     let task = spawn(yield_now());
    ///     let id = task.id();
    ///     task.await.unwrap();
    ///     recorder.trace_since(begin).assert_wakes_at_most(id, 1);
    /// });
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn trace_since(&self, seq: u64) -> Trace {
        Trace::of(&self.inspected, seq)
    }

    /// Returns an iterator over the events that come after this call.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
    /// let mut events = recorder.subscribe();
    /// runtime.spawn(async {}).detach();
    /// assert!(events.next().is_some());
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Events {
        Events {
            inspected: self.inspected.clone(),
            next: self.next_seq(),
            missed: 0,
        }
    }
}

impl RuntimeBuilder {
    /// Records the events of the runtime. [`inspect`](crate::inspect) reads them. This includes
    /// [`explain`](Self::explain), with its default settings if it was not called.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// assert!(runtime.block_on(async { inspect::recorder() }).is_some());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn inspect(mut self, options: Options) -> Self {
        // A trace without the tree of a long poll would show that it is long, and not where.
        if !self.settings.tracker.is_on() {
            self = self.explain(Explain::default());
        }
        let board = self.settings.tracker.board().cloned();
        // A closure, because the number of the runtime is known only when it opens.
        self.settings.reports = Some(Box::new(move |runtime, unpark| {
            let inspected = Inspected::new(runtime.number(), options.events, unpark);
            let inspected = Arc::new(inspected);
            if let Some(board) = board {
                link(&inspected, board);
            }
            list(&inspected);
            if let Some(flight) = options.flight {
                flight::start(flight, &inspected);
            }
            if let Some((file, events_max)) = options.at_end {
                inspected.set_at_end(Box::new(move |inspected| {
                    write_at_end(inspected, &file, events_max);
                }));
            }
            Rc::new(EventWriter::new(inspected))
        }));
        self
    }
}

/// Lets a recorder make dumps. Lets the watchdog write an event for each long poll, and trigger the flight recorder.
fn link(inspected: &Arc<Inspected>, board: Arc<Board>) {
    // Weak, because the recorder has the board.
    let weak = Arc::downgrade(inspected);
    let hook = move |poll: &LongPoll| {
        let Some(inspected) = weak.upgrade() else {
            return;
        };
        let place = poll.site.or(poll.task_site);
        inspected.leave(RawEvent {
            code: code::LONG_POLL,
            task: word(poll.task),
            other: poll.nanos,
            extra: place
                .map_or(0, |place| inspected.place_number(place))
                .into(),
            ..RawEvent::default()
        });
        inspected.trigger("long poll");
    };
    // A runtime has one board and one recorder, so both places are empty.
    _ = board.on_long_poll.set(Box::new(hook));
    _ = inspected.board.set(board);
}

/// Writes the files at the end of a runtime.
fn write_at_end(inspected: &Arc<Inspected>, file: &Path, events_max: usize) {
    let trace = Trace::newest(inspected, events_max);
    // The first runtime of most programs is the only one, and has the plain name.
    let number = match inspected.runtime {
        1 => String::new(),
        runtime => format!("{runtime}."),
    };
    let json = file.with_extension(format!("{number}json"));
    let perfetto = file.with_extension(format!("{number}perfetto.json"));
    let written = flight::write_file(&json, &trace.to_json())
        .and_then(|()| flight::write_file(&perfetto, &trace.to_trace_events()))
        .and_then(|()| match file.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("html") => {
                let html = file.with_extension(format!("{number}html"));
                flight::write_file(&html, &trace.to_html())
            }
            _ => Ok(()),
        });
    if let Err(error) = written {
        tracing::warn!("the trace was not written to {}: {error}", json.display());
    }
}

impl Recorder {
    /// Lets the [flight recorder](super::Flight) write the newest events, with this reason. Returns false if the
    /// runtime has none, or if it has written within [the shortest time](super::Flight::every).
    ///
    /// It works on any thread. The calling thread only copies the events.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
    /// assert!(!recorder.trigger("slow request")); // it has no flight recorder
    /// # std::io::Result::Ok(())
    /// ```
    pub fn trigger(&self, reason: &str) -> bool {
        self.inspected.trigger(reason)
    }
}

/// Lets the flight recorder of the runtime that this thread is inside write the newest events; see
/// [`Recorder::trigger`]. Returns false outside such a runtime.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::inspect;
///
/// assert!(!inspect::trigger("outside of all runtimes"));
/// ```
pub fn trigger(reason: &str) -> bool {
    recorder().is_some_and(|recorder| recorder.trigger(reason))
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("runtime", &self.runtime())
            .finish_non_exhaustive()
    }
}

/// The new events of a runtime, as they come.
///
/// `next` returns `None` if there is no new event at present. Later it returns the next one. So ask again after a
/// while, for example ten times a second. A reader that is too slow misses events, and [`missed`](Self::missed)
/// counts them. The events of other threads come late: their times may lie before that of the event before them.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let mut events: inspect::Events = runtime.block_on(async { inspect::recorder().unwrap().subscribe() });
/// while events.next().is_some() {} // the end of that poll
/// runtime.spawn(async {}).detach();
/// assert!(events.next().is_some() && events.next().is_none());
/// assert_eq!(events.missed(), 0);
/// # std::io::Result::Ok(())
/// ```
pub struct Events {
    inspected: Arc<Inspected>,
    next: u64,
    missed: u64,
}

impl Events {
    /// Returns the number of events that were overwritten before this reader came to them.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let ring = &self.inspected.ring;
        while self.next < ring.written() {
            // The writer may have overtaken this reader.
            let skipped = ring.oldest().saturating_sub(self.next);
            self.next += skipped;
            self.missed += skipped;
            let seq = self.next;
            let Some(raw) = ring.read(seq) else {
                // Overwritten since the line above, so the loop skips it.
                continue;
            };
            self.next += 1;
            if let Some(event) = Event::of(&self.inspected, seq, raw) {
                return Some(event);
            }
        }
        None
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("next", &self.next)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Recorder>();
    assert_send_sync::<Events>();
    assert_send_sync::<Trace>();
};
