//! A notification for tasks of one thread.
//!
//! # How it works
//!
//! There are two kinds of notification:
//!
//! | call | wakes | if no task waits |
//! |---|---|---|
//! | [`Notify::notify_all`] | all present waiters | has no effect |
//! | [`Notify::notify_one`] | the waiter that has waited longest | leaves a permit for the next waiter |
//!
//! *All* is a count. A waiter remembers the count of the moment in which it was made, and is ready when the count
//! differs. So a notification between the check of a condition and the wait is not lost.
//!
//! *One* is a line ([`WaitList`]). A waiter that was served and is dropped before it has seen this serves the
//! next one. So no permit is lost.
//!
//! # Invariants
//!
//! - Always: a permit is only there if no task is in line.
//! - Never: a waker woken or dropped while one of the lists is borrowed.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use slab::Slab;

use crate::budget::Waited;
use crate::nodes::{self, Origin, Subject};
use crate::panics;
use crate::wait_list::{Leaving, Ticket, WaitList};

/// Wakes tasks that wait for it, all of them or one. It works on one thread; share it in an `Rc`.
///
/// [`notify_all`](Self::notify_all) has no effect on later waiters. [`notify_one`](Self::notify_one) leaves a
/// permit if no task waits. Keep the data of the condition in a `RefCell` beside it, and wait in a loop until
/// the data is as you need it.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::runtime::{Notify, block_on, spawn, yield_now};
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
    /// The number of notifications of all so far.
    times: Cell<u64>,
    /// The wakers of the tasks that wait for the next notification of all. A waiter that drops removes its own.
    waiters: RefCell<Slab<Waker>>,
    /// The tasks that wait for a notification of all or of one.
    line: RefCell<WaitList<()>>,
    /// True if `notify_one` was called and no task was in line.
    permit: Cell<bool>,
}

impl Notify {
    /// Makes a `Notify` that has not been notified.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Completes all [`notified`](Self::notified) futures made before this call, and wakes their tasks.
    ///
    /// This call has no effect on later waiters, and leaves no permit.
    #[doc(alias = "notify_waiters")]
    pub fn notify_all(&self) {
        if self.count() {
            self.wake_all();
        }
    }

    /// Completes the [`notified`](Self::notified) future that has waited longest, and wakes its task.
    ///
    /// If no task waits, this leaves a permit, and the next `notified` future completes at once. There is at most
    /// one permit, so several calls without a waiter count as one.
    ///
    /// If the woken task drops its future instead of polling it, the notification goes to the next waiter, or
    /// becomes the permit.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Notify, block_on};
    ///
    /// block_on(async {
    ///     let work = Notify::new();
    ///     work.notify_one(); // no task waits, so this is kept
    ///     work.notified().await;
    /// });
    /// ```
    pub fn notify_one(&self) {
        let mut line = self.line.borrow_mut();
        let first = line.serve_first();
        drop(line);
        match first {
            Some(waker) => panics::wake(waker),
            None => self.permit.set(true),
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
        !self.waiters.borrow().is_empty() || !self.line.borrow().is_empty()
    }

    /// Wakes all tasks that wait: the second half of [`notify_all`](Self::notify_all).
    #[cold]
    pub(crate) fn wake_all(&self) {
        // The lists are taken out first, because a foreign waker may wait, notify or drop a waiter.
        let mut waiters = mem::take(&mut *self.waiters.borrow_mut());
        let in_line = self.line.borrow_mut().take_all();
        panics::wake_all(waiters.drain());
        panics::wake_all(in_line);
        // The memory is kept, unless a waker has begun a new list meanwhile.
        let mut current = self.waiters.borrow_mut();
        if current.is_empty() {
            *current = waiters;
        }
    }

    /// Returns the number of calls of [`notify_all`](Self::notify_all) so far.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.times.get()
    }

    /// Waits for a [`notify_all`](Self::notify_all) that comes after this call, even if it comes before the first
    /// poll, or for a [`notify_one`](Self::notify_one).
    ///
    /// The futures are in line from their first poll on, and `notify_one` serves them in this order.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker. A notification of one that it has received and not returned
    /// goes to the next waiter. A future that is made anew goes to the end of the line.
    #[track_caller]
    pub fn notified(&self) -> impl Future<Output = ()> + '_ {
        Notified {
            notify: self,
            times: self.times(),
            ticket: None,
            waited: Waited::default(),
            origin: Origin::here("notified"),
        }
    }

    /// Waits until the count differs from `times`, an earlier value of [`times`](Self::times).
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use waterwheel::runtime::{Notify, block_on, spawn};
    ///
    /// block_on(async {
    ///     let news = Rc::new((Notify::new(), RefCell::new("dry")));
    ///     let reader = spawn({
    ///         let news = news.clone();
    ///         async move {
    ///             let (notify, weather) = &*news;
    ///             let mut seen = notify.times();
    ///             while *weather.borrow() != "rain" {
    ///                 notify.changed_since(seen).await; // no change between the look and the wait is missed
    ///                 seen = notify.times();
    ///             }
    ///         }
    ///     });
    ///     *news.1.borrow_mut() = "rain";
    ///     news.0.notify_all();
    ///     reader.await.unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn changed_since(&self, times: u64) -> impl Future<Output = ()> + '_ {
        self.changed_for(times, Origin::here("notified"))
    }

    /// Like [`changed_since`](Self::changed_since), for a future of this crate that is built on it.
    pub(crate) fn changed_for(
        &self,
        times: u64,
        origin: Origin,
    ) -> impl Future<Output = ()> + use<'_> {
        Changed {
            notify: self,
            wait: NotifyWaiter::since(times),
            origin,
        }
    }
}

