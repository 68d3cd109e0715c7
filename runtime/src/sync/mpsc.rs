//! A bounded queue of messages, from any number of tasks to one.
//!
//! # How it works
//!
//! ```text
//!  send ──► a permit of the semaphore (room for one message) ──► queue ──► recv ──► the permit goes back
//! ```
//!
//! A channel has room for a fixed number of messages. A sender that finds no room waits, and so a slow receiver
//! slows its senders down: this is back-pressure. Waiting senders are served in the order in which they first
//! wait, because the [`Semaphore`] serves them so. There is no unbounded form, because a queue without a limit
//! only hides that the receiver is too slow.
//!
//! # The end
//!
//! - When all senders are dropped, the receiver first returns the messages that are left, and then `None`.
//! - When the receiver is dropped, all messages are dropped and each send fails.
//! - When the receiver calls [`Receiver::close`], each send fails from then on, and the receiver returns the
//!   messages that are left, and then `None`. A [`Permit`] from before does not outlive the close.
//!
//! # Between threads
//!
//! These channels stay on one thread, so they need no lock and their messages need not be `Send`. To reach a task
//! from another thread, use the crate `async-channel` with the same shape, or
//! [`Handle::spawn_with`](crate::Handle::spawn_with).
//!
//! # Invariants
//!
//! - Always: the messages in the queue, the permits of senders and the available permits are as many as the
//!   channel has room for.
//! - Never: a message dropped while the queue is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::budget::Waited;
use crate::nodes::{self, Held, Origin, Subject};
use crate::notify::Notify;
use crate::sync::errors::{Closed, SendError, TryRecvError, TrySendError};
use crate::sync::handle_count::HandleCount;
use crate::sync::semaphore::Semaphore;
use crate::waker_slot::WakerSlot;

/// Makes a channel with room for this many messages.
///
/// # Panics
///
/// Panics if `capacity` is zero.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::mpsc;
/// use waterwheel::runtime::{block_on, spawn};
///
/// block_on(async {
///     let (sender, mut receiver) = mpsc::channel(2);
///     spawn(async move {
///         for number in 0..5 {
///             sender.send(number).await.unwrap(); // waits whenever two messages are in the channel
///         }
///     })
///     .detach();
///     let mut sum = 0;
///     while let Some(number) = receiver.recv().await {
///         sum += number;
///     }
///     assert_eq!(sum, 10);
/// });
/// ```
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel has room for one message at least");
    let shared = Rc::new(MpscShared {
        queue: RefCell::default(),
        capacity,
        room: Semaphore::new(capacity),
        receiver: WakerSlot::default(),
        senders: HandleCount::one(),
        closed: Notify::new(),
    });
    let receiver = Receiver {
        shared: shared.clone(),
        waited: Waited::default(),
        held: Held::new(),
    };
    let sender = Sender {
        shared,
        held: Cell::default(),
    };
    (sender, receiver)
}

struct MpscShared<T> {
    queue: RefCell<VecDeque<T>>,
    capacity: usize,
    /// One permit for each message that has room. It is closed when the channel is.
    room: Semaphore,
    /// The task that waits for a message.
    receiver: WakerSlot,
    /// The number of senders.
    senders: HandleCount,
    /// Notified when the receiver closes the channel or is dropped.
    closed: Notify,
}

impl<T> MpscShared<T> {
    /// Takes the first message, and returns its permit.
    fn pop(&self) -> Option<T> {
        let message = self.queue.borrow_mut().pop_front()?;
        // This may wake a sender, and its waker may be foreign code that uses the channel. So the borrow has
        // ended.
        self.room.add_permits(1);
        Some(message)
    }

    /// Returns true if no message will come after those in the queue.
    fn is_last(&self) -> bool {
        self.senders.are_gone() || self.room.is_closed()
    }

    /// Lets all sends fail.
    fn refuse_senders(&self) {
        if !self.room.is_closed() {
            self.room.close();
            self.closed.notify_all();
        }
    }
}

/// Sends messages. Clones send into the same channel.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::mpsc::{self, Sender};
///
/// let (sender, receiver) = mpsc::channel(2);
/// let sender: Sender<&str> = sender;
/// sender.try_send("rain").unwrap();
/// let permit = sender.try_reserve().unwrap(); // room for one message
/// assert_eq!((sender.capacity(), sender.max_capacity()), (0, 2));
/// assert!(sender.try_send("sun").is_err());
/// drop((permit, receiver));
/// assert!(sender.is_closed());
/// ```
pub struct Sender<T> {
    shared: Rc<MpscShared<T>>,
    held: Cell<Held>,
}

