//! A clock that runs while the peer makes no progress.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

/// A clock that a wait starts, and that progress stops. It is empty while it does not run.
#[derive(Default)]
pub(crate) struct StallClock(Cell<Option<Box<Sleep>>>);

impl StallClock {
    /// Stops the clock. The next wait starts it again, with a deadline of its own.
    #[inline]
    pub(crate) fn stop(&self) {
        self.0.take();
    }

    #[inline]
    pub(crate) fn runs(&mut self) -> bool {
        self.0.get_mut().is_some()
    }

    /// Waits until the deadline, which is computed when the clock starts.
    pub(crate) fn poll(
        &self,
        cx: &mut Context<'_>,
        deadline: impl FnOnce() -> Instant,
    ) -> Poll<()> {
        // A box, because few waits last long enough to need a clock, and the place for one takes eight bytes (LOG 16).
        let mut sleep = self
            .0
            .take()
            .unwrap_or_else(|| Box::new(sleep_until(deadline())));
        let poll = poll_due(&mut sleep, cx);
        self.0.set(Some(sleep));
        poll
    }
}

/// Waits until the time of `sleep` has come.
///
/// A sleep spends budget if it is found to be over before its timer has fired. A client that sends without an
/// end makes its task spend the whole budget in each poll, and the sleep would be refused each time. So this
/// asks the clock of the turn first.
pub(crate) fn poll_due(sleep: &mut Sleep, cx: &mut Context<'_>) -> Poll<()> {
    // Without the budget: a task that has none left must still see that its client's time is over.
    if sleep.deadline() <= Instant::of_turn() {
        return Poll::Ready(());
    }
    Pin::new(sleep).poll(cx)
}