/// A waiter for a notification of all: the future of [`Notify::changed_since`].
struct Changed<'a> {
    notify: &'a Notify,
    wait: NotifyWaiter,
    origin: Origin,
}

impl Future for Changed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        if let ready @ Poll::Ready(()) = self.wait.poll(notify, cx) {
            nodes::completed(self.origin);
            return ready;
        }
        nodes::waits(cx, self.origin, || Subject::None)
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.wait.leave(self.notify);
    }
}

/// The state of a waiter for a notification of all. It is plain data and does not know its [`Notify`], so it is
/// `Send`.
#[derive(Debug)]
pub(crate) struct NotifyWaiter {
    /// The count that it waits to change.
    times: u64,
    /// The index of its waker in `waiters`. Valid until the next notification, which empties the list.
    place: Option<usize>,
    waited: Waited,
}

impl NotifyWaiter {
    /// Makes a waiter that is ready when the count differs from `times`.
    pub(crate) fn since(times: u64) -> Self {
        Self {
            times,
            place: None,
            waited: Waited::default(),
        }
    }

    /// Returns true if a waker of this waiter may be in the list.
    pub(crate) fn is_waiting(&self) -> bool {
        self.place.is_some()
    }

    /// Polls the waiter. `notify` must be the same in each poll.
    pub(crate) fn poll(&mut self, notify: &Notify, cx: &mut Context<'_>) -> Poll<()> {
        if notify.times() == self.times {
            // The clone may be foreign code that notifies. So it happens while the list is not borrowed, and the
            // count is compared again after it.
            let waker = cx.waker().clone();
            if notify.times() == self.times {
                self.waited.begin();
                // The old waker is dropped after the borrow has ended, because its destructor may be foreign
                // code.
                let mut waiters = notify.waiters.borrow_mut();
                let mut old = None;
                if let Some(place) = self.place {
                    old = Some(mem::replace(&mut waiters[place], waker));
                } else {
                    self.place = Some(waiters.insert(waker));
                }
                drop(waiters);
                drop(old);
                return Poll::Pending;
            }
            panics::discard(waker);
        }
        self.place = None;
        self.waited.poll_spend(cx)
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

/// A waiter for a notification of all or of one: the future of [`Notify::notified`].
struct Notified<'a> {
    notify: &'a Notify,
    /// The count at the time at which it was made.
    times: u64,
    /// Its place in the line, from the first wait until the end.
    ticket: Option<Ticket>,
    waited: Waited,
    origin: Origin,
}

impl Notified<'_> {
    /// Returns true if the future may complete.
    fn is_notified(&self) -> bool {
        let served = |ticket| self.notify.line.borrow().is_served(ticket);
        self.notify.times() != self.times
            || self.ticket.map_or_else(|| self.notify.permit.get(), served)
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_notified() {
            // As in `Changed`, the clone may notify.
            let waker = cx.waker().clone();
            if !self.is_notified() {
                self.waited.begin();
                let mut line = self.notify.line.borrow_mut();
                let mut old = None;
                match self.ticket.and_then(|ticket| line.waker(ticket)) {
                    Some(place) => old = Some(mem::replace(place, waker)),
                    None => self.ticket = Some(line.push((), waker)),
                }
                drop(line);
                drop(old);
                return nodes::waits(cx, self.origin, || Subject::None);
            }
            panics::discard(waker);
        }
        // Before the notification is taken: if the budget refuses, it must stay.
        ready!(self.waited.poll_spend(cx));
        match self.ticket.take() {
            Some(ticket) => {
                let mut line = self.notify.line.borrow_mut();
                let left = line.leave(ticket);
                drop(line);
                panics::discard(left);
            }
            // A notification of all completes it without the permit.
            None if self.notify.times() == self.times => self.notify.permit.set(false),
            None => {}
        }
        nodes::completed(self.origin);
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut line = self.notify.line.borrow_mut();
        let left = line.leave(ticket);
        drop(line);
        match left {
            Leaving::Waiting(waker) => panics::discard(waker),
            // The notification was meant for one task, so another one must receive it.
            Leaving::Served => self.notify.notify_one(),
            Leaving::Gone => {}
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
    fn an_earlier_notification_of_all_does_not_count() {
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
            let mut changed = pin!(notify.changed_since(0));
            block_on(async {
                poll_once(changed.as_mut()).await;
                poll_once(changed.as_mut()).await;
            });
            assert_eq!(notify.waiters.borrow().len(), 1);
            assert!(notify.line.borrow_mut().serve_first().is_some());
            assert!(notify.line.borrow().is_empty());
        }
        assert!(notify.waiters.borrow().is_empty());
        assert!(notify.line.borrow().is_empty());
    }

    #[test]
    fn a_waiter_that_is_dropped_after_a_notification_removes_no_other_waiter() {
        let notify = Notify::new();
        let mut first = Box::pin(notify.changed_since(0));
        assert!(block_on(poll_once(first.as_mut())).is_none());
        notify.notify_all();
        let mut second = Box::pin(notify.changed_since(1));
        assert!(block_on(poll_once(second.as_mut())).is_none());
        drop(first);
        assert_eq!(notify.waiters.borrow().len(), 1);
        notify.notify_all();
        assert!(block_on(poll_once(second)).is_some());
    }
}
