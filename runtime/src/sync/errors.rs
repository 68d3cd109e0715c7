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
