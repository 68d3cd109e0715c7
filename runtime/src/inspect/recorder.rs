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
use std::sync::Arc;

use super::event::Event;
use super::shared::Inspected;
use super::trace::Trace;
use crate::points;

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
    points::inspected().map(|inspected| Recorder { inspected })
}

impl Recorder {
    /// Returns the number of the runtime in its process, the first part of each [task's id](crate::task::Id).
    #[must_use]
    pub fn runtime(&self) -> u32 {
        self.inspected.runtime
    }

    /// Copies all events that the ring has.
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
    #[must_use]
    pub fn subscribe(&self) -> Events {
        Events {
            inspected: self.inspected.clone(),
            next: self.next_seq(),
            missed: 0,
        }
    }
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
/// counts them.
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
