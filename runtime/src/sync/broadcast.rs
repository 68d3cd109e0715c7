//! Messages that each of several tasks receives.
//!
//! # How it works
//!
//! ```text
//!            first                          end
//!  ring:      │ 7 │ 8 │ 9 │ 10 │ ◄─── send   │     at most `capacity` messages
//!                   ▲       ▲
//!           receiver A   receiver B                each receiver has the number of its next message
//! ```
//!
//! Each message has a number. A receiver that has fallen behind by more than the capacity has *lagged*: it learns
//! how many messages it has missed, and continues with the oldest one that is left. So a slow receiver delays
//! neither the senders nor the other receivers. Lag is not the end of the channel, so a loop must treat
//! [`RecvError::Lagged`] and [`RecvError::Closed`] differently.
//!
//! A message is dropped when all receivers have received it.
//!
//! # Invariants
//!
//! - Always: the ring has at most `capacity` messages, and a receiver that is behind by no more than that has not
//!   lagged.
//! - Never: a message cloned or dropped while the ring is borrowed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::rc::Rc;

use crate::budget;
use crate::nodes::Origin;
use crate::notify::Notify;
use crate::sync::errors::SendError;
use crate::sync::handle_count::HandleCount;

/// Makes a channel that keeps at most `capacity` messages for a receiver.
///
/// # Panics
///
/// Panics if `capacity` is zero.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::broadcast::{self, RecvError};
/// use waterwheel::runtime::block_on;
///
/// block_on(async {
///     let (sender, mut slow) = broadcast::channel(2);
///     let mut quick = sender.subscribe();
///     for message in ["one", "two", "three"] {
///         sender.send(message).unwrap();
///         assert_eq!(quick.recv().await, Ok(message));
///     }
///     assert_eq!(slow.recv().await, Err(RecvError::Lagged(1)));
///     assert_eq!(slow.recv().await, Ok("two")); // it goes on with the oldest message that is left
/// });
/// ```
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel has room for one message at least");
    let shared = Rc::new(BroadcastShared {
        ring: RefCell::new(Ring {
            messages: VecDeque::new(),
            first: 0,
            capacity,
            receivers: 0,
        }),
        sent: Notify::new(),
        senders: HandleCount::one(),
    });
    let receiver = Receiver::new(&shared);
    (Sender { shared }, receiver)
}

struct BroadcastShared<T> {
    ring: RefCell<Ring<T>>,
    /// Notified for each message, and at the end of the last sender.
    sent: Notify,
    senders: HandleCount,
}

struct Ring<T> {
    messages: VecDeque<Kept<T>>,
    /// The number of the first of `messages`.
    first: u64,
    capacity: usize,
    receivers: usize,
}

struct Kept<T> {
    /// In an `Rc`, so that it can be cloned while the ring is not borrowed.
    value: Rc<T>,
    /// The number of receivers that have not received it.
    unread: usize,
}

impl<T> Ring<T> {
    /// Returns the number of the next message.
    fn end(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    /// Returns the place of a message in the ring.
    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// Removes the first message.
    fn pop(&mut self) -> Option<Rc<T>> {
        let first = self.messages.pop_front()?;
        self.first += 1;
        Some(first.value)
    }

    /// Removes the messages that all receivers have received. Returns them, for the caller to drop.
    fn take_read(&mut self) -> Vec<Rc<T>> {
        let mut read = Vec::new();
        // Receivers read in order, so no message is read by all of them before an earlier one is.
        while self
            .messages
            .front()
            .is_some_and(|message| message.unread == 0)
        {
            read.extend(self.pop());
        }
        read
    }
}

/// Sends messages to all receivers. Clones send into the same channel.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::broadcast::{self, Sender};
///
/// let (sender, first) = broadcast::channel(8);
/// let sender: Sender<&str> = sender;
/// let second = sender.subscribe();
/// assert_eq!(sender.receiver_count(), 2);
/// assert_eq!(sender.send("rain"), Ok(2));
/// drop((first, second));
/// assert!(sender.send("sun").is_err());
/// ```
pub struct Sender<T> {
    shared: Rc<BroadcastShared<T>>,
}

impl<T> Sender<T> {
    /// Sends a message to all present receivers, and returns their number. This never waits.
    ///
    /// If a receiver is behind by as many messages as the channel keeps, it loses its oldest one.
    ///
    /// # Errors
    ///
    /// Returns the message if there is no receiver. A later [`subscribe`](Self::subscribe) makes one.
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        let mut ring = self.shared.ring.borrow_mut();
        let unread = ring.receivers;
        if unread == 0 {
            return Err(SendError(message));
        }
        // A full ring loses its oldest message. If the new one were refused, the slowest receiver would hold back
        // all others.
        let is_full = ring.messages.len() == ring.capacity;
        let lost = if is_full { ring.pop() } else { None };
        let value = Rc::new(message);
        ring.messages.push_back(Kept { value, unread });
        drop(ring);
        // The receivers are woken first, because the destructor of the lost message may panic.
        self.shared.sent.notify_all();
        drop(lost);
        Ok(unread)
    }

