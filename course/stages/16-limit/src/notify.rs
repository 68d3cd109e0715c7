//! A notification for tasks of one thread.
//!
//! A waiter remembers the count of notifications at the time of its call, and is ready when the count differs. So a
//! notification between the check of a condition and the wait is not lost.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

/// Wakes all tasks that wait for it.
#[derive(Default)]
pub struct Notify {
    /// The number of notifications so far.
    times: Cell<u64>,
    waiters: RefCell<Vec<Waker>>,
}

impl Notify {
    /// Completes all [`notified`](Self::notified) futures that were made before this call.
    pub fn notify_all(&self) {
        self.times.set(self.times.get() + 1);
        // Taken out first, because a foreign waker may wait or notify.
        for waiter in self.waiters.take() {
            waiter.wake();
        }
    }

    /// Waits for a notification that comes after this call, even if it comes before the first poll.
    pub fn notified(&self) -> impl Future<Output = ()> + '_ {
        let times = self.times.get();
        poll_fn(move |cx| {
            // TODO 1: If the count differs from `times`, return `Poll::Ready(())`. Otherwise push a clone of the waker onto
            // `self.waiters`, unless one that wakes the same task is there (`will_wake`), and return `Poll::Pending`.
            todo!("TODO 1")
        })
    }
}
