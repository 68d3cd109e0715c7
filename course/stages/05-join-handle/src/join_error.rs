//! The reason why a task has no value.

use std::any::Any;
use std::fmt;

/// A task has ended without a value, because it panicked.
pub struct JoinError {
    panic: Box<dyn Any + Send>,
}

impl JoinError {
    pub fn panicked(panic: Box<dyn Any + Send>) -> Self {
        Self { panic }
    }

    /// Returns the text of the panic, if it has one.
    pub fn message(&self) -> Option<&str> {
        let text = self.panic.downcast_ref::<String>().map(String::as_str);
        text.or(self.panic.downcast_ref::<&str>().copied())
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinError")
            .field("panic", &self.message())
            .finish()
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the task panicked")?;
        self.message().map_or(Ok(()), |text| write!(f, ": {text}"))
    }
}

impl std::error::Error for JoinError {}
