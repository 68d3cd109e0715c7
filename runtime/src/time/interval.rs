//! Something that happens again and again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::instant::Instant;
use super::sleep::{Sleep, sleep_until};

/// Ticks at once, and then every `period`.
///
/// It keeps to its schedule: a tick that is taken late does not shift the next ones. Ticks that
/// were missed altogether are skipped, not made up for.
///
/// # Panics
///
/// When `period` is zero.
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
/// When `period` is zero.
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "the period of an interval is longer than zero"
    );
    Interval {
        sleep: sleep_until(start),
        period,
    }
}

/// Made by [`interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
}

impl Interval {
    /// Waits for the next tick, and says for when it was planned.
    ///
    /// # Cancel safety
    ///
    /// Safe: a tick that nobody took is still there.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll behind [`tick`](Self::tick).
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let planned = self.sleep.deadline();
        std::task::ready!(Pin::new(&mut self.sleep).poll(cx));
        self.sleep
            .reset(next_after(planned, Instant::of_turn(), self.period));
        Poll::Ready(planned)
    }
}

/// The first point of the schedule that lies after `now`.
fn next_after(planned: Instant, now: Instant, period: Duration) -> Instant {
    let next = planned + period;
    if next > now {
        return next;
    }
    let late_nanos = now.saturating_duration_since(planned).as_nanos() % period.as_nanos();
    let late = Duration::from_nanos(u64::try_from(late_nanos).unwrap_or(u64::MAX));
    now - late + period
}
