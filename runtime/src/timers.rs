//! The executor's timers: the wheel, the clock, and the time of the present turn.
//!
//! # How it works
//!
//! A request reads the time of the turn several times. So it is in a thread-local of its own while the thread
//! is inside the runtime, and to read it is a load.
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
    /// The time of the turn, for the runtime that this thread is inside.
    static TURN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns the time at which the runtime last read the clock. Returns `None` outside a runtime.
pub(crate) fn of_turn() -> Option<Instant> {
    TURN.get()
}

/// Sets the time of the turn, when the thread enters a runtime or leaves it. Returns the time before.
pub(crate) fn enter(turn: Option<Instant>) -> Option<Instant> {
    TURN.replace(turn)
}

/// The timers of one runtime.
pub(crate) struct Timers {
    wheel: RefCell<Wheel>,
    clock: Clock,
    /// The time of the turn. The thread-local has a copy while a thread is inside the runtime.
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

    /// Reads the clock and stores its time as that of the turn. The wheel does not move.
    pub(crate) fn read_clock(&self) -> Instant {
        let now = self.clock.now();
        self.turn.set(now);
        now
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Stops the clock. The time of the turn is then that of the clock.
    pub(crate) fn pause(&self) {
        if !self.clock.is_paused() {
            self.clock.pause();
            // A paused clock stops at each deadline exactly, so its ticks are nanoseconds.
            self.wheel.borrow_mut().divide_ticks(NANOS_PER_TICK);
        }
        // Both copies follow at once, because tasks of this turn may go on to read them.
        TURN.set(Some(self.read_clock()));
    }

    /// Arms a timer. The executor wakes its waker after the deadline has passed, and never before.
    pub(crate) fn insert(&self, deadline: Instant, waker: Waker) -> Key {
        self.wheel
            .borrow_mut()
            .insert(self.clock.tick_ceil(deadline), waker)
    }

    /// Moves a timer to another deadline. Its waker stays. Has no effect if it has fired or was removed.
    pub(crate) fn reschedule(&self, key: Key, deadline: Instant) {
        let mut wheel = self.wheel.borrow_mut();
        wheel.reschedule(key, self.clock.tick_ceil(deadline));
    }

    /// Drops the wakers of all timers, because the runtime ends.
    pub(crate) fn clear(&self) {
        let wakers = self.wheel.borrow_mut().clear();
        wakers.for_each(panics::discard);
    }

    /// Takes back a time for which the runtime was stopped.
    pub(crate) fn fall_behind(&self, duration: Duration) {
        self.clock.fall_behind(duration);
    }

    /// Returns the nanoseconds from a tick to the time of the turn.
    pub(crate) fn nanos_since_tick(&self, tick: u64) -> u64 {
        self.turn.get().nanos_since(self.clock.of_tick(tick))
    }

    /// Disarms a timer. Returns its waker, which the caller must drop.
    pub(crate) fn remove(&self, key: Key) -> Option<Waker> {
        self.wheel.borrow_mut().remove(key)
    }

    /// Returns true if this timer has not fired, and will wake this waker's task.
    pub(crate) fn will_wake(&self, key: Key, waker: &Waker) -> bool {
        self.wheel
            .borrow()
            .waker(key)
            .is_some_and(|waiting| waiting.will_wake(waker))
    }

    /// Returns true if the wheel has the entry, which means that it has not fired.
    pub(crate) fn contains(&self, key: Key) -> bool {
        self.wheel.borrow().waker(key).is_some()
    }

    /// Returns the time that the executor may wait for the next deadline.
    ///
    /// `epoll_wait` waits for whole milliseconds, and mio rounds up to them. This function subtracts a tick (1/32
    /// ms) before that (LOG R15):
    ///
    /// - *Case A: 3.02 ms are left.* The wait is 3 ms, and not 4 ms.
    /// - *Case B: 3.5 ms are left.* The wait is 4 ms, as without the subtraction.
    ///
    /// The wait of case A usually does not end too early: the kernel adds its slack of 50 µs (`prctl(2)`,
    /// `PR_SET_TIMERSLACK`), which is longer than a tick. If it does, the next turn waits again.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let tick = self.wheel.borrow().next_deadline()?;
        let nanos = self.clock.of_tick(tick).nanos_since(self.now());
        // A rest of at most a tick stays: a wait of zero would not wait at all.
        let shorter = nanos.checked_sub(NANOS_PER_TICK).filter(|nanos| *nanos > 0);
        Some(Duration::from_nanos(shorter.unwrap_or(nanos)))
    }

    /// Reads the clock, moves the wheel to its time, and appends the wakers of the due timers to `due`.
    pub(crate) fn advance(&self, due: &mut Vec<Waker>) {
        let now = self.read_clock();
        TURN.set(Some(now));
        let now_tick = self.clock.tick_floor(now);
        self.wheel.borrow_mut().advance(now_tick, due);
    }

    /// Moves a paused clock to the next deadline, but not beyond `end`. Returns false if it has reached `end`.
    pub(crate) fn step_towards(&self, end: Instant) -> bool {
        let end_tick = self.clock.tick_floor(end);
        let next = self.wheel.borrow_mut().deadline_until(end_tick);
        let to = next.map_or(end, |tick| self.clock.of_tick(tick));
        self.clock.advance_to(to);
        to < end
    }

    /// Moves a paused clock to the next deadline, if there is one. [`Instant::FAR_FUTURE`] does not count.
    pub(crate) fn skip_to_next(&self) {
        // A sleep until the far future means "never". A clock that moved there could not move any further.
        let last = self.clock.tick_ceil(Instant::FAR_FUTURE) - 1;
        let next = self.wheel.borrow_mut().deadline_until(last);
        if let Some(tick) = next {
            self.clock.advance_to(self.clock.of_tick(tick));
        }
    }
}
