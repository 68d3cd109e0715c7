//! The runtimes that are compared, behind two thin traits.
//!
//! The workloads are written once, against these traits. A runtime's file only maps names. Futures must be
//! `Send`, because `tokio::spawn` asks for it.

mod local_pool;
mod smol;
mod tokio;
mod waterwheel;

pub(crate) use local_pool::LocalPool;
pub(crate) use smol::Smol;
pub(crate) use tokio::Tokio;
pub(crate) use waterwheel::Waterwheel;

use std::io;
use std::net::TcpStream;
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

    /// Runs a job on a thread for blocking work and returns its value.
    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;
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
