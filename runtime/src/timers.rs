//! The executor's timers: the wheel, the clock, and the time at which this turn began.
//!
//! # How it works
//!
//! The beginning of the turn is asked for several times in each request, so it stands in a
//! thread-local of its own while the thread is inside the runtime: a look at it is a load.
//!
//! # Invariants
//!
//! - Never: a waker woken or dropped while the wheel is borrowed.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Duration;

use crate::instant::{Clock, Instant, NANOS_PER_TICK};
use crate::panics;
use crate::wheel::{Key, Wheel};

thread_local! {
    /// When the turn began, of the runtime this thread is inside.
    static TURN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// When the turn began; `None` outside a runtime.
pub(crate) fn of_turn() -> Option<Instant> {
    TURN.get()
}

/// Sets the turn's time on the way into a runtime, or out of it. Returns the time that was there before.
pub(crate) fn enter(turn: Option<Instant>) -> Option<Instant> {
    TURN.replace(turn)
}

pub(crate) struct Timers {
    wheel: RefCell<Wheel>,
    clock: Clock,
    /// The same time, kept while no thread is inside the runtime.
    turn: Cell<Instant>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        let clock = Clock::default();
        let turn = Cell::new(clock.now());
        Self {
            wheel: RefCell::new(Wheel::new()),
            clock,
            turn,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Reads the clock for a turn that begins now. The wheel moves at the next
    /// [`advance`](Self::advance).
    pub(crate) fn read_clock(&self) -> Instant {
        let now = self.clock.now();
        self.turn.set(now);
        now
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Stops the clock. The turn goes on with the time at which it stands.
    pub(crate) fn pause(&self) {
        self.clock.pause();
        TURN.set(Some(self.read_clock()));
    }

    /// Enters a deadline; the waker is woken once it has passed, never before.
    pub(crate) fn insert(&self, deadline: Instant, waker: Waker) -> Key {
        self.wheel.borrow_mut().insert(deadline.tick_ceil(), waker)
    }

    /// Moves a deadline; the waker stays. Has no effect if the entry has fired or was removed.
    pub(crate) fn reschedule(&self, key: Key, deadline: Instant) {
        let mut wheel = self.wheel.borrow_mut();
        wheel.reschedule(key, deadline.tick_ceil());
    }

    /// Drops all deadlines, for the end of the runtime.
    pub(crate) fn clear(&self) {
        let wakers = self.wheel.borrow_mut().clear();
        wakers.for_each(panics::discard);
    }

    /// Takes a deadline out, and returns its waker to be dropped.
    pub(crate) fn remove(&self, key: Key) -> Option<Waker> {
        self.wheel.borrow_mut().remove(key)
    }

    /// Returns true if that entry is still to come, and will wake exactly this waker's task.
    pub(crate) fn will_wake(&self, key: Key, waker: &Waker) -> bool {
        self.wheel
            .borrow()
            .waker(key)
            .is_some_and(|waiting| waiting.will_wake(waker))
    }

    /// Returns how long the loop may wait for the next deadline.
    ///
    /// The kernel waits for whole milliseconds, and mio rounds up. A wait that is longer than a number of
    /// milliseconds by less than a tick is rounded down here: the tick has rounded the deadline up
    /// already, and the kernel adds its slack of 50 µs (`prctl(2)`, `PR_SET_TIMERSLACK`).
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let tick = self.wheel.borrow().next_deadline()?;
        let nanos = Instant::of_tick(tick).nanos_since(self.now());
        // Shorter by a tick: mio's rounding makes up for it, unless less than a tick was over.
        let shorter = nanos.checked_sub(NANOS_PER_TICK).filter(|nanos| *nanos > 0);
        Some(Duration::from_nanos(shorter.unwrap_or(nanos)))
    }

    /// Begins a turn: reads the clock, and moves the wakers of all that is due into `due`.
    pub(crate) fn advance(&self, due: &mut Vec<Waker>) {
        let now = self.read_clock();
        TURN.set(Some(now));
        self.wheel.borrow_mut().advance(now.tick_floor(), due);
    }

    /// Moves a paused clock to the next deadline, but not beyond `end`. Returns false once it is there.
    pub(crate) fn step_towards(&self, end: Instant) -> bool {
        let next = self.wheel.borrow_mut().deadline_until(end.tick_floor());
        let to = next.map_or(end, Instant::of_tick);
        self.clock.advance_to(to);
        to < end
    }

    /// Moves a paused clock to the next deadline, if there is one. [`Instant::FAR_FUTURE`] is none.
    pub(crate) fn skip_to_next(&self) {
        let last = Instant::FAR_FUTURE.tick_floor();
        let next = self.wheel.borrow_mut().deadline_until(last);
        if let Some(tick) = next {
            self.clock.advance_to(Instant::of_tick(tick));
        }
    }
}
