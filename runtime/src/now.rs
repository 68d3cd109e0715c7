//! The present, by the clock of the runtime this thread is inside.

use std::time::Duration;

use crate::context;
use crate::instant::Instant;
use crate::timers;

impl Instant {
    /// Returns the present time. It reads the clock, which takes about 25 ns.
    ///
    /// Inside a runtime whose clock is paused, this is the paused clock's time.
    #[must_use]
    pub fn now() -> Self {
        context::with_borrowed(|executor| executor.timers().now()).unwrap_or_else(Self::real)
    }

    /// Returns the time at which the runtime last read the clock: after its last look at the reactor, or
    /// when this thread entered it. This is a load from memory.
    ///
    /// It is never later than [`now`](Self::now). It is earlier by the time that tasks have held the thread
    /// since. Use it for deadlines that are far longer than a turn. Outside a runtime it is the same as
    /// `now`.
    #[must_use]
    #[inline]
    pub fn of_turn() -> Self {
        timers::of_turn().unwrap_or_else(Self::real)
    }

    /// Returns the time from this point to now; zero if it lies in the future.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}
