//! futures' `LocalPool`, which has no timers, sockets or threads.

use super::{Runtime, Spawned, one_by_one};
use futures_executor::LocalSpawner;
use futures_util::future::RemoteHandle;
use futures_util::task::LocalSpawnExt;
use std::cell::RefCell;

/// `LocalPool::run_until` and `spawn_local`.
pub(crate) struct LocalPool;

thread_local! {
    /// The crate leaves it to the program how a task finds its pool.
    static SPAWNER: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
}

fn with_spawner<T>(f: impl FnOnce(&LocalSpawner) -> T) -> T {
    SPAWNER.with_borrow(|spawner| f(spawner.as_ref().expect("this is inside block_on")))
}

impl Runtime for LocalPool {
    const NAME: &'static str = "futures LocalPool";

    type Handle<T: Send + 'static> = RemoteHandle<T>;

    fn block_on<F: Future>(root: F) -> F::Output {
        let mut pool = futures_executor::LocalPool::new();
        SPAWNER.set(Some(pool.spawner()));
        let output = pool.run_until(root);
        SPAWNER.take();
        output
    }

    fn spawn<F: Spawned>(future: F) -> RemoteHandle<F::Output> {
        let handle = with_spawner(|spawner| spawner.spawn_local_with_handle(future));
        handle.expect("the pool is there")
    }

    fn spawn_detached(future: impl Spawned<Output = ()>) {
        let spawned = with_spawner(|spawner| spawner.spawn_local(future));
        spawned.expect("the pool is there");
    }

    async fn join<T: Send + 'static>(handle: RemoteHandle<T>) -> T {
        handle.await
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        // The crate has none of its own.
        futures_lite::future::yield_now()
    }

    fn spawn_one_by_one(count: u32) -> RemoteHandle<u64> {
        Self::spawn(one_by_one(count, |number| {
            Self::join(Self::spawn(async move { number }))
        }))
    }
}
