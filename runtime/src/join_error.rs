//! The reason why a task or a blocking job has no value.
//!
//! # How it works
//!
//! A task has no value if it panicked or was cancelled. The panic's text is copied when the panic is caught,
//! so that the error can be printed without the lock of the payload. The table of tasks adds the identity of the task
//! at its end.
//!
//! # Invariants
//!
//! - Always: one word, so that a `Result<T, JoinError>` is not larger than it must be.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::task_names::Info;

/// The reason why a task has no value: it panicked, or it was cancelled.
///
/// `Display` names the [task](Self::task) and shows the panic's text, as in
/// `task 1.0.1 ("worker", src/main.rs:12:5) panicked: out of water`.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, task};
///
/// let failed = block_on(async {
///     let worker = task::Builder::new().name("worker");
///     worker.spawn(async { panic!("out of water") }).await
/// });
/// let error = failed.map(|()| ()).unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(error.task().unwrap().name(), Some("worker"));
/// assert!(error.to_string().ends_with("panicked: out of water"));
/// ```
pub struct JoinError {
    /// `None` if a blocking job was cancelled. A box, so that the error is one word.
    details: Option<Box<Details>>,
}

#[derive(Default)]
struct Details {
    task: Option<Info>,
    /// `None` if the task was cancelled.
    panic: Option<Panic>,
}

struct Panic {
    message: Box<str>,
    /// The payload. The lock is never contended; it makes the error `Sync`, as users expect of errors.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl JoinError {
    pub(crate) fn cancelled() -> Self {
        Self { details: None }
    }

    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        // `panic!` makes a `&str` of a plain text, and a `String` of one with arguments.
        let text = payload.downcast_ref::<&'static str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let panic = Panic {
            message: text.unwrap_or("a value that is not text").into(),
            payload: Mutex::new(payload),
        };
        Self {
            details: Some(Box::new(Details {
                task: None,
                panic: Some(panic),
            })),
        }
    }

    #[cold]
    pub(crate) fn set_task(&mut self, task: Info) {
        self.details.get_or_insert_default().task = Some(task);
    }

    fn panic(&self) -> Option<&Panic> {
        self.details.as_ref()?.panic.as_ref()
    }

    /// Returns the task: its id, its name if it has one, and the place that has spawned it if that is known. Returns
    /// `None` for a blocking job.
    #[must_use]
    pub fn task(&self) -> Option<&Info> {
        self.details.as_ref()?.task.as_ref()
    }

    /// Returns true if the task was aborted, or ended with its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.panic().is_none()
    }

    /// Returns true if the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.panic().is_some()
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
    pub fn try_into_panic(mut self) -> Result<Box<dyn Any + Send>, Self> {
        let details = self.details.as_mut();
        match details.and_then(|details| details.panic.take()) {
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
        match self.task() {
            Some(task) => write!(f, "{task}")?,
            None => f.write_str("the task")?,
        }
        match self.panic() {
            None => f.write_str(" was cancelled"),
            Some(panic) => write!(f, " panicked: {}", panic.message),
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
