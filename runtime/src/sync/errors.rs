//! The errors of the channels.
//!
//! # How it works
//!
//! A channel ends when its last sender or its last receiver is dropped. [`Closed`] says so. An error of a send
//! returns the value, so that it is not lost.
//!
//! # Invariants
//!
//! - Always: a value that was not sent is in the error.

use std::error::Error;
use std::fmt;

/// The other half of the channel is gone, or has closed it.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::sync::{Closed, oneshot};
///
/// let (sender, receiver) = oneshot::channel::<u8>();
/// drop(sender);
/// assert_eq!(block_on(receiver), Err(Closed));
/// ```
#[doc(alias = "RecvError")]
#[doc(alias = "Canceled")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other half of the channel is gone")
    }
}

impl Error for Closed {}

/// The channel is closed, so the value was not sent. It is returned here.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::sync::{SendError, mpsc};
///
/// let (sender, receiver) = mpsc::channel(1);
/// drop(receiver);
/// let SendError(message) = block_on(sender.send("rain")).unwrap_err();
/// assert_eq!(message, "rain"); // it is not lost
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value was not sent: the channel has no receiver")
    }
}

// The value need not be `Debug`, so that any `send(…).unwrap()` compiles.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> Error for SendError<T> {}

/// The value was not sent. It is returned here.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::{TrySendError, mpsc};
///
/// let (sender, receiver) = mpsc::channel(1);
/// sender.try_send("first").unwrap();
/// let full = sender.try_send("second").unwrap_err();
/// assert_eq!(full, TrySendError::Full("second"));
/// assert_eq!(full.into_inner(), "second");
/// # drop(receiver);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// Returns the value.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the value was not sent: the channel is full",
            Self::Closed(_) => "the value was not sent: the channel has no receiver",
        })
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> Error for TrySendError<T> {}

/// The reason why no value was received without a wait.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::{TryRecvError, mpsc};
///
/// let (sender, mut receiver) = mpsc::channel::<u8>(1);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is no value now. A later one may come.
    Empty,
    /// There is no value, and none will come.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel is empty",
            Self::Closed => "the channel is empty and has no sender",
        })
    }
}

impl Error for TryRecvError {}