impl<T> Sender<T> {
    /// Waits until the channel has room, and sends the message.
    ///
    /// # Errors
    ///
    /// Returns the message if the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    ///
    /// Not quite safe: the message is sent only if this completes, but a dropped future drops the message, and a
    /// new call begins at the end of the line. [`reserve`](Self::reserve) waits without a message.
    #[track_caller]
    pub fn send(&self, message: T) -> impl Future<Output = Result<(), SendError<T>>> {
        let origin = Origin::here("send");
        async move {
            match self.reserve_for(origin).await {
                Ok(permit) => permit.send(message),
                Err(Closed) => Err(SendError(message)),
            }
        }
    }

    /// Sends the message if the channel has room and no sender waits for it.
    ///
    /// # Errors
    ///
    /// Returns the message if the channel is full or closed.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.try_reserve() {
            Ok(permit) => permit
                .send(message)
                .map_err(|SendError(message)| TrySendError::Closed(message)),
            Err(TrySendError::Full(())) => Err(TrySendError::Full(message)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(message)),
        }
    }

    /// Waits until the channel has room, and keeps it for one message.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] if the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    ///
    /// Safe: room that was granted to a dropped future goes to the next sender. A new call begins at the end of the
    /// line.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, sync::mpsc};
    ///
    /// block_on(async {
    ///     let (sender, mut receiver) = mpsc::channel(1);
    ///     let permit = sender.reserve().await.unwrap();
    ///     let message = "made only when there is room";
    ///     permit.send(message).unwrap();
    ///     assert_eq!(receiver.recv().await, Some(message));
    /// });
    /// ```
    #[track_caller]
    pub fn reserve(&self) -> impl Future<Output = Result<Permit<'_, T>, Closed>> {
        self.reserve_for(Origin::here("send"))
    }

    async fn reserve_for(&self, origin: Origin) -> Result<Permit<'_, T>, Closed> {
        self.note_use();
        self.shared.room.acquire_raw(1, origin).await?;
        Ok(Permit { sender: self })
    }

    /// Marks that the task that is being polled uses this sender.
    fn note_use(&self) {
        let mut held = self.held.take();
        held.renew(&self.shared.senders);
        self.held.set(held);
    }

    /// Keeps room for one message, if there is some and no sender waits for it.
    ///
    /// # Errors
    ///
    /// Returns an error if the channel is full or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        // A closed channel may still have permits, so they do not show that it is closed.
        if self.is_closed() {
            return Err(TrySendError::Closed(()));
        }
        self.note_use();
        if !self.shared.room.take(1) {
            return Err(TrySendError::Full(()));
        }
        Ok(Permit { sender: self })
    }

    /// Waits until the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        // A channel is closed once, so the count is 0 or 1.
        self.shared
            .closed
            .changed_for(0, Origin::here("end of channel"))
    }

    /// Returns true if the receiver is gone or has closed the channel.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.room.is_closed()
    }

    /// Returns the number of messages that could be sent now without a wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.room.available_permits()
    }

    /// Returns the number of messages that the channel has room for.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.shared.capacity
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.add();
        Self {
            shared: self.shared.clone(),
            held: Cell::default(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // No message can wake the receiver any more, so the end must do it.
        if self.shared.senders.remove() {
            self.shared.receiver.wake();
        }
    }
}

/// Room for one message in a channel, from [`Sender::reserve`]. Dropping it returns the room.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::mpsc::{self, Permit};
///
/// /// Makes the message only now, when there is room.
/// fn report(permit: Permit<'_, String>) {
///     drop(permit.send("all is well".to_owned())); // an error means that no task listens any more
/// }
///
/// let (sender, mut receiver) = mpsc::channel(1);
/// report(sender.try_reserve().unwrap());
/// assert_eq!(receiver.try_recv().unwrap(), "all is well");
/// ```
#[must_use = "dropping it returns the room at once"]
pub struct Permit<'a, T> {
    sender: &'a Sender<T>,
}

