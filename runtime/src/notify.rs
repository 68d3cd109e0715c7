//! A notification for tasks of one thread.
//!
//! # How it works
//!
//! A [`Notify`] counts its notifications. A waiter remembers the count of the moment in which it was made, and
//! is ready when the count differs. So a notification between the check of a condition and the wait is not
//! lost. There is no permit that a dropped waiter would have to pass on.
//!
//! # Invariants
//!
//! - Never: a waker woken or dropped while the list of waiters is borrowed.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::{budget, panics};

/// Wakes all tasks that wait for it. It works on one thread; share it in an `Rc`.
///
/// There is no permit: [`notify_all`](Self::notify_all) has no effect on later waiters. Keep the data of
/// the condition in a `RefCell` beside it, and wait in a loop until the data is as you need it.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use waterwheel_runtime::{Notify, block_on, spawn, yield_now};
///
/// block_on(async {
///     let bell = Rc::new(Notify::new());
///     let waiter = spawn({
///         let bell = bell.clone();
///         async move { bell.notified().await }
///     });
///     yield_now().await;
///     bell.notify_all();
///     waiter.await.unwrap();
/// });
/// ```
#[derive(Debug, Default)]
pub struct Notify {
    /// The number of notifications so far.
    times: Cell<u64>,
    /// The wakers of the tasks that wait for the next notification. A waiter that drops removes its own.
    waiters: RefCell<Slab<Waker>>,
}

impl Notify {
    /// Makes a `Notify` that has not been notified.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Completes all [`notified`](Self::notified) futures made before this call, and wakes their tasks.
    ///
    /// There is no permit: this call has no effect on later waiters.
    pub fn notify_all(&self) {
        if self.count() {
            self.wake_all();
        }
    }

    /// Counts a notification: the first half of [`notify_all`](Self::notify_all).
    ///
    /// Returns true if a task waits. Then the caller must call [`wake_all`](Self::wake_all), the second half.
    /// `descriptors` calls the two halves apart, because the second must not run while the context is
    /// borrowed.
    #[inline]
    pub(crate) fn count(&self) -> bool {
        self.times.set(self.times.get() + 1);
        !self.waiters.borrow().is_empty()
    }

    /// Wakes all tasks that wait: the second half of [`notify_all`](Self::notify_all).
    #[cold]
    pub(crate) fn wake_all(&self) {
        // The list is taken out first, because a foreign waker may wait, notify or drop a waiter.
        let mut waiters = mem::take(&mut *self.waiters.borrow_mut());
        panics::wake_all(waiters.drain());
        // The memory is kept, unless a waker has begun a new list meanwhile.
        let mut current = self.waiters.borrow_mut();
        if current.is_empty() {
            *current = waiters;
        }
    }

    /// Returns the number of notifications so far.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.times.get()
    }

    /// Waits for a notification that comes after this call, even if it comes before the first poll.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker.
    pub fn notified(&self) -> impl Future<Output = ()> + '_ {
        self.changed_since(self.times())
    }

    /// Waits until the count differs from `times`, an earlier value of [`times`](Self::times).
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker.
    pub fn changed_since(&self, times: u64) -> impl Future<Output = ()> + '_ {
        Changed {
            notify: self,
            wait: NotifyWaiter::since(times),
        }
    }
}

/// A waiter: the future of [`Notify::changed_since`].
struct Changed<'a> {
    notify: &'a Notify,
    wait: NotifyWaiter,
}

impl Future for Changed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        self.wait.poll(notify, cx)
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.wait.leave(self.notify);
    }
}

/// The state of a waiter. It is plain data and does not know its [`Notify`], so it can be `Send`.
#[derive(Debug)]
pub(crate) struct NotifyWaiter {
    /// The count that it waits to change.
    times: u64,
    /// The index of its waker in `waiters`. Valid until the next notification, which empties the list.
    place: Option<usize>,
    /// The number of the poll in which it began to wait.
    began: Option<u32>,
}

impl NotifyWaiter {
    /// Makes a waiter that is ready when the count differs from `times`.
    pub(crate) fn since(times: u64) -> Self {
        Self {
            times,
            place: None,
            began: None,
        }
    }

    /// Returns true if a waker of this waiter may be in the list.
    pub(crate) fn is_waiting(&self) -> bool {
        self.place.is_some()
    }

    /// Polls the waiter. `notify` must be the same in each poll.
    pub(crate) fn poll(&mut self, notify: &Notify, cx: &mut Context<'_>) -> Poll<()> {
        if notify.times() != self.times {
            return self.poll_notified(cx);
        }
        // The clone may be foreign code that notifies. So it happens while the list is not borrowed, and the
        // count is compared again after it.
        let waker = cx.waker().clone();
        if notify.times() != self.times {
            panics::discard(waker);
            return self.poll_notified(cx);
        }
        self.began.get_or_insert_with(budget::poll_number);
        // The old waker is dropped after the borrow has ended, because its destructor may be foreign code.
        let mut waiters = notify.waiters.borrow_mut();
        let mut old = None;
        if let Some(place) = self.place {
            old = Some(mem::replace(&mut waiters[place], waker));
        } else {
            self.place = Some(waiters.insert(waker));
        }
        drop(waiters);
        drop(old);
        Poll::Pending
    }

    /// Completes. Spends budget if it did not wait for a later poll.
    fn poll_notified(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.place = None;
        match self.began {
            Some(began) if began != budget::poll_number() => Poll::Ready(()),
            _ => budget::poll_spend(cx, 1),
        }
    }

    /// Removes the waker, because the waiter is dropped.
    pub(crate) fn leave(&mut self, notify: &Notify) {
        let Some(place) = self.place.take() else {
            return;
        };
        // After a notification the index is stale, and may be that of another waiter.
        if notify.times() == self.times {
            let waker = notify.waiters.borrow_mut().try_remove(place);
            panics::discard(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn a_notification_between_the_call_and_the_first_poll_counts() {
        let notify = Notify::new();
        let notified = notify.notified();
        notify.notify_all();
        assert!(block_on(poll_once(pin!(notified))).is_some());
    }

    #[test]
    fn an_earlier_notification_does_not_count() {
        let notify = Notify::new();
        notify.notify_all();
        assert!(block_on(poll_once(pin!(notify.notified()))).is_none());
    }

    #[test]
    fn a_waiter_that_is_polled_twice_is_stored_once_and_a_dropped_one_is_removed() {
        let notify = Notify::new();
        {
            let mut notified = pin!(notify.notified());
            block_on(async {
                poll_once(notified.as_mut()).await;
                poll_once(notified.as_mut()).await;
            });
            assert_eq!(notify.waiters.borrow().len(), 1);
        }
        assert!(notify.waiters.borrow().is_empty());
    }

    #[test]
    fn a_waiter_that_is_dropped_after_a_notification_removes_no_other_waiter() {
        let notify = Notify::new();
        let mut first = Box::pin(notify.notified());
        assert!(block_on(poll_once(first.as_mut())).is_none());
        notify.notify_all();
        let mut second = Box::pin(notify.notified());
        assert!(block_on(poll_once(second.as_mut())).is_none());
        drop(first);
        assert_eq!(notify.waiters.borrow().len(), 1);
        notify.notify_all();
        assert!(block_on(poll_once(second)).is_some());
    }
}
