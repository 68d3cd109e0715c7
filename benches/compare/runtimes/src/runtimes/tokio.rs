//! tokio on one thread.

use super::{Runtime, Spawned, WithIo, one_by_one};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{self, JoinHandle, LocalSet};
use tokio::time;

/// The `current_thread` runtime: `block_on` and `spawn`. With `LOCAL` a `LocalSet` in it, whose tasks need not
/// be `Send`: `LocalSet::block_on` and `spawn_local`.
pub(crate) struct Tokio<const LOCAL: bool>;

impl<const LOCAL: bool> Runtime for Tokio<LOCAL> {
    const NAME: &'static str = if LOCAL { "tokio LocalSet" } else { "tokio" };

    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn block_on<F: Future>(root: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("the process has descriptors left");
        if LOCAL {
            LocalSet::new().block_on(&runtime, root)
        } else {
            runtime.block_on(root)
        }
    }

    fn spawn<F: Spawned>(future: F) -> JoinHandle<F::Output> {
        if LOCAL {
            task::spawn_local(future)
        } else {
            tokio::spawn(future)
        }
    }

    fn spawn_detached(future: impl Spawned<Output = ()>) {
        drop(Self::spawn(future));
    }

    async fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("no task panics")
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        task::yield_now()
    }

    fn spawn_one_by_one(count: u32) -> JoinHandle<u64> {
        Self::spawn(one_by_one(count, |number| {
            Self::join(Self::spawn(async move { number }))
        }))
    }
}

impl<const LOCAL: bool> WithIo for Tokio<LOCAL> {
    type Sleep = time::Sleep;
    type Stream = TcpStream;

    fn sleep(duration: Duration) -> time::Sleep {
        time::sleep(duration)
    }

    fn stream(socket: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(socket)
    }

    async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    async fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }

    async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
        task::spawn_blocking(job).await.expect("no job panics")
    }
}
