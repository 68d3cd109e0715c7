//! The smallest future that does something: read this file first.
//!
//! The executor polls a future until it is ready. A future that returns `Pending` must arrange for its
//! task to be woken when another poll makes sense; otherwise it is never polled again. This future wakes
//! its task at once and returns `Pending`, so that all other ready tasks run first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::local_queue;

/// Lets all other ready tasks run, and lets the reactor check for events. Then it completes.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::{block_on, yield_now};
///
/// block_on(async {
///     for _ in 0..3 {
///         // … a piece of long work …
///         yield_now().await;
///     }
/// });
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        // A plain wake would do. This one also lets the reactor check for events before the next poll.
        local_queue::wake_next_turn(cx.waker());
        Poll::Pending
    }
}
