//! The smallest future that has an effect: a pause of one poll.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::local_queue;

/// Returns a future that is pending once, and then ready.
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
        // For the next turn, so that all others run first, and the reactor looks for events.
        local_queue::wake_next_turn(cx.waker());
        Poll::Pending
    }
}
