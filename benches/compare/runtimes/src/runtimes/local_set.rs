//! tokio's `LocalSet`: the same runtime, for tasks that need not be `Send`.

use super::tokio::runtime;
use super::{Runtime, Tokio, WithIo, one_by_one};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::task::{self, JoinHandle, spawn_local};

/// `LocalSet::block_on` and `spawn_local`.
pub(crate) struct LocalSet;

impl Runtime for LocalSet {
    const NAME: &'static str = "tokio LocalSet";

    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn block_on<F: Future>(root: F) -> F::Output {
        task::LocalSet::new().block_on(&runtime(), root)
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        spawn_local(future)
    }

    fn spawn_detached<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(spawn_local(future));
    }

    async fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("no task panics")
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        task::yield_now()
    }

    fn spawn_one_by_one(count: u32) -> JoinHandle<u64> {
        spawn_local(one_by_one(count, |number| {
            Self::join(Self::spawn(async move { number }))
        }))
    }
}

impl WithIo for LocalSet {
    type Sleep = <Tokio as WithIo>::Sleep;
    type Stream = <Tokio as WithIo>::Stream;

    fn sleep(duration: Duration) -> Self::Sleep {
        Tokio::sleep(duration)
    }

    fn stream(socket: std::net::TcpStream) -> io::Result<Self::Stream> {
        Tokio::stream(socket)
    }

    fn read(
        stream: &mut Self::Stream,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send {
        Tokio::read(stream, buffer)
    }

    fn write_all(
        stream: &mut Self::Stream,
        bytes: &[u8],
    ) -> impl Future<Output = io::Result<()>> + Send {
        Tokio::write_all(stream, bytes)
    }

    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        Tokio::blocking(job)
    }
}
