//! The smallest future that has an effect: a pause of one poll.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

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
        // TODO 6: In stage 2, the loop polled again by itself. Now it polls only after a wake. So wake the waker of `cx`
        // with `wake_by_ref`.
        todo!("TODO 6");
        Poll::Pending
    }
}
