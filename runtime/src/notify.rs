//! "Something has happened", for tasks of one thread.
//!
//! # How it works
//!
//! A [`Notify`] counts how often it was notified. Whoever waits remembers the count from before:
//! so a notification between looking and waiting is not lost, and there is no permit to hand on
//! when a waiter is dropped.
//!
//! # Invariants
//!
//! - Never: a waker woken or dropped while the list of waiters is borrowed.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem;
use std::task::{Context, Poll, Waker};

/// Wakes all who wait for it. For one thread; share it in an `Rc`.
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
    times: Cell<u64>,
    waiters: RefCell<Vec<Waker>>,
}

impl Notify {
    /// Nobody waits, nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes all who wait now.
    pub fn notify_all(&self) {
        self.times.set(self.times.get() + 1);
        let mut waiters = mem::take(&mut *self.waiters.borrow_mut());
        waiters.drain(..).for_each(Waker::wake);
        // The list is used again, unless somebody waits anew.
        let mut current = self.waiters.borrow_mut();
        if current.is_empty() {
            *current = waiters;
        }
    }

    /// How often it has been notified.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.times.get()
    }

    /// Waits for a notification that comes after this call (not: after the first poll).
    ///
    /// # Cancel safety
    ///
    /// Dropping it is harmless.
    pub fn notified(&self) -> impl Future<Output = ()> + '_ {
        self.changed_since(self.times())
    }

    /// Waits until it has been notified more often than `times`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it is harmless.
    pub async fn changed_since(&self, times: u64) {
        poll_fn(|cx| self.poll_changed(times, cx)).await;
    }

    fn poll_changed(&self, times: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.times() != times {
            return Poll::Ready(());
        }
        let waits = self
            .waiters
            .borrow()
            .iter()
            .any(|waiter| waiter.will_wake(cx.waker()));
        if !waits {
            let waker = cx.waker().clone();
            self.waiters.borrow_mut().push(waker);
        }
        Poll::Pending
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
    fn a_task_that_asks_twice_waits_once() {
        let notify = Notify::new();
        let mut notified = pin!(notify.notified());
        block_on(async {
            poll_once(notified.as_mut()).await;
            poll_once(notified.as_mut()).await;
        });
        assert_eq!(notify.waiters.borrow().len(), 1);
    }
}
