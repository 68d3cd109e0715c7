//! smol: async-executor's `LocalExecutor` on async-io's reactor.

use super::{Part, Runtime, Spawned, WithIo, WithSync, one_by_one};
use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use smol::channel;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;
use smol::{Async, LocalExecutor, Task, Timer};
use std::cell::RefCell;
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
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
    type Datagrams = Async<UdpSocket>;

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

    fn datagrams(socket: UdpSocket) -> io::Result<Async<UdpSocket>> {
        Async::new(socket)
    }

    async fn send_datagram(socket: &Async<UdpSocket>, bytes: &[u8]) -> io::Result<usize> {
        socket.send(bytes).await
    }

    async fn receive_datagram(socket: &Async<UdpSocket>, buffer: &mut [u8]) -> io::Result<usize> {
        socket.recv(buffer).await
    }

    async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
        smol::unblock(job).await
    }
}

impl WithSync for Smol {
    type Sender = channel::Sender<u32>;
    type Receiver = channel::Receiver<u32>;
    type Answer<T: 'static> = oneshot::Sender<T>;
    type Question<T: 'static> = oneshot::Receiver<T>;
    type Semaphore = Arc<Semaphore>;
    type JoinSet = FuturesUnordered<Task<u32>>;

    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver) {
        channel::bounded(capacity)
    }

    async fn send(sender: &mut Self::Sender, number: u32) {
        sender.send(number).await.expect("the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u32> {
        receiver.recv().await.ok()
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

    fn join_set() -> FuturesUnordered<Task<u32>> {
        FuturesUnordered::new()
    }

    fn spawn_into(set: &mut FuturesUnordered<Task<u32>>, number: u32) {
        set.push(Self::spawn(async move { number }));
    }

    async fn join_next(set: &mut FuturesUnordered<Task<u32>>) -> Option<u32> {
        set.next().await
    }

    fn spawn_part(part: Part<Self>) -> Task<u64> {
        Self::spawn(part.run())
    }
}
