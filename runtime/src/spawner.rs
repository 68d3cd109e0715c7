//! A spawner for libraries that take one: `futures-task`, and hyper with its feature.
//!
//! # How it works
//!
//! The spawner is empty. It finds the runtime through the thread, as [`spawn`](crate::spawn) does. So it is `Send`
//! and `Sync`, and any number of libraries can have a copy.

use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn, SpawnError};

use crate::context;
use crate::watch::Place;

/// Spawns tasks in the runtime that the thread is inside. It implements [`futures_task::LocalSpawn`] and
/// [`futures_task::Spawn`], and with the feature `hyper` also `hyper::rt::Executor`, for futures that need not be
/// `Send`.
///
/// [`futures_task::LocalSpawn`]: https://docs.rs/futures-task/0.3/futures_task/trait.LocalSpawn.html
/// [`futures_task::Spawn`]: https://docs.rs/futures-task/0.3/futures_task/trait.Spawn.html
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use futures_task::LocalSpawn;
/// use waterwheel::runtime::{LocalSpawner, block_on, yield_now};
///
/// let seen = Rc::new(Cell::new(false));
/// block_on(async {
///     let seen = seen.clone();
///     let future = Box::pin(async move { seen.set(true) });
///     LocalSpawner.spawn_local_obj(future.into()).unwrap();
///     yield_now().await;
/// });
/// assert!(seen.get());
/// assert!(LocalSpawner.status_local().is_err()); // outside a runtime
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[doc(alias = "LocalExecutor")]
pub struct LocalSpawner;

impl LocalSpawn for LocalSpawner {
    /// # Errors
    ///
    /// Fails outside a runtime.
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        // An error, and not a panic: the trait lets a library choose what to do.
        let spawned =
            context::try_with(move |executor| executor.spawn_detached(future, Place::here()));
        spawned.ok_or_else(SpawnError::shutdown)
    }

    fn status_local(&self) -> Result<(), SpawnError> {
        let inside = context::with_borrowed(|_| ());
        inside.ok_or_else(SpawnError::shutdown)
    }
}

impl Spawn for LocalSpawner {
    /// # Errors
    ///
    /// Fails outside a runtime. To spawn from another thread, use a [`Handle`](crate::Handle).
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        // The future stays on this thread although it could leave it, because the runtime has no other.
        self.spawn_local_obj(future.into())
    }

    fn status(&self) -> Result<(), SpawnError> {
        self.status_local()
    }
}
