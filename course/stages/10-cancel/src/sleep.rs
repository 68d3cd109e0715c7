//! A future that completes at a deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::context;
use crate::wheel::Key;

/// Completes after `duration`, and not before.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep {
        deadline: Instant::now() + duration,
        entry: None,
    }
}

/// The future of [`sleep`]: a deadline, and the key of a timer.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Sleep {
    deadline: Instant,
    /// The timer of the last wait.
    entry: Option<Key>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(key) = self.entry.take() {
            // The next poll may have another waker, so each wait has a timer of its own.
            context::with(|executor| executor.timers().remove(key));
        }
        if self.deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let deadline = self.deadline;
        self.entry = Some(context::with(|executor| {
            executor.timers().insert(deadline, waker)
        }));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // TODO 1: If there is an entry, remove its timer. Use `context::try_with`, because the thread may have left the runtime.
        // TODO 1 is here. A `todo!()` in a destructor would end the whole process.
    }
}
