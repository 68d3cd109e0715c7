//! A future with a deadline.
//!
//! # How it works
//!
//! Each poll polls the future first and then a sleep. Each has a share of the task's budget.
//!
//! # Invariants
//!
//! - Always: if the future is ready in the poll in which the time is over, its value is returned.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::sleep::{Sleep, sleep, sleep_until};
use crate::budget::Shares;
use crate::causes::Reason;
use crate::instant::Instant;
use crate::nodes::{self, Origin, Subject};
use crate::points;

/// Runs `future` for at most `duration`.
///
/// A timeout ends the future only when it returns `Pending`. It does not interrupt a computation without an
/// await, or one inside [`unconstrained`](crate::budget::unconstrained). If the future is ready when it is
/// polled after the deadline, the timeout returns its value.
///
/// # Errors
///
/// Returns [`Elapsed`] if the deadline has passed and the future is not ready. The future is dropped together
/// with the timeout.
///
/// # Panics
///
/// Panics if it has to wait outside a runtime.
///
/// # Cancel safety
///
/// The same as that of the future inside.
///
/// # Examples
///
/// ```
/// use std::{future, time::Duration};
/// use waterwheel::runtime::{block_on, time::timeout};
///
/// block_on(async {
///     assert_eq!(timeout(Duration::from_secs(1), async { 7 }).await, Ok(7));
///     assert!(timeout(Duration::from_millis(1), future::pending::<()>()).await.is_err());
/// });
/// ```
#[track_caller]
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout {
        future,
        sleep: sleep(duration),
        origin: Origin::here("timeout"),
    }
}

/// Runs `future` until `deadline` at the latest; see [`timeout`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{self, Instant, sleep, timeout_at}};
///
/// block_on(async {
///     time::pause();
///     // Two steps share one deadline.
///     let deadline = Instant::now() + Duration::from_secs(5);
///     assert!(timeout_at(deadline, sleep(Duration::from_secs(4))).await.is_ok());
///     assert!(timeout_at(deadline, sleep(Duration::from_secs(4))).await.is_err());
/// });
/// ```
#[track_caller]
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout {
        future,
        sleep: sleep_until(deadline),
        origin: Origin::here("timeout"),
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use std::time::Duration;
    /// use waterwheel::runtime::{block_on, time::{Timeout, timeout}};
    ///
    /// let limited: Timeout<Ready<u8>> = timeout(Duration::from_secs(1), ready(7));
    /// assert_eq!(block_on(limited), Ok(7));
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
        origin: Origin,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Each has a share of the budget. Without the shares, a future that spends the whole budget in each
        // poll would hide the end of its time.
        let mut shares = Shares::of(2);
        let deadline = this.sleep.deadline();
        let origin = *this.origin;
        nodes::enter(
            cx,
            origin,
            || Subject::Until(deadline),
            |cx| {
                // The future comes before the sleep, so that a value which is ready at the deadline is not lost.
                if let Poll::Ready(value) = shares.poll(|| this.future.poll(cx)) {
                    return Poll::Ready(Ok(value));
                }
                let elapsed = shares.poll(|| this.sleep.poll_deadline(cx));
                elapsed.map(|()| {
                    points::part_cancelled(Reason::Timeout, origin.site());
                    Err(Elapsed(()))
                })
            },
        )
    }
}

/// The error of a timeout: the deadline passed before the future was ready.
///
/// As an [`io::Error`](std::io::Error), its kind is [`TimedOut`](std::io::ErrorKind::TimedOut).
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use std::io;
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{self, Elapsed, timeout}};
///
/// async fn answer() -> io::Result<u8> {
///     let limited = timeout(Duration::from_secs(1), pending());
///     limited.await? // `Elapsed` becomes an `io::Error`
/// }
///
/// block_on(async {
///     time::pause();
///     let error = answer().await.unwrap_err();
///     assert_eq!(error.kind(), io::ErrorKind::TimedOut);
///     assert!(error.get_ref().unwrap().is::<Elapsed>());
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}
