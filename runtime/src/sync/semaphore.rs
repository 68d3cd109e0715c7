//! A number of permits, for which tasks wait in line.
//!
//! # How it works
//!
//! A permit that is returned goes directly to the first task in line. So a task that comes later cannot take it
//! first, and no task waits for ever while others take turns. If the first task wants more permits than there
//! are, the others wait behind it, even if there are enough for them. Otherwise small requests could keep a
//! large one waiting for ever.
//!
//! [`Mutex`](super::Mutex) is one permit and a value. [`mpsc`](super::mpsc) has a permit for each message that
//! the channel has room for.
//!
//! # Invariants
//!
//! - Always: the first task in line wants more permits than are available.
//! - Always: permits that were granted to a future which is dropped go to the next task in line.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::budget::Waited;
use crate::nodes::{self, Held, Origin, Subject};
use crate::panics;
use crate::sync::errors::Closed;
use crate::wait_list::{Leaving, Ticket, WaitList};

/// A number of permits, which tasks of one thread acquire and return.
///
/// Use it to limit how many tasks do something at once. Tasks are served in the order in which they first wait.
/// For tasks of several threads, use the semaphore of the crate `async-lock`.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::runtime::sync::Semaphore;
/// use waterwheel::runtime::{block_on, spawn, yield_now};
///
/// block_on(async {
///     let at_most_two = Rc::new(Semaphore::new(2));
///     let jobs: Vec<_> = (0..5)
///         .map(|_| {
///             let at_most_two = at_most_two.clone();
///             spawn(async move {
///                 let _permit = at_most_two.acquire().await;
///                 yield_now().await; // at most two tasks are here at once
///             })
///         })
///         .collect();
///     for job in jobs {
///         job.await.unwrap();
///     }
///     assert_eq!(at_most_two.available_permits(), 2);
/// });
/// ```
#[derive(Debug)]
pub struct Semaphore {
    available: Cell<usize>,
    /// The tasks in line, each with the number of permits that it wants.
    line: RefCell<WaitList<usize>>,
    /// True once a channel has closed. Then no future waits, and each ends with an error.
    closed: Cell<bool>,
}

