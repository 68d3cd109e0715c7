//! A queue with a limit between tasks of one thread.
//!
//! ```text
//!  Sender ── acquires a permit ──► values (at most `capacity`) ──► Receiver ── releases the permit
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::budget;
use crate::semaphore::Semaphore;

/// Makes a channel that has at most `capacity` values under way.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        values: RefCell::default(),
        room: Semaphore::new(capacity),
        waiter: RefCell::default(),
        senders: Cell::new(1),
        closed: Cell::new(false),
    });
    let sender = Sender {
        shared: shared.clone(),
    };
    (sender, Receiver { shared })
}

/// The part that both ends share.
struct Shared<T> {
    values: RefCell<VecDeque<T>>,
    /// A permit for each value that has room.
    room: Semaphore,
    /// The waker of the receiver.
    waiter: RefCell<Option<Waker>>,
    /// The number of senders.
    senders: Cell<usize>,
    /// True once the receiver is gone.
    closed: Cell<bool>,
}

impl<T> Shared<T> {
    fn wake_receiver(&self) {
        let waiter = self.waiter.take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// The end that sends. A clone sends to the same receiver.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

/// The value of a [`Sender::send`] whose receiver is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> Sender<T> {
    /// Sends a value. Waits until the channel has room for it.
    ///
    /// # Errors
    ///
    /// Returns the value if the receiver is gone.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        // BEGIN TODO 4
        //> 1. Spend a unit of the budget (`budget::spend_one().await`), as every leaf does.
        //> 2. Acquire a permit of `self.shared.room`. This is the back-pressure: if the channel is full, it waits.
        //> 3. If the receiver is gone (`closed`), release the permit, so that the next waiting sender learns this too, and
        //>    return `Err(SendError(value))`.
        //> 4. Push the value, and wake the receiver.
        budget::spend_one().await;
        self.shared.room.acquire().await;
        if self.shared.closed.get() {
            self.shared.room.release();
            return Err(SendError(value));
        }
        self.shared.values.borrow_mut().push_back(value);
        self.shared.wake_receiver();
        Ok(())
        // END TODO
    }

    /// Returns the number of senders that wait for room.
    pub fn waiting(&self) -> usize {
        self.shared.room.waiting()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        shared.senders.set(shared.senders.get() + 1);
        Self { shared }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.senders.set(self.shared.senders.get() - 1);
        if self.shared.senders.get() == 0 {
            // It must learn that no further value comes.
            self.shared.wake_receiver();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The end that receives.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Receives the next value. Returns `None` once all senders are gone and all values were received.
    pub async fn recv(&mut self) -> Option<T> {
        budget::spend_one().await;
        poll_fn(|cx| {
            let value = self.shared.values.borrow_mut().pop_front();
            // BEGIN TODO 5
            //> - A value: release its permit, and return the value.
            //> - No value, and no sender: return `None`.
            //> - No value yet: store a clone of the waker in `self.shared.waiter` (`replace`), and return `Poll::Pending`.
            if value.is_some() {
                self.shared.room.release();
                return Poll::Ready(value);
            }
            if self.shared.senders.get() == 0 {
                return Poll::Ready(None);
            }
            let before = self.shared.waiter.replace(Some(cx.waker().clone()));
            drop(before);
            Poll::Pending
            // END TODO
        })
        .await
    }

    /// Returns the number of values that wait.
    pub fn len(&self) -> usize {
        self.shared.values.borrow().len()
    }

    /// Returns true if no value waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.closed.set(true);
        // The first sender in line is woken, fails, and releases the permit for the next one.
        self.shared.room.release();
        let values = self.shared.values.take();
        drop(values);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
