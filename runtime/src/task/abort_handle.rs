//! Ends a task from any thread, and names the task that runs.
//!
//! # How it works
//!
//! An [`AbortHandle`] has the id of a task and the inbox of its runtime. Inside the runtime it marks the task
//! directly. On another thread it sends a message that does so.
//!
//! # Invariants
//!
//! - Always: an abort of a task that has ended has no effect, because its id is stale.

use std::fmt;
use std::sync::Arc;

use crate::causes::Reason;
use crate::context;
use crate::current_task;
use crate::join_handle::JoinHandle;
use crate::local_queue::{self, TaskId};
use crate::remote::{Message, Remote};
use crate::task_names::Id;
use crate::watch::Place;

/// Returns the identity of the task that is being polled. Returns `None` outside a task, and in the future of
/// [`block_on`](fn@crate::block_on), which is not a task.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, spawn, task};
///
/// block_on(async {
///     let first = spawn(async { task::id() }).await.unwrap();
///     let second = spawn(async { task::id() }).await.unwrap();
///     assert!(first.is_some() && first != second);
///     assert_eq!(task::id(), None);
/// });
/// ```
#[must_use]
pub fn id() -> Option<Id> {
    Some(Id::of(local_queue::runtime()?, current_task::current()?))
}

/// Aborts a task, from any thread. It does not keep the task or its value alive.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{block_on, spawn, spawn_blocking};
///
/// block_on(async {
///     let task = spawn(pending::<()>());
///     let stop = task.abort_handle();
///     spawn_blocking(move || stop.abort()).await.unwrap(); // on another thread
///     assert!(task.await.unwrap_err().is_cancelled());
/// });
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskId,
    remote: Arc<Remote>,
}

impl AbortHandle {
    /// Aborts the task, as [`JoinHandle::abort`] does. Has no effect if the task or its runtime has ended.
    ///
    /// On a thread outside the runtime, the task ends after the runtime has read its messages.
    #[track_caller]
    pub fn abort(&self) {
        self.end(Reason::Abort, Some(Place::here()));
    }

    /// Aborts the task for this reason, at this place in the program.
    pub(crate) fn end(&self, reason: Reason, place: Option<Place>) {
        let task = self.task;
        let abort =
            move || _ = context::with_borrowed(|executor| executor.abort(task, reason, place));
        // A message to the own runtime would delay the abort until the inbox is read, and would need a box.
        if self.remote.is_entered() {
            abort();
        } else {
            // An error means that the runtime has ended, and the task with it.
            _ = self.remote.send(Message::Run(Box::new(abort)));
        }
    }

    /// Returns the identity of the task.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let task = spawn(async {});
    ///     assert_eq!(task.abort_handle().id(), task.id());
    /// });
    /// ```
    #[must_use]
    pub fn id(&self) -> Id {
        Id::of(self.remote.id(), self.task)
    }
}

impl<T> JoinHandle<T> {
    /// Returns a handle that aborts the task, and that can be sent to another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let task = spawn(std::future::pending::<()>());
    ///     let stop = task.abort_handle();
    ///     assert_eq!(stop.id(), task.id());
    ///     stop.abort();
    ///     assert!(task.await.unwrap_err().is_cancelled());
    /// });
    /// ```
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        let (task, remote) = self.parts();
        AbortHandle { task, remote }
    }

    /// Returns the identity of the task.
    #[must_use]
    pub fn id(&self) -> Id {
        let (task, remote) = self.parts();
        Id::of(remote.id(), task)
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .finish()
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<AbortHandle>();
};
