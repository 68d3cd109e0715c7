//! The latest value of something, which any number of tasks watch: a configuration, or a state.
//!
//! # How it works
//!
//! The channel has one value and a version. A receiver remembers the version that it has seen last. So it never
//! misses that there is a newer value, but it may never see a value that was replaced soon.
//!
//! The value is in an `Rc`, and a receiver gets a clone of the `Rc`: a snapshot. So a receiver can keep it across
//! an await, and a sender can replace the value at any time.
//!
//! # Invariants
//!
//! - Always: a value that a receiver has not seen is reported before the end of the channel.
//! - Never: a value dropped, or a function of the user called, while the value is borrowed.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::rc::Rc;

use crate::budget;
use crate::nodes::Origin;
use crate::notify::Notify;
use crate::sync::errors::Closed;
use crate::sync::handle_count::HandleCount;

/// Makes a channel whose first value is `value`. The receiver counts it as seen.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::watch;
/// use waterwheel::runtime::{block_on, spawn};
///
/// block_on(async {
///     let (level, mut gauge) = watch::channel(0);
///     let reader = spawn(async move {
///         let mut seen = Vec::new();
///         while gauge.changed().await.is_ok() {
///             seen.push(*gauge.borrow_and_update());
///         }
///         seen
///     });
///     level.send(1);
///     level.send(2); // replaces 1 before the reader has run
///     drop(level);
///     assert_eq!(reader.await.unwrap(), [2]);
/// });
/// ```
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(WatchShared {
        value: RefCell::new(Rc::new(value)),
        version: Cell::new(0),
        changed: Notify::new(),
        senders: HandleCount::one(),
        receivers: Cell::new(1),
        no_receivers: Notify::new(),
    });
    let receiver = Receiver {
        shared: shared.clone(),
        seen: 0,
    };
    (Sender { shared }, receiver)
}

struct WatchShared<T> {
    value: RefCell<Rc<T>>,
    /// The number of values so far. A receiver compares it with the one that it has seen.
    version: Cell<u64>,
    /// Notified for each new value, and at the end of the last sender.
    changed: Notify,
    senders: HandleCount,
    receivers: Cell<usize>,
    /// Notified at the end of the last receiver.
    no_receivers: Notify,
}

impl<T> WatchShared<T> {
    fn latest(&self) -> Rc<T> {
        self.value.borrow().clone()
    }

    fn new_receiver(self: &Rc<Self>, seen: u64) -> Receiver<T> {
        self.receivers.set(self.receivers.get() + 1);
        Receiver {
            shared: self.clone(),
            seen,
        }
    }
}

/// Sets the value. Clones set the value of the same channel.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::watch::{self, Sender};
///
/// let (level, first) = watch::channel(3);
/// let level: Sender<u32> = level;
/// let second = level.subscribe();
/// assert_eq!(level.receiver_count(), 2);
/// // Only a rise is news.
/// let rises = |new: u32| level.send_if_modified(|old| new > *old && { *old = new; true });
/// assert!(rises(5) && !rises(4));
/// assert_eq!((*first.borrow(), *second.borrow()), (5, 5));
/// ```
pub struct Sender<T> {
    shared: Rc<WatchShared<T>>,
}

impl<T> Sender<T> {
    /// Sets the value, and wakes the receivers that wait. It stores the value also if there is no receiver.
    pub fn send(&self, value: T) {
        let shared = &self.shared;
        let old = shared.value.replace(Rc::new(value));
        // The version changes before the wake, because a foreign waker may poll a receiver at once.
        shared.version.set(shared.version.get() + 1);
        // The receivers are woken first, because the destructor of the old value may panic.
        shared.changed.notify_all();
        drop(old);
    }

    /// Changes the value in place, and wakes the receivers that wait. The value is cloned if a receiver has a
    /// snapshot of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::watch;
    ///
    /// let (names, receiver) = watch::channel(vec!["Ada"]);
    /// names.send_modify(|names| names.push("Grace"));
    /// assert_eq!(*receiver.borrow(), ["Ada", "Grace"]);
    /// ```
    pub fn send_modify(&self, modify: impl FnOnce(&mut T))
    where
        T: Clone,
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Calls `modify` with the value, and wakes the receivers that wait if it returns true. Returns that result.
    ///
    /// The value is cloned for the call, and stored only if `modify` returns true. So a panic of `modify` leaves
    /// the old value.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool
    where
        T: Clone,
    {
        let mut value = (*self.shared.latest()).clone();
        // `modify` may use this channel, so no borrow is alive meanwhile. That is why it changes a clone.
        let is_modified = modify(&mut value);
        if is_modified {
            self.send(value);
        }
        is_modified
    }

