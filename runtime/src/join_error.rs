//! The reason why a task or a blocking job has no value.
//!
//! # How it works
//!
//! A task has no value if it panicked or was cancelled. The panic's text is copied when the panic is caught,
//! so that the error can be printed without the lock of the payload.
//!
//! # Invariants
//!
//! - Always: one word, so that a `Result<T, JoinError>` is not larger than it must be.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

/// The reason why a task has no value: it panicked, or it was cancelled.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, spawn};
///
/// let failed = block_on(async { spawn(async { panic!("out of water") }).await });
/// let error = failed.map(|()| ()).unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(error.to_string(), "the task panicked: out of water");
/// ```
pub struct JoinError {
    /// `None` if the task was cancelled. A box, so that the error is one word.
    panic: Option<Box<Panic>>,
}

struct Panic {
    message: Box<str>,
    /// The payload. The lock is never contended; it makes the error `Sync`, as users expect of errors.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl JoinError {
    pub(crate) fn cancelled() -> Self {
        Self { panic: None }
    }

    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        // `panic!` makes a `&str` of a plain text, and a `String` of one with arguments.
        let text = payload.downcast_ref::<&'static str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self {
            panic: Some(Box::new(Panic {
                message: text.unwrap_or("a value that is not text").into(),
                payload: Mutex::new(payload),
            })),
        }
    }

    /// Returns true if the task was aborted, or ended with its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.panic.is_none()
    }

    /// Returns true if the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.panic.is_some()
    }

    /// Returns the panic's payload, for [`std::panic::resume_unwind`].
    ///
    /// # Errors
    ///
    /// Returns the error itself if the task was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic;
    /// use waterwheel::runtime::{JoinError, block_on, spawn};
    ///
    /// /// Passes a panic of a task on to the caller.
    /// fn value<T>(outcome: Result<T, JoinError>) -> Option<T> {
    ///     match outcome.map_err(JoinError::try_into_panic) {
    ///         Ok(value) => Some(value),
    ///         Err(Ok(payload)) => panic::resume_unwind(payload),
    ///         Err(Err(cancelled)) => {
    ///             assert!(cancelled.is_cancelled());
    ///             None
    ///         }
    ///     }
    /// }
    ///
    /// let aborted = block_on(async {
    ///     let task = spawn(std::future::pending::<()>());
    ///     task.abort();
    ///     task.await
    /// });
    /// assert_eq!(value(aborted), None);
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.panic {
            Some(panic) => {
                let payload = panic.payload.into_inner();
                Ok(payload.unwrap_or_else(PoisonError::into_inner))
            }
            None => Err(self),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            None => f.write_str("the task was cancelled"),
            Some(panic) => write!(f, "the task panicked: {}", panic.message),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

/// So that `handle.await??` works where the task returns `io::Result`.
impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error.to_string())
    }
}

impl std::error::Error for JoinError {}
