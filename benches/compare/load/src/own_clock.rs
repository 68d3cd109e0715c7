//! The clock of an open loop, which stands still while the generator does.
//!
//! An open loop never sleeps: it looks at the clock before and after each thing it does, and each takes a
//! few microseconds. Where much more time has passed, the machine ran something else in its place. That
//! says nothing of the server, so it is taken off: from when requests fall due, and from how long they
//! waited. A server's own stall stays, since the generator looks at the clock all the while.

use std::time::{Duration, Instant};

/// The longest that one thing the generator does may take; what is beyond is not its own doing.
const STEP_MAX: Duration = Duration::from_micros(20);

/// Real time, without the time that was taken from the generator.
pub(crate) struct OwnClock {
    /// Real time at the last look.
    seen: Instant,
    /// What this clock showed then.
    shown: Instant,
    step_max: Duration,
}

impl OwnClock {
    /// A clock that loses nothing: for a generator that waits, or has more to do in a step.
    pub(crate) fn real() -> Self {
        let now = Instant::now();
        Self {
            seen: now,
            shown: now,
            step_max: Duration::MAX,
        }
    }

    /// The clock of a generator that is never done looking at it.
    pub(crate) fn spinning() -> Self {
        Self {
            step_max: STEP_MAX,
            ..Self::real()
        }
    }

    /// Now, by this clock; ends a step.
    pub(crate) fn now(&mut self) -> Instant {
        self.at(Instant::now())
    }

    /// Ends a step.
    pub(crate) fn look(&mut self) {
        self.now();
    }

    /// What this clock shows at a real time.
    fn at(&mut self, real: Instant) -> Instant {
        let step = real.saturating_duration_since(self.seen);
        self.seen = real;
        self.shown += step.min(self.step_max);
        self.shown
    }

    /// Begins the loop: what was before it is no step.
    pub(crate) fn begin(&mut self) -> Instant {
        self.seen = Instant::now();
        self.shown = self.seen;
        self.shown
    }

    /// The time that was taken off since the beginning.
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
    fn a_real_clock_loses_nothing() {
        let mut clock = OwnClock::real();
        let later = clock.seen + Duration::from_secs(3);
        assert_eq!(clock.at(later), later);
    }
}
