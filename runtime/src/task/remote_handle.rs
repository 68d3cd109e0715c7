//! Spawns a task from another thread, and awaits its value there.
//!
//! # How it works
//!
//! The other thread sends a closure. The closure makes the future on the runtime's thread, so the future need not be
//! `Send`. The value goes back through the slot that a blocking job has, too.
//!
//! # Invariants
//!
//! - Always: the handle has an outcome in the end, also if the runtime ends before it has read the message.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::blocking::Blocking;
use crate::context::{self, Handle, RuntimeGone};
use crate::join_error::JoinError;
use crate::remote::Message;
use crate::watch::Place;

impl Handle {
    /// Spawns a task on the runtime's thread that calls `make` and awaits its future. Returns a handle for the value
    /// that any thread and any runtime can await. If the handle is dropped, the task runs on.
    ///
    /// If `make` panics, only that task ends, and the handle returns the panic.
    ///
    /// # Errors
    ///
    /// Returns [`RuntimeGone`] if the runtime has ended. If the runtime ends after this call, the handle returns an
    /// error for which [`JoinError::is_cancelled`] holds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    /// use std::time::Duration;
    /// use waterwheel::runtime::{Handle, block_on, spawn_blocking, time::sleep};
    ///
    /// block_on(async {
    ///     let handle = Handle::current();
    ///     let answer = spawn_blocking(move || {
    ///         // On another thread. The future has an `Rc`, and runs on the thread of `handle`.
    ///         let task = handle.spawn_with(|| async {
    ///             let rc = Rc::new(6);
    ///             sleep(Duration::from_millis(1)).await;
    ///             *rc * 7
    ///         });
    ///         block_on(task.unwrap()) // or any other way to await
    ///     });
    ///     assert_eq!(answer.await.unwrap().unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_with<F>(
        &self,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<RemoteHandle<F::Output>, RuntimeGone>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (end, value) = Blocking::of_task();
        let place = Place::here();
        // `make` runs inside the inner task, where a panic is caught.
        let run = Box::new(move || {
            context::with("a task", "spawned", |executor| {
                let task = executor.spawn(async move { make().await }, place);
                executor.spawn_detached(async move { end.set(task.await) }, place);
            });
        });
        match self.remote().send(Message::Run(run)) {
            Ok(()) => Ok(RemoteHandle { value }),
            Err(_) => Err(RuntimeGone::new()),
        }
    }
}

/// Awaits the value of a task that was spawned from another thread, by [`Handle::spawn_with`].
///
/// # Errors
///
/// Awaiting it returns a [`JoinError`] if the task panicked or ended with its runtime.
///
/// # Panics
///
/// Panics if it is polled again after it has returned the value.
///
/// # Cancel safety
///
/// Safe: the value stays until the handle returns it. Dropping the handle does not end the task.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Handle, block_on, task::RemoteHandle};
///
/// block_on(async {
///     let task: RemoteHandle<u32> = Handle::current().spawn_with(|| async { 42 }).unwrap();
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
pub struct RemoteHandle<T> {
    value: Blocking<T>,
}

impl<T> Future for RemoteHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.value).poll(cx)
    }
}

impl<T> fmt::Debug for RemoteHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteHandle").finish_non_exhaustive()
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<RemoteHandle<u8>>();
};
