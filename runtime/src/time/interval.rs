//! Ticks at a fixed period.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::instant::Instant;
use super::sleep::{Sleep, sleep_until};

/// Ticks at once, and then every `period`.
///
/// It keeps to its schedule: a tick that is taken late does not shift the next ones. Ticks that
/// were missed altogether are skipped; [`Interval::missed_ticks`] chooses another policy.
///
/// # Panics
///
/// Panics if `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel_runtime::{block_on, time::{interval, Instant}};
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
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks first at `start`, and then every `period`; see [`interval`].
///
/// # Panics
///
/// Panics if `period` is zero.
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "the period of an interval is longer than zero"
    );
    Interval {
        sleep: sleep_until(start),
        period,
        missed: MissedTicks::Skip,
    }
}

/// What an [`Interval`] does about the ticks that it has missed because its task was late by more than a
/// period.
///
/// An interval of 10 ms that ticked at 0 and is asked again at 35 ms ticks at once, and then:
///
/// | policy | ticks at (ms) |
/// |---|---|
/// | `Skip` | 35, 40, 50, 60 |
/// | `Burst` | 35, 35, 35, 40, 50 |
/// | `Delay` | 35, 45, 55, 65 |
#[doc(alias = "MissedTickBehavior")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTicks {
    /// Leaves them out and keeps the schedule. This is the default.
    #[default]
    Skip,
    /// Makes up for them at once, one after the other, and keeps the schedule.
    Burst,
    /// Begins a new schedule with the late tick.
    Delay,
}

/// The ticks of [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    /// Until the next tick.
    sleep: Sleep,
    period: Duration,
    missed: MissedTicks,
}

impl Interval {
    /// Chooses what becomes of missed ticks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel_runtime::{block_on, time::{self, MissedTicks, interval}};
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

    /// Waits for the next tick, and returns the time for which it was planned.
    ///
    /// # Cancel safety
    ///
    /// Safe: a tick that was not taken is still there.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll behind [`tick`](Self::tick).
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let planned = self.sleep.deadline();
        std::task::ready!(Pin::new(&mut self.sleep).poll(cx));
        // The real clock: the turn's may be behind, by all that a task has held the thread.
        let now = Instant::now();
        let next = match self.missed {
            MissedTicks::Skip => next_after(planned, now, self.period),
            MissedTicks::Burst => planned + self.period,
            MissedTicks::Delay if planned + self.period > now => planned + self.period,
            MissedTicks::Delay => now + self.period,
        };
        self.sleep.reset(next);
        Poll::Ready(planned)
    }
}

/// Returns the first point of the schedule after `now`.
fn next_after(planned: Instant, now: Instant, period: Duration) -> Instant {
    let next = planned + period;
    if next > now {
        return next;
    }
    let late_nanos = now.saturating_duration_since(planned).as_nanos() % period.as_nanos();
    let late = Duration::from_nanos(u64::try_from(late_nanos).unwrap_or(u64::MAX));
    now - late + period
}
