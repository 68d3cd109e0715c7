//! A value that one task at a time may use, also across awaits.
//!
//! # How it works
//!
//! A [`Semaphore`] with one permit decides which task has the value. The value is in a `RefCell`. Its borrow never
//! fails, because only the task with the permit borrows.
//!
//! # Invariants
//!
//! - Always: the borrow of the value ends before the permit is returned.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};

use crate::nodes::Origin;
use crate::sync::semaphore::{Semaphore, SemaphorePermit};

/// A value that one task of a thread at a time may use, also across awaits.
///
/// Tasks on one thread share most values in a `RefCell` or a `Cell`, because no other task runs between two
/// awaits. Use this mutex if the task awaits while it has the value: a connection on which requests must not
/// mix, for example. Tasks are served in the order in which they first wait.
///
/// A task that panics while it has the value returns it like any other: there is no poisoning.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::runtime::sync::Mutex;
/// use waterwheel::runtime::{block_on, join, yield_now};
///
/// block_on(async {
///     let line = Mutex::new(String::new());
///     let write = async |word: &str| {
///         let mut line = line.lock().await;
///         for letter in word.chars() {
///             line.push(letter);
///             yield_now().await; // the other half runs, but has to wait for the lock
///         }
///     };
///     join(write("water"), write("wheel")).await;
///     assert_eq!(*line.lock().await, "waterwheel");
/// });
/// ```
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    turns: Turns,
    value: RefCell<T>,
}

/// The one permit of a mutex.
struct Turns(Semaphore);

// The derived `Default` of the mutex needs this. A semaphore in general has no obvious number of permits.
impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl<T> Mutex<T> {
    /// Makes a mutex that no task has locked.
    pub fn new(value: T) -> Self {
        Self {
            turns: Turns::default(),
            value: RefCell::new(value),
        }
    }

    /// Returns the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::Mutex;
    ///
    /// let mut sacks = Mutex::new(vec!["rye"]);
    /// sacks.get_mut().push("oat"); // no lock is needed
    /// assert_eq!(sacks.into_inner(), ["rye", "oat"]);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until no other task has the value, and returns a guard that dereferences to it. Dropping the guard
    /// unlocks.
    ///
    /// A task that locks a mutex which it has locked already waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future leaves the line. If it was its turn, the next task has it. A new call begins at the
    /// end of the line.
    #[track_caller]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> {
        let origin = Origin::here("lock");
        async move { self.guard(self.turns.0.acquire_for(1, origin).await) }
    }

    /// Locks without waiting. Returns `None` if a task has the value or waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::Mutex;
    ///
    /// let mill = Mutex::new(0);
    /// let guard = mill.try_lock().unwrap();
    /// assert!(mill.try_lock().is_none());
    /// drop(guard);
    /// assert!(mill.try_lock().is_some());
    /// ```
    #[must_use]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.turns.0.try_acquire().map(|permit| self.guard(permit))
    }

    /// Returns the value. No lock is needed, because no other reference exists.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn guard<'a>(&'a self, permit: SemaphorePermit<'a>) -> MutexGuard<'a, T> {
        // Only the task with the permit gets here, and a guard drops its borrow before its permit. So this never
        // panics.
        MutexGuard {
            value: self.value.borrow_mut(),
            _permit: permit,
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An unlocked `RefCell` prints its value, and a locked one prints a placeholder.
        f.debug_tuple("Mutex").field(&&self.value).finish()
    }
}

/// The value of a [`Mutex`]. Dropping it unlocks the mutex.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::sync::{Mutex, MutexGuard};
///
/// let sacks = Mutex::new(7);
/// block_on(async {
///     let mut guard: MutexGuard<'_, u32> = sacks.lock().await;
///     *guard -= 1;
/// });
/// assert_eq!(sacks.into_inner(), 6);
/// ```
#[must_use = "dropping it unlocks the mutex at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    // The order of the fields matters: the borrow ends before the next task has the permit.
    value: RefMut<'a, T>,
    _permit: SemaphorePermit<'a>,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
