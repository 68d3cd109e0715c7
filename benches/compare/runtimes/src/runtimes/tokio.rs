//! tokio on one thread.

use super::{Part, Runtime, Spawned, WithIo, WithSync, one_by_one};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{self, JoinHandle, JoinSet, LocalSet};
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
    type Datagrams = UdpSocket;

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

    fn datagrams(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::from_std(socket)
    }

    async fn send_datagram(socket: &UdpSocket, bytes: &[u8]) -> io::Result<usize> {
        socket.send(bytes).await
    }

    async fn receive_datagram(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
        socket.recv(buffer).await
    }

    async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
        task::spawn_blocking(job).await.expect("no job panics")
    }
}

impl<const LOCAL: bool> WithSync for Tokio<LOCAL> {
    type Sender = mpsc::Sender<u32>;
    type Receiver = mpsc::Receiver<u32>;
    type Answer<T: 'static> = oneshot::Sender<T>;
    type Question<T: 'static> = oneshot::Receiver<T>;
    type Semaphore = Arc<Semaphore>;
    type JoinSet = JoinSet<u32>;

    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::channel(capacity)
    }

    async fn send(sender: &mut Self::Sender, number: u32) {
        sender.send(number).await.expect("the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u32> {
        receiver.recv().await
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
        let _permit = semaphore.acquire().await.expect("it is open");
        work.await;
    }

    fn join_set() -> JoinSet<u32> {
        JoinSet::new()
    }

    fn spawn_into(set: &mut JoinSet<u32>, number: u32) {
        if LOCAL {
            set.spawn_local(async move { number });
        } else {
            set.spawn(async move { number });
        }
    }

    async fn join_next(set: &mut JoinSet<u32>) -> Option<u32> {
        let ended = set.join_next().await?;
        Some(ended.expect("no task panics"))
    }

    fn spawn_part(part: Part<Self>) -> JoinHandle<u64> {
        if LOCAL {
            task::spawn_local(part.run())
        } else {
            tokio::spawn(part.run())
        }
    }
}
