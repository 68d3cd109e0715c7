//! Points in time, and the clock of a runtime.
//!
//! # How it works
//!
//! An [`Instant`] is a number of nanoseconds since this process first read the clock. It takes eight bytes and
//! reaches 584 years. Inside a runtime, [`Instant::now`] reads the runtime's clock, which a test can pause.
//! Then two callers move it: [`advance`](crate::time::advance), and the executor if all tasks wait.
//!
//! # Invariants
//!
//! - Always: a runtime's clock is monotonic, whether it runs or is paused.

use std::cell::Cell;
use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;
use std::time::Duration;

/// A point in time, by the clock of the runtime that this thread is inside.
///
/// It takes eight bytes, and instants can be compared. An addition saturates at
/// [`FAR_FUTURE`](Self::FAR_FUTURE), 584 years after the start of the process. A subtraction saturates at the
/// start of the process.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::time::Instant;
///
/// let start = Instant::now();
/// assert!(start + Duration::from_secs(1) > start);
/// assert!(start.elapsed() < Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    nanos: u64,
}

impl Instant {
    /// The last point in time. No clock reaches it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::time::Instant;
    ///
    /// // A deadline for work that has none.
    /// let limit: Option<Duration> = None;
    /// let deadline = limit.map_or(Instant::FAR_FUTURE, |limit| Instant::now() + limit);
    /// assert!(deadline > Instant::now() + Duration::from_secs(3600));
    /// ```
    pub const FAR_FUTURE: Self = Self { nanos: u64::MAX };

    /// Returns the time from `earlier` to this point. Returns zero if `earlier` is later.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::time::Instant;
    ///
    /// let start = Instant::now();
    /// let end = start + Duration::from_secs(2);
    /// assert_eq!(end.saturating_duration_since(start), Duration::from_secs(2));
    /// assert_eq!(start.saturating_duration_since(end), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// Returns the nanoseconds from `earlier` to this point. Returns zero if `earlier` is later.
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.nanos.saturating_sub(earlier.nanos)
    }

    /// Returns the time of the machine's monotonic clock.
    pub(crate) fn real() -> Self {
        Self {
            nanos: nanos(origin().elapsed()),
        }
    }
}

#[cfg(feature = "inspect")]
impl Clock {
    /// Returns the time of a paused clock, and the nanoseconds by which a clock that runs is behind the real one.
    pub(crate) fn relation(&self) -> (Option<Instant>, u64) {
        match self.mode.get() {
            ClockMode::Real => (None, 0),
            ClockMode::Paused(at) => (Some(at), 0),
            ClockMode::Behind(nanos) => (None, nanos),
        }
    }
}

#[cfg(feature = "inspect")]
impl Instant {
    /// Returns the nanoseconds since this process first read the clock.
    pub(crate) fn as_nanos(self) -> u64 {
        self.nanos
    }
}

/// The length of a tick while the clock runs: 1/32 of a millisecond.
///
/// mio rounds a wait up to a whole millisecond. If a tick were as long, a deadline would be rounded up twice
/// (LOG R15).
pub(crate) const NANOS_PER_TICK: u64 = 31_250;

/// Returns the point from which this process counts.
fn origin() -> std::time::Instant {
    // An offset from the first reading fits into 64 bits. The standard library's `Instant` takes 16 bytes.
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    *ORIGIN.get_or_init(std::time::Instant::now)
}

/// The same point on the clock of the standard library. With a paused clock, it is the point that this clock shows,
/// and not the real time.
impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> Self {
        let origin = origin();
        // It fails for no instant on Linux. Elsewhere, a far point is as good as another one.
        let far = || origin + Duration::from_secs(u64::from(u32::MAX));
        origin
            .checked_add(Duration::from_nanos(instant.nanos))
            .unwrap_or_else(far)
    }
}

/// The same point on the clock of the runtime. A point before the start of the process becomes the start.
impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Self {
        Self {
            nanos: nanos(instant.saturating_duration_since(origin())),
        }
    }
}

/// Returns the nanoseconds of a duration, at most those of [`Instant::FAR_FUTURE`].
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self {
            nanos: self.nanos.saturating_add(nanos(duration)),
        }
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(nanos(duration)),
        }
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Returns the same as [`Instant::saturating_duration_since`].
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// The relation of a runtime's clock to the real one. One field for all three, so that the usual clock costs one
/// comparison.
#[derive(Clone, Copy, Default)]
enum ClockMode {
    #[default]
    Real,
    /// It stands at this point, and a test moves it.
    Paused(Instant),
    /// It runs, but has stood for this many nanoseconds, because the runtime was stopped.
    Behind(u64),
}

/// The clock of a runtime.
#[derive(Default)]
pub(crate) struct Clock {
    mode: Cell<ClockMode>,
}

impl Clock {
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self.mode.get() {
            ClockMode::Real => Instant::real(),
            ClockMode::Paused(at) => at,
            ClockMode::Behind(nanos) => Self::behind(nanos),
        }
    }

    #[cold] // A second look at the real clock made each turn a call. // LOG S5
    fn behind(nanos: u64) -> Instant {
        Instant {
            nanos: Instant::real().nanos.saturating_sub(nanos),
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.mode.get(), ClockMode::Paused(_))
    }

    /// Pauses the clock at the beginning of a tick. Timers from before the pause are due at whole ticks. So the time
    /// from the pause to each of them is the same in each run of a test.
    pub(crate) fn pause(&self) {
        let at = self.of_tick(self.tick_ceil(self.now()));
        self.mode.set(ClockMode::Paused(at));
    }

    /// Takes back a time for which the runtime was stopped. Has no effect on a paused clock.
    pub(crate) fn fall_behind(&self, duration: Duration) {
        let before = match self.mode.get() {
            ClockMode::Real => 0,
            ClockMode::Behind(nanos) => nanos,
            ClockMode::Paused(_) => return,
        };
        self.mode.set(ClockMode::Behind(before + nanos(duration)));
    }

    /// Returns the wheel's first tick that begins at this point or later. A deadline is rounded up to it.
    ///
    /// With a paused clock, a tick is a nanosecond. So timers fire in the order of their deadlines, and exactly
    /// then.
    pub(crate) fn tick_ceil(&self, at: Instant) -> u64 {
        if self.is_paused() {
            return at.nanos;
        }
        at.nanos.div_ceil(NANOS_PER_TICK)
    }

    /// Returns the wheel's last tick that has begun. The present is rounded down to it.
    pub(crate) fn tick_floor(&self, at: Instant) -> u64 {
        if self.is_paused() {
            return at.nanos;
        }
        at.nanos / NANOS_PER_TICK
    }

    /// Returns the beginning of a tick of the wheel.
    pub(crate) fn of_tick(&self, tick: u64) -> Instant {
        let nanos = if self.is_paused() {
            tick
        } else {
            tick.saturating_mul(NANOS_PER_TICK)
        };
        Instant { nanos }
    }

    /// Moves a paused clock forward to this point. Has no effect if the point has passed, or if the clock runs.
    pub(crate) fn advance_to(&self, to: Instant) {
        // `max`, because the deadline of a late timer may have passed.
        if let ClockMode::Paused(at) = self.mode.get() {
            self.mode.set(ClockMode::Paused(at.max(to)));
        }
    }
}