    /// Returns the latest value.
    #[must_use]
    pub fn borrow(&self) -> Rc<T> {
        self.shared.latest()
    }

    /// Makes a further receiver. It counts the present value as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.new_receiver(self.shared.version.get())
    }

    /// Returns the number of receivers.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        let origin = Origin::here("end of channel");
        async move {
            let times = self.shared.no_receivers.times();
            if self.receiver_count() == 0 {
                budget::spend_one().await;
                return;
            }
            // A receiver that comes later does not take back that there was none.
            self.shared.no_receivers.changed_for(times, origin).await;
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.add();
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.remove() {
            self.shared.changed.notify_all();
        }
    }
}

/// Watches the value. A clone has seen the same values as the original.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::sync::watch::{self, Receiver};
///
/// block_on(async {
///     let (level, mut gauge): (_, Receiver<u32>) = watch::channel(0);
///     level.send(1);
///     assert!(gauge.has_changed());
///     assert_eq!(*gauge.borrow(), 1); // still counts as unseen
///     gauge.changed().await.unwrap();
///     level.send(2);
///     assert_eq!(*gauge.borrow_and_update(), 2);
///     assert!(!gauge.has_changed());
/// });
/// ```
pub struct Receiver<T> {
    shared: Rc<WatchShared<T>>,
    /// The version that this receiver has seen.
    seen: u64,
}

impl<T> Receiver<T> {
    /// Waits for a value that this receiver has not seen, and counts it as seen. Completes at once if there is
    /// one.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] if all senders are gone and the receiver has seen the last value.
    ///
    /// # Cancel safety
    ///
    /// Safe: a value counts as seen only when this completes.
    #[track_caller]
    pub fn changed(&mut self) -> impl Future<Output = Result<(), Closed>> {
        self.changed_for(Origin::here("new value"))
    }

    async fn changed_for(&mut self, origin: Origin) -> Result<(), Closed> {
        let mut waited = false;
        loop {
            let times = self.shared.changed.times();
            let is_new = self.has_changed();
            if is_new || self.shared.senders.are_gone() {
                if !waited {
                    budget::spend_one().await;
                }
                // The value may have changed again during the wait for the budget.
                let is_new = is_new || self.has_changed();
                self.seen = self.shared.version.get();
                return if is_new { Ok(()) } else { Err(Closed) };
            }
            // The count ends this wait even if the clone of its waker is foreign code that sends a value.
            self.shared.changed.changed_for(times, origin).await;
            waited = true;
        }
    }

    /// Waits until `condition` holds for the latest value, and returns that value. It also checks a value that
    /// this receiver has seen.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] if all senders are gone and the condition does not hold for the last value.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker. Values for which the condition did not hold count as seen.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::watch;
    /// use waterwheel::runtime::{block_on, join};
    ///
    /// block_on(async {
    ///     let (level, mut gauge) = watch::channel(3);
    ///     let (high, ()) = join(gauge.wait_for(|level| *level > 5), async { level.send(6) }).await;
    ///     assert_eq!(*high.unwrap(), 6);
    /// });
    /// ```
    #[track_caller]
    pub fn wait_for(
        &mut self,
        condition: impl Fn(&T) -> bool,
    ) -> impl Future<Output = Result<Rc<T>, Closed>> {
        let origin = Origin::here("new value");
        async move {
            // Even if the condition holds at once, a loop over this call must let others run.
            budget::spend_one().await;
            loop {
                let value = self.borrow_and_update();
                if condition(&value) {
                    return Ok(value);
                }
                // A snapshot that is kept across the wait would keep the old value in memory until the next one.
                drop(value);
                self.changed_for(origin).await?;
            }
        }
    }

    /// Returns true if there is a value that this receiver has not seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.seen != self.shared.version.get()
    }

    /// Returns the latest value, without counting it as seen.
    #[must_use]
    pub fn borrow(&self) -> Rc<T> {
        self.shared.latest()
    }

    /// Returns the latest value, and counts it as seen.
    pub fn borrow_and_update(&mut self) -> Rc<T> {
        self.seen = self.shared.version.get();
        self.shared.latest()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.new_receiver(self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let receivers = self.shared.receivers.get() - 1;
        self.shared.receivers.set(receivers);
        if receivers == 0 {
            self.shared.no_receivers.notify_all();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("value", &self.borrow())
            .finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("value", &self.borrow())
            .finish_non_exhaustive()
    }
}