impl Semaphore {
    /// Makes a semaphore with this many permits.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self {
            available: Cell::new(permits),
            line: RefCell::default(),
            closed: Cell::new(false),
        }
    }

    /// Returns the number of permits that no task has and that were not granted to a task in line.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.available.get()
    }

    /// Waits for a permit. Dropping the permit returns it.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future leaves the line. A permit that was granted to it goes to the next task. A new call
    /// begins at the end of the line.
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = SemaphorePermit<'_>> {
        self.acquire_for(1, Origin::here("permit"))
    }

    /// Waits for this many permits at once. They are granted together.
    ///
    /// If there were never so many, it waits for ever, and so do all tasks behind it in line.
    ///
    /// # Cancel safety
    ///
    /// Safe, as [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, sync::Semaphore};
    ///
    /// let places = Semaphore::new(4);
    /// block_on(async {
    ///     let _wide = places.acquire_many(3).await; // a job that takes three places
    ///     assert_eq!(places.available_permits(), 1);
    /// });
    /// assert_eq!(places.available_permits(), 4);
    /// ```
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> impl Future<Output = SemaphorePermit<'_>> {
        self.acquire_for(permits, Origin::here("permit"))
    }

    /// The future of [`acquire_many`](Self::acquire_many), for the caller that `origin` names.
    pub(crate) async fn acquire_for(&self, permits: usize, origin: Origin) -> SemaphorePermit<'_> {
        // A semaphore of the user is never closed.
        _ = self.acquire_raw(permits, origin).await;
        SemaphorePermit {
            semaphore: self,
            permits,
            _held: Held::by_this_task(self),
        }
    }

    /// Waits for a permit that keeps the semaphore alive, to move it into another task.
    ///
    /// # Cancel safety
    ///
    /// Safe, as [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    /// use waterwheel::runtime::{block_on, spawn, sync::Semaphore};
    ///
    /// block_on(async {
    ///     let places = Rc::new(Semaphore::new(1));
    ///     let place = places.clone().acquire_owned().await;
    ///     spawn(async move { drop(place) }).await.unwrap(); // the task returns it
    ///     assert!(places.try_acquire().is_some());
    /// });
    /// ```
    #[track_caller]
    pub fn acquire_owned(self: Rc<Self>) -> impl Future<Output = OwnedSemaphorePermit> {
        let origin = Origin::here("permit");
        async move {
            _ = self.acquire_raw(1, origin).await;
            OwnedSemaphorePermit {
                _held: Held::by_any_task(&*self),
                semaphore: self,
            }
        }
    }

    /// Takes a permit without waiting. Returns `None` if no permit is available, or if tasks are in line.
    #[must_use]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        // Not `then_some`, which would make a permit in any case, and drop it.
        self.take(1).then(|| SemaphorePermit {
            semaphore: self,
            permits: 1,
            _held: Held::by_this_task(self),
        })
    }

    /// Adds permits to the semaphore, or returns permits that were [forgotten](SemaphorePermit::forget).
    ///
    /// # Panics
    ///
    /// Panics if there are more than `usize::MAX` permits then.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::Semaphore;
    ///
    /// let places = Semaphore::new(0);
    /// assert!(places.try_acquire().is_none());
    /// places.add_permits(2); // two more workers have come
    /// assert!(places.try_acquire().is_some());
    /// ```
    pub fn add_permits(&self, permits: usize) {
        let available = self.available.get().checked_add(permits);
        self.available
            .set(available.expect("fewer permits than a usize can count"));
        self.serve();
    }

    /// Returns permits that were taken, from a destructor.
    fn put_back(&self, permits: usize) {
        // Without a panic, which would abort the process if a destructor raises it during another one. The count
        // can be full only if a program has added permits up to the maximum.
        self.available
            .update(|available| available.saturating_add(permits));
        self.serve();
    }

    /// Takes permits without waiting. Returns true if it has them.
    pub(crate) fn take(&self, permits: usize) -> bool {
        let left = self.available.get().checked_sub(permits);
        // A task that comes later does not overtake those in line, even if it wants less.
        let left = left.filter(|_| self.line.borrow().is_empty());
        if let Some(left) = left {
            self.available.set(left);
        }
        left.is_some()
    }

    /// Waits for permits that are not returned by themselves.
    pub(crate) fn acquire_raw(&self, permits: usize, origin: Origin) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            permits,
            ticket: None,
            waited: Waited::default(),
            origin,
        }
    }

    /// Grants permits to the tasks in line, as long as there are enough for the first one.
    #[inline]
    fn serve(&self) {
        // Usually no task is in line, and this check is all. // LOG S2
        if !self.line.borrow().is_empty() {
            self.serve_line();
        }
    }

    #[inline(never)]
    fn serve_line(&self) {
        loop {
            let mut line = self.line.borrow_mut();
            let Some(left) = line
                .first()
                .and_then(|wanted| self.available.get().checked_sub(*wanted))
            else {
                return;
            };
            // The permits leave the count now and not when the task runs. So no other task can take them in
            // between.
            self.available.set(left);
            let waker = line.serve_first();
            drop(line);
            // The waker may be foreign and change the line. So the loop looks at the line again.
            waker.into_iter().for_each(panics::wake);
        }
    }

    /// Ends all present and later waits with an error, because the channel is closed.
    pub(crate) fn close(&self) {
        // The mark comes first: a woken future that finds the semaphore open would wait in line again.
        self.closed.set(true);
        let all = self.line.borrow_mut().take_all();
        panics::wake_all(all);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

/// A wait for permits. The caller must return the permits with `add_permits`.
pub(crate) struct Acquire<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    /// Its place in line. `None` before the wait and after the end.
    ticket: Option<Ticket>,
    waited: Waited,
    origin: Origin,
}

