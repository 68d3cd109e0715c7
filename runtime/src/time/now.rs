//! The present, by the clock of the runtime this thread is inside.

use std::time::Duration;

use super::instant::Instant;
use super::timers;
use crate::context;

impl Instant {
    /// The present, exactly: reads the clock (about 25 ns).
    ///
    /// Inside a runtime whose clock is paused, this is the paused clock's time.
    #[must_use]
    pub fn now() -> Self {
        context::look(|executor| executor.timers().now()).unwrap_or_else(Self::real)
    }

    /// When the current turn of the loop began: a look into memory instead of at the clock.
    ///
    /// Never later than [`now`](Self::now). Right for deadlines that are far longer than a turn.
    /// Outside a runtime it is the same as `now`.
    #[must_use]
    #[inline]
    pub fn of_turn() -> Self {
        timers::of_turn().unwrap_or_else(Self::real)
    }

    /// The time since then; zero if it lies in the future.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}
