//! A future that completes at a deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::budget;
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
        let waited = self.entry.take();
        if let Some(key) = waited {
            // The next poll may have another waker, so each wait has a timer of its own.
            context::with(|executor| executor.timers().remove(key));
        }
        // TODO 6: A sleep whose deadline has passed spends a unit, but only if it has not waited (`waited.is_none()`): one that has
        // waited has let others run. If the unit is refused, do not return: set a timer below, which fires in the next
        // turn. Then the sleep has waited, and its end is free.
        todo!("TODO 6");
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
        if let Some(key) = self.entry.take() {
            let waker = context::try_with(|executor| executor.timers().remove(key));
            drop(waker);
        }
    }
}
