//! Ticks at a fixed period.
//!
//! # How it works
//!
//! An [`Interval`] has one sleep, and sets its next deadline when a tick completes.
//!
//! # Invariants
//!
//! - Never: two deadlines at the same point of the schedule.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::sleep::{Sleep, sleep_until};
use crate::instant::Instant;
use crate::nodes::{self, Origin, Subject};

/// Ticks at once, and then after every `period`.
///
/// It keeps its schedule: a late tick does not shift the next ones. If the task is late by more than a period,
/// the interval skips the missed ticks. [`Interval::missed_ticks`] sets another policy.
///
/// # Panics
///
/// Panics if `period` is zero. [`Interval::tick`] panics outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{interval, Instant}};
///
/// block_on(async {
///     let start = Instant::now();
///     let mut interval = interval(Duration::from_millis(2));
///     for _ in 0..3 {
///         interval.tick().await; // at 0, 2 and 4 ms
///     }
///     assert!(start.elapsed() >= Duration::from_millis(4));
/// });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks first at `start`, and then after every `period`; see [`interval`].
///
/// # Panics
///
/// Panics if `period` is zero. [`Interval::tick`] panics outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{self, Instant, interval_at}};
///
/// block_on(async {
///     time::pause();
///     let start = Instant::now();
///     // The first tick comes after a period, and not at once.
///     let mut ticks = interval_at(start + Duration::from_secs(1), Duration::from_secs(1));
///     assert_eq!(ticks.tick().await, start + Duration::from_secs(1));
///     assert_eq!(ticks.tick().await, start + Duration::from_secs(2));
/// });
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "the period of an interval is longer than zero"
    );
    Interval {
        sleep: sleep_until(start),
        period,
        missed: MissedTicks::Skip,
        origin: Origin::here("interval"),
    }
}

/// The policy of an [`Interval`] for ticks that it has missed because its task was late by more than a
/// period.
///
/// In this table, an interval of 10 ms has ticked at 0 ms. Its task awaits the next tick at 35 ms, and that
/// tick completes at once. [`tick`](Interval::tick) returns the time for which a tick was planned:
///
/// | policy | ticks complete at (ms) | `tick` returns (ms) |
/// |---|---|---|
/// | `Skip` | 35, 40, 50, 60 | 10, 40, 50, 60 |
/// | `Burst` | 35, 35, 35, 40, 50 | 10, 20, 30, 40, 50 |
/// | `Delay` | 35, 45, 55, 65 | 10, 45, 55, 65 |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{self, Instant, MissedTicks, interval}};
///
/// block_on(async {
///     time::pause();
///     let start = Instant::now();
///     let mut ticks = interval(Duration::from_millis(10)).missed_ticks(MissedTicks::Burst);
///     ticks.tick().await;
///     time::advance(Duration::from_millis(35)).await;
///     for _ in 0..3 {
///         ticks.tick().await; // the ticks of 10, 20 and 30 ms, at once
///     }
///     assert_eq!(start.elapsed(), Duration::from_millis(35));
/// });
/// ```
#[doc(alias = "MissedTickBehavior")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissedTicks {
    /// Skips them and keeps the schedule. This is the default.
    #[default]
    Skip,
    /// Completes them at once, one after the other, and keeps the schedule.
    Burst,
    /// Begins a new schedule with the late tick.
    Delay,
}

/// The ticks of [`interval`] and [`interval_at`].
///
/// It is also a [`Stream`](https://docs.rs/futures-core/0.3/futures_core/stream/trait.Stream.html) of the times for which the ticks were planned. The stream never ends.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{self, Instant, Interval, interval}};
///
/// block_on(async {
///     time::pause();
///     let start = Instant::now();
///     let mut seconds: Interval = interval(Duration::from_secs(1));
///     seconds.tick().await; // at once
///     seconds.tick().await;
///     assert_eq!(start.elapsed(), seconds.period());
///
///     // In a future of one's own:
///     assert_eq!(poll_fn(|cx| seconds.poll_tick(cx)).await, start + Duration::from_secs(2));
/// });
/// ```
#[derive(Debug)]
pub struct Interval {
    /// Sleeps until the next tick.
    sleep: Sleep,
    period: Duration,
    /// The policy for missed ticks.
    missed: MissedTicks,
    origin: Origin,
}

impl Interval {
    /// Sets the policy for missed ticks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::{block_on, time::{self, MissedTicks, interval}};
    ///
    /// block_on(async {
    ///     time::pause();
    ///     let start = time::Instant::now();
    ///     let mut interval = interval(Duration::from_millis(10)).missed_ticks(MissedTicks::Delay);
    ///     interval.tick().await;
    ///     time::advance(Duration::from_millis(35)).await;
    ///     interval.tick().await;
    ///     interval.tick().await;
    ///     assert_eq!(start.elapsed(), Duration::from_millis(45));
    /// });
    /// ```
    #[doc(alias = "set_missed_tick_behavior")]
    #[must_use]
    pub fn missed_ticks(mut self, policy: MissedTicks) -> Self {
        self.missed = policy;
        self
    }

    /// Returns the time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Begins a new schedule: the next tick is one period from now.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::{block_on, time::{self, Instant, interval}};
    ///
    /// block_on(async {
    ///     time::pause();
    ///     let start = Instant::now();
    ///     let mut ticks = interval(Duration::from_secs(10));
    ///     ticks.tick().await; // at once
    ///     time::advance(Duration::from_secs(3)).await;
    ///     ticks.reset();
    ///     assert_eq!(ticks.tick().await, start + Duration::from_secs(13));
    ///     ticks.reset_at(start + Duration::from_secs(15));
    ///     assert_eq!(ticks.tick().await, start + Duration::from_secs(15));
    /// });
    /// ```
    pub fn reset(&mut self) {
        self.reset_at(Instant::now() + self.period);
    }

    /// Begins a new schedule: the next tick is at `deadline`, and the others follow it.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.reset(deadline);
    }

    /// Waits for the next tick, and returns the time for which it was planned.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns a tick that no call has returned.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll behind [`tick`](Self::tick).
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let planned = self.sleep.deadline();
        if self.sleep.poll_deadline(cx).is_pending() {
            return nodes::waits(cx, self.origin, || Subject::Until(planned));
        }
        nodes::completed(self.origin);
        // This reads the clock. The time of the turn is earlier, by the time for which tasks have held the
        // thread, and would make a late tick look punctual.
        let now = Instant::now();
        let next = match self.missed {
            MissedTicks::Skip => next_after(planned, now, self.period),
            MissedTicks::Burst => planned + self.period,
            MissedTicks::Delay if planned + self.period > now => planned + self.period,
            MissedTicks::Delay => now + self.period,
        };
        // Armed only when the next tick is polled. An interval that is not polled costs no timer.
        self.sleep.reset(next);
        Poll::Ready(planned)
    }
}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(cx).map(Some)
    }
}

/// Returns the first point of the schedule after `now`.
fn next_after(planned: Instant, now: Instant, period: Duration) -> Instant {
    let next = planned + period;
    if next > now {
        return next;
    }
    // The rest of the division is the time since the last point of the schedule that has passed.
    let late_nanos = now.saturating_duration_since(planned).as_nanos() % period.as_nanos();
    let late = Duration::from_nanos(u64::try_from(late_nanos).unwrap_or(u64::MAX));
    now - late + period
}
