//! The runtimes that are compared, behind two thin traits.
//!
//! The workloads are written once, against these traits. A runtime's file only maps names. Futures must be
//! `Send`, because `tokio::spawn` asks for it.

mod local_pool;
mod parts;
mod smol;
mod tokio;
mod waterwheel;

pub(crate) use local_pool::LocalPool;
pub(crate) use parts::{Ball, Part};
pub(crate) use smol::Smol;
pub(crate) use tokio::Tokio;
pub(crate) use waterwheel::Waterwheel;

use std::io;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

/// A future that a runtime can spawn.
pub(crate) trait Spawned: Future<Output: Send + 'static> + Send + 'static {}

impl<F: Future<Output: Send + 'static> + Send + 'static> Spawned for F {}

/// A runtime on one thread: tasks, and waiting for them.
pub(crate) trait Runtime: 'static {
    /// Its name in the tables.
    const NAME: &'static str;

    /// Awaits a spawned task.
    type Handle<T: Send + 'static>;

    /// Makes a runtime, runs `root` in it, and drops it.
    fn block_on<F: Future>(root: F) -> F::Output;

    /// Spawns a task. The caller is inside `block_on`, in all functions below.
    fn spawn<F: Spawned>(future: F) -> Self::Handle<F::Output>;

    /// Spawns a task without a handle, in the cheapest way that the runtime has.
    fn spawn_detached(future: impl Spawned<Output = ()>);

    /// Waits for a task and returns its value.
    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> impl Future<Output = T>;

    /// The runtime's own way to let other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Spawns a task that does [`one_by_one`]. Each runtime has to do that itself, because handles are `Send`
    /// in some runtimes only.
    fn spawn_one_by_one(count: u32) -> Self::Handle<u64>;
}

/// A runtime that also has timers, sockets and threads for blocking work.
pub(crate) trait WithIo: Runtime {
    /// Completes after a duration.
    type Sleep: Future + Send + 'static;

    /// A connected socket.
    type Stream: Send + 'static;

    /// A connected datagram socket.
    type Datagrams: Send + Sync + 'static;

    /// Makes a timer. The runtime arms it at the first poll.
    fn sleep(duration: Duration) -> Self::Sleep;

    /// Takes over a socket that is non-blocking already.
    fn stream(socket: TcpStream) -> io::Result<Self::Stream>;

    /// Reads bytes, and waits until there are any.
    fn read(
        stream: &mut Self::Stream,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes all bytes.
    fn write_all(
        stream: &mut Self::Stream,
        bytes: &[u8],
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Takes over a datagram socket that is non-blocking already.
    fn datagrams(socket: UdpSocket) -> io::Result<Self::Datagrams>;

    /// Sends a datagram to the connected peer.
    fn send_datagram(
        socket: &Self::Datagrams,
        bytes: &[u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;

    /// Waits for a datagram and receives it.
    fn receive_datagram(
        socket: &Self::Datagrams,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;

    /// Runs a job on a thread for blocking work and returns its value.
    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;
}

/// A runtime beside the channels, semaphores and sets of tasks that its users use with it. They need not be
/// `Send`.
pub(crate) trait WithSync: Runtime {
    /// Sends numbers to one receiver.
    type Sender: 'static;
    /// Receives them.
    type Receiver: 'static;
    /// Sends one value.
    type Answer<T: 'static>: 'static;
    /// Receives it.
    type Question<T: 'static>: 'static;
    /// A number of permits; clones share them.
    type Semaphore: Clone + 'static;
    /// A set of tasks that return numbers.
    type JoinSet: 'static;

    /// Makes a channel with room for so many numbers.
    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver);

    /// Waits for room and sends a number. The receiver must be there.
    async fn send(sender: &mut Self::Sender, number: u32);

    /// Waits for a number. Returns `None` when the sender is gone.
    async fn receive(receiver: &mut Self::Receiver) -> Option<u32>;

    /// Makes a channel for one value.
    fn oneshot<T: 'static>() -> (Self::Answer<T>, Self::Question<T>);

    /// Sends the value, if the receiver is there.
    fn answer<T: 'static>(answer: Self::Answer<T>, value: T);

    /// Waits for the value. The sender must be there.
    async fn ask<T: 'static>(question: Self::Question<T>) -> T;

    /// Makes a semaphore with so many permits.
    fn semaphore(permits: usize) -> Self::Semaphore;

    /// Waits for a permit, does `work`, and returns the permit.
    async fn hold<F: Future<Output = ()>>(semaphore: &Self::Semaphore, work: F);

    /// Makes an empty set.
    fn join_set() -> Self::JoinSet;

    /// Spawns a task that returns `number` at once.
    fn spawn_into(set: &mut Self::JoinSet, number: u32);

    /// Waits for the next task to end. Returns `None` if the set is empty.
    async fn join_next(set: &mut Self::JoinSet) -> Option<u32>;

    /// Spawns a task that does the part. Each runtime has to do that itself, for the same reason as in
    /// [`spawn_one_by_one`](Runtime::spawn_one_by_one).
    fn spawn_part(part: Part<Self>) -> Self::Handle<u64>
    where
        Self: Sized;
}

/// Spawns `count` tasks, each after the one before has been joined. Returns the sum of their values.
pub(crate) async fn one_by_one<J: Future<Output = u32>>(
    count: u32,
    spawn_and_join: impl Fn(u32) -> J,
) -> u64 {
    let mut sum = 0;
    for number in 0..count {
        sum += u64::from(spawn_and_join(number).await);
    }
    sum
}