impl Acquire<'_> {
    /// Returns true if the permits are granted or can be taken, or if the channel is closed.
    #[inline]
    fn is_ready(&self) -> bool {
        let semaphore = self.semaphore;
        if semaphore.closed.get() {
            return true;
        }
        let line = semaphore.line.borrow();
        match self.ticket {
            Some(ticket) => line.is_served(ticket),
            None => line.is_empty() && semaphore.available.get() >= self.permits,
        }
    }

    /// Takes a place in line. Returns false if the permits came meanwhile.
    #[inline(never)]
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let semaphore = self.semaphore;
        // The clone may be foreign code that returns permits. So the line is not borrowed meanwhile, and the
        // permits are counted again after it.
        let waker = cx.waker().clone();
        if self.is_ready() {
            panics::discard(waker);
            return false;
        }
        self.waited.begin();
        let mut line = semaphore.line.borrow_mut();
        let mut old = None;
        match self.ticket.and_then(|ticket| line.waker(ticket)) {
            Some(place) => old = Some(mem::replace(place, waker)),
            None => self.ticket = Some(line.push(self.permits, waker)),
        }
        // The old waker may be foreign code that uses this semaphore in its destructor, so the borrow ends
        // first.
        drop(line);
        drop(old);
        true
    }

    /// Leaves the line. Returns true if the permits were granted.
    #[inline(never)]
    fn leave(&mut self, ticket: Ticket) -> bool {
        self.ticket = None;
        let mut line = self.semaphore.line.borrow_mut();
        let left = line.leave(ticket);
        drop(line);
        if let Leaving::Waiting(waker) = left {
            panics::discard(waker);
            // The next in line may want less than this one did.
            self.semaphore.serve();
            return false;
        }
        matches!(left, Leaving::Served)
    }
}

impl Future for Acquire<'_> {
    type Output = Result<(), Closed>;

    // A permit that is there is taken without a call. The line is out of line. // LOG S2
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.is_ready() && self.wait(cx) {
            return nodes::waits(cx, self.origin, || {
                Subject::Permits(nodes::address(self.semaphore))
            });
        }
        // Before the permits are taken: if the budget refuses, they stay granted.
        ready!(self.waited.poll_spend(cx));
        let semaphore = self.semaphore;
        if semaphore.closed.get() {
            // The ticket stays. If it was served before the close, the drop of this future returns the permits.
            return Poll::Ready(Err(Closed));
        }
        if let Some(ticket) = self.ticket {
            // `serve` has already taken these permits from the count.
            self.leave(ticket);
        } else {
            semaphore
                .available
                .update(|available| available - self.permits);
        }
        nodes::completed(self.origin);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Acquire<'_> {
    #[inline]
    fn drop(&mut self) {
        // Otherwise the permits of a future that is cancelled between its wake and its poll would be lost.
        if let Some(ticket) = self.ticket
            && self.leave(ticket)
        {
            self.semaphore.put_back(self.permits);
        }
    }
}

/// One permit or several of a [`Semaphore`]. Dropping it returns them.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::{Semaphore, SemaphorePermit};
///
/// let places = Semaphore::new(2);
/// let place: SemaphorePermit<'_> = places.try_acquire().unwrap();
/// place.forget(); // one worker is gone for good
/// assert_eq!(places.available_permits(), 1);
/// ```
#[must_use = "dropping it returns the permit at once"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    _held: Held,
}

impl SemaphorePermit<'_> {
    /// Takes the permits out of the semaphore for good. [`Semaphore::add_permits`] can add them again.
    pub fn forget(mut self) {
        self.permits = 0;
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.put_back(self.permits);
    }
}

/// One permit of a [`Semaphore`] that it keeps alive. Dropping it returns the permit.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::runtime::sync::Semaphore;
/// use waterwheel::runtime::{block_on, spawn};
///
/// block_on(async {
///     let places = Rc::new(Semaphore::new(1));
///     // The loop waits for a place before it spawns, so there are never more tasks than places.
///     for _ in 0..3 {
///         let place = places.clone().acquire_owned().await;
///         spawn(async move { drop(place) }).detach();
///     }
/// });
/// ```
#[must_use = "dropping it returns the permit at once"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Rc<Semaphore>,
    _held: Held,
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.put_back(1);
    }
}
