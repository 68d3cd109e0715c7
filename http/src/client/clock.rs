//! The deadlines of one exchange, with one timer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use super::error::{RequestError, RequestErrorKind};

/// A time limit for the present wait, and one for the whole exchange.
#[derive(Debug)]
pub(super) struct ExchangeClock {
    /// The end of the whole exchange.
    end: Option<Instant>,
    /// The end of the present wait. `None` between two waits.
    wait: Option<Instant>,
    sleep: Option<Sleep>,
}

impl ExchangeClock {
    pub(super) fn new(total: Option<Duration>) -> Self {
        Self {
            end: total.map(|total| Instant::now() + total),
            wait: None,
            sleep: None,
        }
    }

    /// Notes that bytes have moved: the next wait has the whole time again.
    pub(super) fn progress(&mut self) {
        self.wait = None;
    }

    /// Returns the time that is left of the whole exchange, at most `limit`.
    pub(super) fn left(&self, limit: Duration) -> Duration {
        let left = self
            .end
            .map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(limit, |left| left.min(limit))
    }

    /// Returns true if the whole exchange has no time left.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }

    /// Waits until a limit is over. `wait` is the time of a wait that begins now.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wait: Duration,
        kind: RequestErrorKind,
    ) -> Poll<RequestError> {
        let wait = *self.wait.get_or_insert_with(|| Instant::of_turn() + wait);
        // One timer for both, because only the nearer limit can be met.
        let (due, kind) = match self.end {
            Some(end) if end < wait => (end, RequestErrorKind::TotalTimeout),
            _ => (wait, kind),
        };
        // A later deadline costs the timer only a store.
        let sleep = self.sleep.get_or_insert_with(|| sleep_until(due));
        if sleep.deadline() != due {
            sleep.reset(due);
        }
        if due <= Instant::of_turn() || Pin::new(sleep).poll(cx).is_ready() {
            return Poll::Ready(RequestError::new(kind));
        }
        Poll::Pending
    }
}
