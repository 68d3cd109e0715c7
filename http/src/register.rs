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

use std::cell::RefCell;
use std::task::Waker;

use slab::Slab;
use waterwheel_runtime::time::Instant;

/// Which connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(usize);

#[derive(Default)]
pub(crate) struct Register {
    records: RefCell<Slab<Record>>,
}

struct Record {
    state: State,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A request has begun and has not been answered to the end; or none has come yet.
    Busy,
    /// Answered, and nothing has come since.
    Idle { since: Instant },
    /// Asked to close as soon as nothing is under way.
    Leaving,
}

impl Register {
    pub(crate) fn add(&self) -> Key {
        Key(self.records.borrow_mut().insert(Record {
            state: State::Busy,
            waker: None,
        }))
    }

    pub(crate) fn remove(&self, key: Key) {
        let record = self.records.borrow_mut().try_remove(key.0);
        drop(record);
    }

    pub(crate) fn len(&self) -> usize {
        self.records.borrow().len()
    }

    pub(crate) fn state(&self, key: Key) -> State {
        self.records.borrow()[key.0].state
    }

    /// A request has begun.
    pub(crate) fn busy(&self, key: Key) {
        let record = &mut self.records.borrow_mut()[key.0];
        if record.state != State::Leaving {
            record.state = State::Busy;
        }
    }

    /// All is answered; this task is to be woken when the connection is asked to leave.
    pub(crate) fn idle(&self, key: Key, waker: &Waker) {
        let known = {
            let record = &mut self.records.borrow_mut()[key.0];
            if record.state == State::Busy {
                record.state = State::Idle {
                    since: Instant::of_turn(),
                };
            }
            record
                .waker
                .as_ref()
                .is_some_and(|known| known.will_wake(waker))
        };
        if !known {
            let waker = waker.clone();
            let old = self.records.borrow_mut()[key.0].waker.replace(waker);
            drop(old);
        }
    }

    /// Asks up to `count` idle connections to leave, longest idle first; says how many.
    pub(crate) fn reclaim(&self, count: usize) -> usize {
        let mut idle: Vec<(Instant, usize)> = self.idle_since().collect();
        let count = count.min(idle.len());
        if count == 0 {
            return 0;
        }
        idle.select_nth_unstable(count - 1);
        idle[..count].iter().for_each(|(_, key)| self.dismiss(*key));
        count
    }

    fn idle_since(&self) -> impl Iterator<Item = (Instant, usize)> {
        let records = self.records.borrow();
        let idle: Vec<_> = records
            .iter()
            .filter_map(|(key, record)| match record.state {
                State::Idle { since } => Some((since, key)),
                State::Busy | State::Leaving => None,
            })
            .collect();
        idle.into_iter()
    }

    fn dismiss(&self, key: usize) {
        let waker = {
            let record = &mut self.records.borrow_mut()[key];
            record.state = State::Leaving;
            record.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
