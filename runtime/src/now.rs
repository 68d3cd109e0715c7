//! The present time, by the clock of the runtime that this thread is inside.
//!
//! # How it works
//!
//! [`Instant`] itself stands below the executor, in `instant`. These methods need the runtime of the thread,
//! so they stand above it.
//!
//! # Invariants
//!
//! - Always: [`Instant::of_turn`] is not later than [`Instant::now`].

use std::time::Duration;

use crate::context;
use crate::instant::Instant;
use crate::timers;

impl Instant {
    /// Returns the present time. This reads the clock, which takes about 25 ns.
    ///
    /// Inside a runtime whose clock is paused, it returns the time of that clock.
    #[must_use]
    pub fn now() -> Self {
        context::with_borrowed(|executor| executor.timers().now()).unwrap_or_else(Self::real)
    }

    /// Returns the time at which the runtime last read the clock: after its last wait for events, or when this
    /// thread entered it. This is a load from memory.
    ///
    /// It is never later than [`now`](Self::now). It is earlier by the time for which tasks have held the
    /// thread since then. Use it for deadlines that are far longer than a turn. Outside a runtime it is the
    /// same as `now`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::{block_on, time::Instant};
    ///
    /// block_on(async {
    ///     let deadline = Instant::of_turn() + Duration::from_secs(30);
    ///     std::thread::sleep(Duration::from_millis(2)); // the turn goes on
    ///     assert!(Instant::of_turn() < Instant::now());
    ///     assert!(deadline > Instant::now());
    /// });
    /// ```
    #[must_use]
    #[inline]
    pub fn of_turn() -> Self {
        timers::of_turn().unwrap_or_else(Self::real)
    }

    /// Returns the time from this point to now. Returns zero if this point is in the future.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}
