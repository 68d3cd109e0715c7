//! Waterwheel.

use super::{Runtime, Spawned, WithIo, one_by_one};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io;
use std::time::Duration;
use waterwheel::runtime::net::TcpStream;
use waterwheel::runtime::{self, JoinHandle, time};

/// `block_on` and `spawn` of `waterwheel::runtime`.
pub(crate) struct Waterwheel;

impl Runtime for Waterwheel {
    const NAME: &'static str = "waterwheel";

    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn block_on<F: Future>(root: F) -> F::Output {
        runtime::block_on(root)
    }

    fn spawn<F: Spawned>(future: F) -> JoinHandle<F::Output> {
        runtime::spawn(future)
    }

    fn spawn_detached(future: impl Spawned<Output = ()>) {
        runtime::spawn_detached(future);
    }

    async fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("no task panics")
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        runtime::yield_now()
    }

    fn spawn_one_by_one(count: u32) -> JoinHandle<u64> {
        runtime::spawn(one_by_one(count, |number| {
            Self::join(Self::spawn(async move { number }))
        }))
    }
}

impl WithIo for Waterwheel {
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
        let value = runtime::spawn_blocking(job).await;
        value.expect("no job panics")
    }
}
