//! futures' `LocalPool`, which has no timers, sockets or threads.

use super::{Part, Runtime, Spawned, WithSync, one_by_one};
use futures_channel::{mpsc, oneshot};
use futures_executor::LocalSpawner;
use futures_util::future::RemoteHandle;
use futures_util::stream::FuturesUnordered;
use futures_util::task::LocalSpawnExt;
use futures_util::{SinkExt, StreamExt};
use smol::lock::Semaphore;
use std::cell::RefCell;
use std::sync::Arc;

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

impl WithSync for LocalPool {
    type Sender = mpsc::Sender<u32>;
    type Receiver = mpsc::Receiver<u32>;
    type Answer<T: 'static> = oneshot::Sender<T>;
    type Question<T: 'static> = oneshot::Receiver<T>;
    type Semaphore = Arc<Semaphore>;
    type JoinSet = FuturesUnordered<RemoteHandle<u32>>;

    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver) {
        // Each sender has room for one message more.
        mpsc::channel(capacity - 1)
    }

    async fn send(sender: &mut Self::Sender, number: u32) {
        sender.send(number).await.expect("the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u32> {
        receiver.next().await
    }

    fn oneshot<T: 'static>() -> (oneshot::Sender<T>, oneshot::Receiver<T>) {
        oneshot::channel()
    }

    fn answer<T: 'static>(answer: oneshot::Sender<T>, value: T) {
        drop(answer.send(value));
    }

    async fn ask<T: 'static>(question: oneshot::Receiver<T>) -> T {
        question.await.expect("the sender is there")
    }

    fn semaphore(permits: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(permits))
    }

    async fn hold<F: Future<Output = ()>>(semaphore: &Arc<Semaphore>, work: F) {
        let _permit = semaphore.acquire().await;
        work.await;
    }

    fn join_set() -> FuturesUnordered<RemoteHandle<u32>> {
        FuturesUnordered::new()
    }

    fn spawn_into(set: &mut FuturesUnordered<RemoteHandle<u32>>, number: u32) {
        set.push(Self::spawn(async move { number }));
    }

    async fn join_next(set: &mut FuturesUnordered<RemoteHandle<u32>>) -> Option<u32> {
        set.next().await
    }

    fn spawn_part(part: Part<Self>) -> RemoteHandle<u64> {
        Self::spawn(part.run())
    }
}
