//! The reason why a task has no value.

use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The reason why a task has no value: it panicked, or it was cancelled.
pub struct JoinError {
    /// `None` if the task was cancelled. In a box, so that the error is one word.
    panic: Option<Box<Panic>>,
}

struct Panic {
    message: Box<str>,
    /// The payload, which is only moved out as a whole. The lock makes the error `Sync`, as users expect of
    /// errors.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl JoinError {
    pub(crate) fn cancelled() -> Self {
        Self { panic: None }
    }

    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        Self {
            panic: Some(Box::new(Panic {
                message: panic_message(&*payload).into(),
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

/// Returns the text of a panic, if its payload is text.
fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
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

impl std::error::Error for JoinError {}