impl<T> Permit<'_, T> {
    /// Sends the message, without a wait.
    ///
    /// # Errors
    ///
    /// Returns the message if the receiver has closed the channel or is gone, also if that was after the room was
    /// reserved.
    pub fn send(self, message: T) -> Result<(), SendError<T>> {
        // The receiver may have seen the end already. A message behind that end would be lost without an error.
        if self.sender.is_closed() {
            return Err(SendError(message));
        }
        let shared = &self.sender.shared;
        shared.queue.borrow_mut().push_back(message);
        shared.receiver.wake();
        // The room now belongs to the message.
        std::mem::forget(self);
        Ok(())
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.sender.shared.room.add_permits(1);
    }
}

/// Receives messages, in the order in which they were sent.
///
/// It is also a [`Stream`](https://docs.rs/futures-core/0.3/futures_core/stream/trait.Stream.html) of them, which ends when [`recv`](Self::recv) would return `None`.
///
/// # Examples
///
/// ```
/// use std::future::{Future, poll_fn};
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::sync::mpsc::{self, Receiver};
///
/// let (sender, mut receiver): (_, Receiver<u8>) = mpsc::channel(4);
/// sender.try_send(1).unwrap();
/// sender.try_send(2).unwrap();
/// assert_eq!(receiver.len(), 2);
/// assert_eq!(receiver.try_recv(), Ok(1));
/// // In a future of one's own:
/// assert_eq!(block_on(poll_fn(|cx| receiver.poll_recv(cx))), Some(2));
/// assert!(receiver.is_empty());
/// ```
pub struct Receiver<T> {
    shared: Rc<MpscShared<T>>,
    waited: Waited,
    held: Held,
}

impl<T> Receiver<T> {
    /// Waits for the next message. Returns `None` when the channel is closed and all its messages were received.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns a message that no call has returned.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        struct Wait<'a, T>(&'a mut Receiver<T>);
        impl<T> Drop for Wait<'_, T> {
            fn drop(&mut self) {
                // A wait that was cancelled leaves no waker behind.
                self.0.shared.receiver.clear();
            }
        }
        let origin = Origin::here("receive");
        async move {
            let wait = Wait(self);
            poll_fn(|cx| wait.0.poll_recv_for(cx, origin)).await
        }
    }

    /// The poll function behind [`recv`](Self::recv). It wakes the task that has called it last.
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv_for(cx, Origin::here("receive"))
    }

    fn poll_recv_for(&mut self, cx: &mut Context<'_>, origin: Origin) -> Poll<Option<T>> {
        self.held.renew(&self.shared.room);
        let is_ready =
            |shared: &MpscShared<T>| !shared.queue.borrow().is_empty() || shared.is_last();
        if !is_ready(&self.shared) {
            self.shared.receiver.register(cx.waker());
            // The clone of the waker may be foreign code that sends.
            if !is_ready(&self.shared) {
                self.waited.begin();
                let senders = &self.shared.senders;
                return nodes::waits(cx, origin, || {
                    Subject::Senders(nodes::address(senders), senders.get())
                });
            }
        }
        // Before the message is taken: if the budget refuses, it stays.
        ready!(self.waited.poll_spend(cx));
        self.waited = Waited::default();
        nodes::completed(origin);
        Poll::Ready(self.shared.pop())
    }

    /// Returns the next message without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if a message may still come, and [`TryRecvError::Closed`] if none will.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let is_last = self.shared.is_last();
        self.shared.pop().ok_or(if is_last {
            TryRecvError::Closed
        } else {
            TryRecvError::Empty
        })
    }

    /// Lets all sends fail from now on. The messages that are in the channel can still be received.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, sync::mpsc};
    ///
    /// block_on(async {
    ///     let (sender, mut receiver) = mpsc::channel(4);
    ///     sender.send(1).await.unwrap();
    ///     receiver.close();
    ///     assert!(sender.send(2).await.is_err());
    ///     assert_eq!(receiver.recv().await, Some(1));
    ///     assert_eq!(receiver.recv().await, None);
    /// });
    /// ```
    pub fn close(&mut self) {
        self.shared.refuse_senders();
    }

    /// Returns the number of messages in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.queue.borrow().len()
    }

    /// Returns true if no message is in the channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver.clear();
        // The senders are woken first, because the destructor of a message may panic, or drop a sender.
        self.shared.refuse_senders();
        let messages = self.shared.queue.take();
        drop(messages);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