    /// Makes a receiver of the messages that are sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// Returns the number of receivers.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.ring.borrow().receivers
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
            self.shared.sent.notify_all();
        }
    }
}

/// Receives the messages that were sent since it was made.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::broadcast::{self, Receiver};
///
/// let (sender, mut receiver) = broadcast::channel(8);
/// sender.send("rain").unwrap();
/// let later: Receiver<&str> = receiver.resubscribe(); // of what is sent from now on
/// assert_eq!((receiver.len(), later.is_empty()), (1, true));
/// assert_eq!(receiver.try_recv(), Some(Ok("rain")));
/// assert_eq!(receiver.try_recv(), None);
/// ```
pub struct Receiver<T> {
    shared: Rc<BroadcastShared<T>>,
    /// The number of the next message to receive.
    next: u64,
}

impl<T> Receiver<T> {
    fn new(shared: &Rc<BroadcastShared<T>>) -> Self {
        let mut ring = shared.ring.borrow_mut();
        ring.receivers += 1;
        Self {
            shared: shared.clone(),
            next: ring.end(),
        }
    }

    /// Returns a receiver of the messages that are sent from now on.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        Self::new(&self.shared)
    }

    /// Returns the number of messages that were sent and not received. If it is larger than the capacity, the
    /// next call of [`recv`](Self::recv) returns [`RecvError::Lagged`].
    #[must_use]
    pub fn len(&self) -> usize {
        let unread = self.shared.ring.borrow().end() - self.next;
        usize::try_from(unread).unwrap_or(usize::MAX)
    }

    /// Returns true if all messages that were sent were received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// - Returns [`RecvError::Lagged`] if messages were lost because this receiver was too slow. The next call
    ///   returns the oldest message that is left.
    /// - Returns [`RecvError::Closed`] if all senders are gone and all messages were received.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns a message that no call has returned.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Result<T, RecvError>> {
        self.recv_for(Origin::here("receive"))
    }

    async fn recv_for(&mut self, origin: Origin) -> Result<T, RecvError> {
        let mut waited = false;
        loop {
            let times = self.shared.sent.times();
            if self.is_empty() && !self.shared.senders.are_gone() {
                // The count ends this wait even if the clone of its waker is foreign code that sends a message.
                self.shared.sent.changed_for(times, origin).await;
                waited = true;
                continue;
            }
            // A wait has let other tasks run, so a receive after it is free.
            if !waited {
                budget::spend_one().await;
            }
            // There is a message, a lag, or the end.
            return self.take().unwrap_or(Err(RecvError::Closed));
        }
    }

    /// Returns the next message without waiting. Returns `None` if there is no message now.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Option<Result<T, RecvError>> {
        let is_closed = self.shared.senders.are_gone();
        self.take().or(is_closed.then_some(Err(RecvError::Closed)))
    }

    /// Takes the next message, or the report of a lag.
    fn take(&mut self) -> Option<Result<T, RecvError>> {
        let mut ring = self.shared.ring.borrow_mut();
        // Only a number below the first one has no place: its message was lost.
        let Some(place) = ring.place(self.next) else {
            let missed = ring.first - self.next;
            self.next = ring.first;
            return Some(Err(RecvError::Lagged(missed)));
        };
        let message = ring.messages.get_mut(place)?;
        message.unread -= 1;
        let value = message.value.clone();
        self.next += 1;
        let read = ring.take_read();
        // The destructor of a message is code of the user. It may use this channel, so the borrow ends first.
        drop(ring);
        drop(read);
        // The last receiver of a message gets the message itself, and the others a clone.
        Some(Ok(Rc::unwrap_or_clone(value)))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut ring = self.shared.ring.borrow_mut();
        ring.receivers -= 1;
        // A receiver that lags has read no message of the ring, so it is counted in all of them.
        let place = ring.place(self.next).unwrap_or(0);
        for message in ring.messages.iter_mut().skip(place) {
            message.unread -= 1;
        }
        let read = ring.take_read();
        drop(ring);
        drop(read);
    }
}

/// The reason why [`Receiver::recv`] has no message.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::sync::broadcast::{self, RecvError};
///
/// block_on(async {
///     let (sender, mut receiver) = broadcast::channel(1);
///     sender.send(1).unwrap();
///     sender.send(2).unwrap(); // the channel keeps one message
///     drop(sender);
///     assert_eq!(receiver.recv().await, Err(RecvError::Lagged(1)));
///     assert_eq!(receiver.recv().await, Ok(2));
///     assert_eq!(receiver.recv().await, Err(RecvError::Closed));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// This many messages were lost, because the receiver was too slow. The receiver can go on.
    Lagged(u64),
    /// All senders are gone, and all messages were received.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged(missed) => write!(
                f,
                "the receiver was too slow and has missed {missed} messages"
            ),
            Self::Closed => f.write_str("the channel is empty and has no sender"),
        }
    }
}

impl Error for RecvError {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
