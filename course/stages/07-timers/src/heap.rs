//! Timers in a heap: the earliest deadline is always on top.
//!
//! The runtime does not use it. It is here for the comparison with the wheel.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::task::Waker;

/// Timers, sorted by deadline. A *tick* is a unit of time that the owner chooses.
#[derive(Default)]
pub struct Heap {
    /// `Reverse`, because a `BinaryHeap` has its greatest element on top.
    timers: BinaryHeap<Reverse<Timer>>,
    /// The number of insertions.
    inserted: u64,
}

struct Timer {
    deadline_tick: u64,
    /// The position in the order of insertions. Timers with the same deadline fire in this order.
    number: u64,
    waker: Waker,
}

impl Heap {
    /// Arms a timer.
    pub fn insert(&mut self, deadline_tick: u64, waker: Waker) {
        self.timers.push(Reverse(Timer {
            deadline_tick,
            number: self.inserted,
            waker,
        }));
        self.inserted += 1;
    }

    /// Returns the earliest deadline.
    pub fn next_deadline(&self) -> Option<u64> {
        // TODO 1: Peek at the top of the heap. (The type of an element is `Reverse<Timer>`, so the timer is its field `.0`.)
        todo!("TODO 1")
    }

    /// Moves the wakers of all timers whose deadline is not after `now_tick` into `due`, the earliest first.
    pub fn advance(&mut self, now_tick: u64, due: &mut Vec<Waker>) {
        // TODO 2: While the next deadline has come, pop the timer, and push its waker onto `due`.
        todo!("TODO 2")
    }

    /// Returns the number of timers.
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.deadline_tick, self.number).cmp(&(other.deadline_tick, other.number))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timer {}
