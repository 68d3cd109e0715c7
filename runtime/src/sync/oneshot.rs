//! A channel for one value: the answer to a question, for example.
//!
//! # How it works
//!
//! ```text
//!  Open ──── send ────► Sent ──── the receiver takes the value ────► Closed
//!    └── a half is dropped, or the receiver closes ──────────────────────▲
//! ```
//!
//! The halves share one small allocation. For a value from another thread, use
//! [`spawn_blocking`](crate::spawn_blocking), [`Handle::spawn_with`](crate::Handle::spawn_with), or the oneshot of
//! the crate `async-channel` or `futures`.
//!
//! # Invariants
//!
//! - Always: a value that was sent is received, returned to the sender, or dropped with the receiver.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::budget::Waited;
use crate::nodes::{self, Origin, Subject};
use crate::sync::errors::{Closed, TryRecvError};
use crate::waker_slot::WakerSlot;

/// Makes a channel for one value.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::oneshot;
/// use waterwheel::runtime::{block_on, spawn};
///
/// block_on(async {
///     let (answer, question) = oneshot::channel();
///     spawn(async move { answer.send(42).unwrap() }).detach();
///     assert_eq!(question.await, Ok(42));
/// });
/// ```
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(OneshotShared {
        state: RefCell::new(State::Open),
        receiver: WakerSlot::default(),
        sender: WakerSlot::default(),
    });
    let receiver = Receiver {
        shared: shared.clone(),
        waited: Waited::default(),
        origin: Origin::here("receive"),
    };
    (Sender { shared }, receiver)
}

struct OneshotShared<T> {
    state: RefCell<State<T>>,
    /// The task that awaits the value.
    receiver: WakerSlot,
    /// The task that awaits the end of the receiver.
    sender: WakerSlot,
}

enum State<T> {
    Open,
    Sent(T),
    Closed,
}

impl<T> OneshotShared<T> {
    fn is_open(&self) -> bool {
        matches!(*self.state.borrow(), State::Open)
    }

    /// Closes the channel, and returns the value if one was sent. The caller drops it outside the borrow.
    fn close(&self) -> Option<T> {
        match self.state.replace(State::Closed) {
            State::Sent(value) => Some(value),
            State::Open | State::Closed => None,
        }
    }
}

/// Sends the value. Dropping it without a value ends the wait of the receiver with [`Closed`].
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::oneshot::{self, Sender};
///
/// /// Answers, unless the question is no longer of interest.
/// fn answer(sender: Sender<u32>) {
///     if !sender.is_closed() {
///         drop(sender.send(42));
///     }
/// }
///
/// let (sender, mut receiver) = oneshot::channel();
/// answer(sender);
/// assert_eq!(receiver.try_recv(), Ok(42));
/// ```
pub struct Sender<T> {
    shared: Rc<OneshotShared<T>>,
}

impl<T> Sender<T> {
    /// Sends the value. This never waits.
    ///
    /// # Errors
    ///
    /// Returns the value if the receiver is gone. `Ok` does not mean that the receiver will take the value: it can
    /// still be dropped.
    pub fn send(self, value: T) -> Result<(), T> {
        if !self.shared.is_open() {
            return Err(value);
        }
        self.shared.state.replace(State::Sent(value));
        self.shared.receiver.wake();
        Ok(())
    }

    /// Returns true if the receiver is gone or has closed the channel.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.shared.is_open()
    }

    /// Waits until the receiver is gone. Use it to stop a computation whose result is no longer wanted.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::oneshot;
    /// use waterwheel::runtime::block_on;
    ///
    /// block_on(async {
    ///     let (mut sender, receiver) = oneshot::channel::<u8>();
    ///     drop(receiver);
    ///     sender.closed().await;
    /// });
    /// ```
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = ()> {
        let origin = Origin::here("end of channel");
        async move {
            let _clear = ClearOnDrop(&self.shared.sender);
            let mut waited = Waited::default();
            poll_fn(|cx| {
                if self.shared.is_open() {
                    self.shared.sender.register(cx.waker());
                    // The clone of the waker may be foreign code that drops the receiver.
                    if self.shared.is_open() {
                        waited.begin();
                        return nodes::waits(cx, origin, || Subject::None);
                    }
                }
                waited.poll_spend(cx)
            })
            .await;
        }
    }
}

/// Removes the waker when the wait ends or is cancelled.
struct ClearOnDrop<'a>(&'a WakerSlot);

impl Drop for ClearOnDrop<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.sender.clear();
        // After a send, the value stays for the receiver.
        if self.shared.is_open() {
            self.shared.close();
            self.shared.receiver.wake();
        }
    }
}

/// Receives the value: await it.
///
/// # Errors
///
/// Awaiting it returns [`Closed`] if the sender was dropped without a value, or if the value was taken before.
///
/// # Cancel safety
///
/// Safe: the value stays until it is returned. `(&mut receiver).await` can lose a race and be awaited again.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::TryRecvError;
/// use waterwheel::runtime::sync::oneshot::{self, Receiver};
///
/// let (sender, mut receiver): (_, Receiver<u32>) = oneshot::channel();
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// sender.send(7).unwrap();
/// assert_eq!(receiver.try_recv(), Ok(7));
/// ```
#[must_use = "a dropped receiver discards the value"]
pub struct Receiver<T> {
    shared: Rc<OneshotShared<T>>,
    waited: Waited,
    origin: Origin,
}

impl<T> Receiver<T> {
    /// Takes the value without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if the value may still come, and [`TryRecvError::Closed`] if it will not.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if self.shared.is_open() {
            return Err(TryRecvError::Empty);
        }
        self.shared.close().ok_or(TryRecvError::Closed)
    }

    /// Closes the channel, so that a later send fails. Returns the value if it was sent before.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::oneshot;
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.close(), None);
    /// assert_eq!(sender.send(7), Err(7));
    /// ```
    pub fn close(&mut self) -> Option<T> {
        let value = self.shared.close();
        self.shared.sender.wake();
        value
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.shared.is_open() {
            self.shared.receiver.register(cx.waker());
            // The clone of the waker may be foreign code that sends.
            if self.shared.is_open() {
                self.waited.begin();
                return nodes::waits(cx, self.origin, || Subject::None);
            }
        }
        // Before the value is taken: if the budget refuses, it stays.
        ready!(self.waited.poll_spend(cx));
        // No wake follows. A waker that stayed here would only keep its task's memory.
        self.shared.receiver.clear();
        Poll::Ready(self.shared.close().ok_or(Closed))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver.clear();
        // The sender is woken first, because the destructor of the value may panic.
        let value = self.shared.close();
        self.shared.sender.wake();
        drop(value);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
