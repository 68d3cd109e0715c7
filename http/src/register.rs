//! All connections of a server: who is idle, since when, and how to reach them.
//!
//! # How it works
//!
//! One small record for each connection, in a slab. The connection itself holds only the key. A
//! request costs two stores: busy when it begins, idle when it has been answered. To close
//! connections from outside (for room, or for the end), their records are marked and their tasks
//! woken; what to do about it is the connection's own business.
//!
//! # Invariants
//!
//! - Always: a record for as long as its connection lives.
//! - Never: a waker woken or dropped while the slab is borrowed.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use slab::Slab;
use waterwheel_runtime::Notify;
use waterwheel_runtime::time::Instant;

/// Which connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(usize);

#[derive(Default)]
pub(crate) struct Register {
    records: RefCell<Slab<Record>>,
    /// How many wait for [`Register::settled`].
    watchers: Cell<usize>,
    changed: Notify,
}

struct Record {
    state: State,
    /// Asked to close as soon as nothing is under way.
    leaving: bool,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No request has come yet.
    New,
    /// A request has begun, if only with a part of its head, and has not been answered to the end.
    Busy,
    /// Answered, and nothing has come since.
    Idle { since: Instant },
}

/// How many connections are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// No request has come yet.
    pub(crate) new: usize,
    /// A request is under way.
    pub(crate) busy: usize,
    /// Between two requests.
    pub(crate) idle: usize,
}

impl Register {
    pub(crate) fn add(&self) -> Key {
        Key(self.records.borrow_mut().insert(Record {
            state: State::New,
            leaving: false,
            waker: None,
        }))
    }

    pub(crate) fn remove(&self, key: Key) {
        let record = self.records.borrow_mut().try_remove(key.0);
        drop(record);
        self.notify();
    }

    pub(crate) fn len(&self) -> usize {
        self.records.borrow().len()
    }

    /// A request has begun; says whether it is to be the last.
    pub(crate) fn busy(&self, key: Key) -> bool {
        let record = &mut self.records.borrow_mut()[key.0];
        record.state = State::Busy;
        record.leaving
    }

    /// All is answered, or nothing has come yet; says whether it is to leave.
    pub(crate) fn idle(&self, key: Key) -> bool {
        let (was_busy, leaving) = {
            let record = &mut self.records.borrow_mut()[key.0];
            let was_busy = record.state == State::Busy;
            if was_busy {
                record.state = State::Idle {
                    since: Instant::of_turn(),
                };
            }
            (was_busy, record.leaving)
        };
        if was_busy {
            self.notify();
        }
        leaving
    }

    /// This task is to be woken when something is wanted of the connection.
    pub(crate) fn reach(&self, key: Key, waker: &Waker) {
        let known = {
            let record = &self.records.borrow()[key.0];
            let known = record.waker.as_ref();
            known.is_some_and(|known| known.will_wake(waker))
        };
        if !known {
            let waker = waker.clone();
            let old = self.records.borrow_mut()[key.0].waker.replace(waker);
            drop(old);
        }
    }

    /// Asks up to `count` idle connections to leave, longest idle first; says how many.
    pub(crate) fn reclaim(&self, count: usize) -> usize {
        let mut idle: Vec<(Instant, usize)> = self.idle_since();
        let count = count.min(idle.len());
        if count == 0 {
            return 0;
        }
        idle.select_nth_unstable(count - 1);
        idle[..count].iter().for_each(|(_, key)| self.dismiss(*key));
        count
    }

    fn idle_since(&self) -> Vec<(Instant, usize)> {
        let records = self.records.borrow();
        let idle = records
            .iter()
            .filter_map(|(key, record)| match record.state {
                State::Idle { since } if !record.leaving => Some((since, key)),
                _ => None,
            });
        idle.collect()
    }

    /// Asks all to leave that have no request under way; says how many.
    pub(crate) fn dismiss_quiet(&self) -> usize {
        let quiet = self.keys(|record| record.state != State::Busy);
        quiet.iter().for_each(|key| self.dismiss(*key));
        quiet.len()
    }

    /// Wakes the tasks of all.
    pub(crate) fn wake_all(&self) -> usize {
        let all = self.keys(|_| true);
        all.iter().for_each(|key| self.dismiss(*key));
        all.len()
    }

    fn keys(&self, which: impl Fn(&Record) -> bool) -> Vec<usize> {
        let records = self.records.borrow();
        let keys = records.iter().filter(|(_, record)| which(record));
        keys.map(|(key, _)| key).collect()
    }

    fn dismiss(&self, key: usize) {
        let waker = {
            let record = &mut self.records.borrow_mut()[key];
            record.leaving = true;
            record.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn census(&self) -> Census {
        let mut census = Census::default();
        for (_, record) in self.records.borrow().iter() {
            match record.state {
                State::New => census.new += 1,
                State::Busy => census.busy += 1,
                State::Idle { .. } => census.idle += 1,
            }
        }
        census
    }

    /// Waits until the connections are as wanted. Costs a request nothing as long as nobody waits.
    pub(crate) async fn settled(&self, wanted: impl Fn(Census) -> bool) {
        let _watching = Watching::begin(&self.watchers);
        loop {
            let changed = self.changed.notified();
            if wanted(self.census()) {
                return;
            }
            changed.await;
        }
    }

    fn notify(&self) {
        if self.watchers.get() > 0 {
            self.changed.notify_all();
        }
    }
}

/// One more watcher, for as long as this lives.
struct Watching<'a>(&'a Cell<usize>);

impl<'a> Watching<'a> {
    fn begin(watchers: &'a Cell<usize>) -> Self {
        watchers.set(watchers.get() + 1);
        Self(watchers)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
