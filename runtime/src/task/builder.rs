//! Spawns a task with a name.
//!
//! # How it works
//!
//! The name is in a table beside the tasks, and is removed at the end of its task.
//!
//! # Invariants
//!
//! - Always: a task without a name costs nothing here.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use crate::context;
use crate::join_handle::JoinHandle;
use crate::task_names::NamedTask;
use crate::watch::Place;

/// Spawns a task with a name, for its [`JoinError`](crate::JoinError), for the report of the tasks that are alive and
/// for [hooks](crate::RuntimeBuilder).
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, task};
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     task::Builder::new().name("heartbeat").spawn(std::future::pending::<()>()).detach();
/// });
/// let alive = runtime.alive_tasks();
/// assert_eq!(alive[0].name(), Some("heartbeat"));
/// assert!(alive[0].location().is_some());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "call spawn"]
pub struct Builder {
    name: Option<Arc<str>>,
}

impl Builder {
    /// Makes a builder of tasks without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the task. Several tasks may have the same name.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }

    /// Spawns the task; see [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(self, future: F) -> JoinHandle<F::Output> {
        let place = Place::here();
        // Outside the closure: `#[track_caller]` does not reach into it, and the location would be this file.
        let location = Location::caller();
        context::with("a task", "spawned", |executor| {
            let handle = executor.spawn(future, place);
            if let Some(name) = self.name {
                let (task, _) = handle.parts();
                executor.tracker().named(task, &name);
                executor.name(task, NamedTask { name, location });
            }
            handle
        })
    }
}
