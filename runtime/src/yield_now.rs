//! The smallest future that has an effect: read this file first.
//!
//! # How it works
//!
//! The executor polls a future until it is ready. A future that returns `Pending` must arrange for a wake
//! of its task. Without a wake, the executor never polls the task again. [`YieldNow`] wakes its task at once
//! and returns `Pending`, so that all other ready tasks run first.
//!
//! # Invariants
//!
//! - Always: the task is woken before the future returns `Pending`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::local_queue;

/// Lets all other ready tasks run and the reactor check for events, and then completes.
///
/// A task that was woken earlier in the same poll, for example by its own `wake_by_ref`, does not wait for the
/// reactor: all tasks that are ready run first, and then this one, in the same turn. A turn polls about 64 tasks, so
/// the reactor's check comes soon.
///
/// # Cancel safety
///
/// Safe: dropping the future has no effect, except that the task is polled once more.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, yield_now};
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
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{YieldNow, block_on, yield_now};
///
/// let pause: YieldNow = yield_now();
/// block_on(pause);
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct YieldNow {
    /// True after the first poll. The second poll completes.
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        // A plain wake would also work. But then this turn would poll the task again, and tasks that wait for
        // a socket would have to wait longer.
        local_queue::wake_next_turn(cx.waker());
        Poll::Pending
    }
}
