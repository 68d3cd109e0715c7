//! The executor's timers: the wheel and the clock.

use std::cell::RefCell;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::wheel::{Key, Wheel};

/// The timers of one runtime. A tick is a millisecond.
pub struct Timers {
    wheel: RefCell<Wheel>,
    /// The time of tick 0.
    origin: Instant,
}

impl Timers {
    pub fn new() -> Self {
        Self {
            wheel: RefCell::new(Wheel::new()),
            origin: Instant::now(),
        }
    }

    /// Arms a timer. Its waker is woken after the deadline has passed, and never before.
    pub fn insert(&self, deadline: Instant, waker: Waker) -> Key {
        // Rounded up, so that no timer fires too early.
        let nanos = deadline.saturating_duration_since(self.origin).as_nanos();
        let tick = u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.wheel.borrow_mut().insert(tick, waker)
    }

    /// Disarms a timer. Returns its waker, which the caller must drop.
    pub fn remove(&self, key: Key) -> Option<Waker> {
        self.wheel.borrow_mut().remove(key)
    }

    /// Returns the number of armed timers.
    pub fn len(&self) -> usize {
        self.wheel.borrow().len()
    }

    /// Returns the time until the next deadline, or `None` if no timer is armed.
    pub fn until_next(&self) -> Option<Duration> {
        let tick = self.wheel.borrow().next_deadline()?;
        let deadline = self.origin.checked_add(Duration::from_millis(tick))?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Reads the clock, moves the wheel to its time, and appends the wakers of the due timers to `due`.
    pub fn advance(&self, due: &mut Vec<Waker>) {
        // Rounded down, for the same reason.
        let now_tick = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.wheel.borrow_mut().advance(now_tick, due);
    }
}
