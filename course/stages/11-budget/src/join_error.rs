//! The reason why a task has no value.

use std::any::Any;
use std::fmt;

/// A task has ended without a value.
pub struct JoinError {
    /// The value of the panic. `None` if the task was cancelled.
    panic: Option<Box<dyn Any + Send>>,
}

impl JoinError {
    pub fn panicked(panic: Box<dyn Any + Send>) -> Self {
        Self { panic: Some(panic) }
    }

    pub fn cancelled() -> Self {
        Self { panic: None }
    }

    /// Returns true if the task was aborted, or has ended with its runtime.
    pub fn is_cancelled(&self) -> bool {
        self.panic.is_none()
    }

    /// Returns the text of the panic, if it has one.
    pub fn message(&self) -> Option<&str> {
        let panic = self.panic.as_ref()?;
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied())
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinError")
            .field("is_cancelled", &self.is_cancelled())
            .field("panic", &self.message())
            .finish()
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            _ if self.is_cancelled() => write!(f, "the task was cancelled"),
            Some(text) => write!(f, "the task panicked: {text}"),
            None => write!(f, "the task panicked"),
        }
    }
}

impl std::error::Error for JoinError {}
