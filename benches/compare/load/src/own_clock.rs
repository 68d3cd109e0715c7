//! The clock of an open loop. It stands still while the generator does.
//!
//! An open loop never sleeps. It reads the clock before and after each step, and a step takes a few
//! microseconds. If a step takes much longer, the machine ran another program in place of the generator. That
//! time is not the server's, so it does not count: neither for the time when requests fall due, nor for their
//! latency. A stall of the server counts, because the generator reads the clock all the while.

use std::time::{Duration, Instant};

/// The longest step of the generator. A longer one was interrupted.
const STEP_MAX: Duration = Duration::from_micros(20);

/// Real time without the time that was taken from the generator.
pub(crate) struct OwnClock {
    /// Real time at the last reading.
    seen: Instant,
    /// The time that this clock showed then.
    shown: Instant,
    step_max: Duration,
}

impl OwnClock {
    fn new(step_max: Duration) -> Self {
        let now = Instant::now();
        Self {
            seen: now,
            shown: now,
            step_max,
        }
    }

    /// A clock that takes nothing off: for a generator that waits, or has longer steps.
    pub(crate) fn real() -> Self {
        Self::new(Duration::MAX)
    }

    /// The clock of a generator that never sleeps.
    pub(crate) fn spinning() -> Self {
        Self::new(STEP_MAX)
    }

    /// Ends a step. Returns the time of this clock.
    pub(crate) fn now(&mut self) -> Instant {
        self.at(Instant::now())
    }

    /// Returns the time of this clock at a real time.
    fn at(&mut self, real: Instant) -> Instant {
        let step = real.saturating_duration_since(self.seen);
        self.seen = real;
        self.shown += step.min(self.step_max);
        self.shown
    }

    /// Begins the loop. The time before is not a step.
    pub(crate) fn begin(&mut self) -> Instant {
        *self = Self::new(self.step_max);
        self.shown
    }

    /// Returns the time that was taken off since the beginning.
    pub(crate) fn lost(&self) -> Duration {
        self.seen.saturating_duration_since(self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::{OwnClock, STEP_MAX};
    use std::time::Duration;

    #[test]
    fn a_step_that_takes_too_long_is_taken_off_and_a_long_wait_in_short_steps_is_not() {
        let mut clock = OwnClock::spinning();
        let begun = clock.seen;
        for step in 1..=1_000 {
            let real = begun + STEP_MAX * step;
            assert_eq!(clock.at(real), real);
        }
        let stalled = clock.seen + Duration::from_millis(3);
        assert_eq!(clock.at(stalled), begun + STEP_MAX * 1_001);
        assert_eq!(clock.lost() + STEP_MAX, Duration::from_millis(3));
    }

    #[test]
    fn a_real_clock_loses_no_time() {
        let mut clock = OwnClock::real();
        let later = clock.seen + Duration::from_secs(3);
        assert_eq!(clock.at(later), later);
    }
}
