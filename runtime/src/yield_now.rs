//! The smallest future that does something: read this file first.
//!
//! A future is asked again and again whether it is ready. Whoever answers "not yet" must see to
//! it that somebody wakes the task when asking again makes sense; else nobody ever asks. This one
//! wakes its task at once and says "not yet" all the same: so everybody else who is ready has a
//! turn first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::local_queue;

/// Lets everybody else who is ready have a turn, and the reactor a look, before going on.
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
        // A plain wake would do. This one also lets the reactor have its look before.
        local_queue::wake_behind_look(cx.waker());
        Poll::Pending
    }
}
