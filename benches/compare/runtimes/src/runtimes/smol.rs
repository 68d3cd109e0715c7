//! smol: async-executor's `LocalExecutor` on async-io's reactor.

use super::{Runtime, Spawned, WithIo, one_by_one};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor, Task, Timer};
use std::cell::RefCell;
use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

/// `smol::block_on` and `LocalExecutor::spawn`.
pub(crate) struct Smol;

thread_local! {
    /// smol leaves it to the program how a task finds its executor.
    static EXECUTOR: RefCell<Option<Rc<LocalExecutor<'static>>>> = const { RefCell::new(None) };
}

impl Runtime for Smol {
    const NAME: &'static str = "smol";

    type Handle<T: Send + 'static> = Task<T>;

    fn block_on<F: Future>(root: F) -> F::Output {
        let executor = Rc::new(LocalExecutor::new());
        EXECUTOR.set(Some(executor.clone()));
        let output = smol::block_on(executor.run(root));
        EXECUTOR.take();
        output
    }

    fn spawn<F: Spawned>(future: F) -> Task<F::Output> {
        EXECUTOR.with_borrow(|executor| {
            let executor = executor.as_ref().expect("this is inside block_on");
            executor.spawn(future)
        })
    }

    fn spawn_detached(future: impl Spawned<Output = ()>) {
        Self::spawn(future).detach();
    }

    async fn join<T: Send + 'static>(handle: Task<T>) -> T {
        handle.await
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        smol::future::yield_now()
    }

    fn spawn_one_by_one(count: u32) -> Task<u64> {
        Self::spawn(one_by_one(count, |number| {
            Self::join(Self::spawn(async move { number }))
        }))
    }
}

impl WithIo for Smol {
    type Sleep = Timer;
    type Stream = Async<TcpStream>;

    fn sleep(duration: Duration) -> Timer {
        Timer::after(duration)
    }

    fn stream(socket: TcpStream) -> io::Result<Async<TcpStream>> {
        Async::new(socket)
    }

    async fn read(stream: &mut Async<TcpStream>, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    async fn write_all(stream: &mut Async<TcpStream>, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }

    async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
        smol::unblock(job).await
    }
}
