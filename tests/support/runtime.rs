//! Tools for tests of the runtime: a deadline, pairs of sockets, and values that count.

use std::cell::Cell;
use std::future::Future;
use std::net;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::Duration;

use waterwheel::runtime::net::{Connected, Stream, TcpListener, TcpStream, UnixStream};
use waterwheel::runtime::{block_on, join, race, time, yield_now};

/// The longest time for one test. Several builds beside the tests make some of them take 30 s, and a test that
/// hangs never ends.
const DEADLINE: Duration = Duration::from_secs(180);

/// Runs a test. Ends the process, with the test's name, if the deadline passes.
pub(crate) fn within_deadline<T>(test: impl FnOnce() -> T) -> T {
    let (running, watched) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        if watched.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} did not end within {DEADLINE:?}");
            std::process::abort();
        }
    });
    let value = test();
    drop(running);
    value
}

/// Runs a future as a test, in a runtime of its own.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    within_deadline(|| block_on(test))
}

/// Returns the value of a future. Fails if the future waits too long, so that a test never hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let late = async {
        time::sleep(Duration::from_secs(5)).await;
        None
    };
    let value = race(async { Some(future.await) }, late).await;
    value.expect("the task is not woken")
}

/// Lets the other tasks run this many times.
pub(crate) async fn turns(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// A waker whose clones can be counted.
pub(crate) struct Bell;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {}
}

/// Returns two connected streams: the client's, and the server's.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap();
    let (connected, accepted) = join(TcpStream::connect(address), listener.accept()).await;
    (connected.unwrap(), accepted.unwrap().0)
}

/// Returns a stream of the runtime and its blocking peer.
pub(crate) async fn tcp_with_std() -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await;
    (ours.unwrap(), listener.accept().unwrap().0)
}

/// Returns a Unix stream of the runtime and its blocking peer.
pub(crate) fn unix_with_std() -> (UnixStream, std::os::unix::net::UnixStream) {
    let (ours, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    (UnixStream::from_std(ours).unwrap(), peer)
}

/// Writes until there is no more room. Returns the number of bytes.
pub(crate) fn fill<S: Connected>(stream: &Stream<S>) -> usize {
    let mut filled = 0;
    while let Ok(count) = stream.try_write(&[0; 4096]) {
        filled += count;
    }
    filled
}

/// A list that tasks write into, to show in which order they ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log<T>(Rc<std::cell::RefCell<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::default())
    }

    pub(crate) fn add(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Returns a value that counts up in a cell when it is dropped.
pub(crate) fn count_drop(count: &Rc<Cell<u32>>) -> OnDrop<impl FnMut() + use<>> {
    let count = count.clone();
    OnDrop(move || count.set(count.get() + 1))
}

/// Counts how often the future inside is polled.
pub(crate) struct Counted<F> {
    pub(crate) future: F,
    pub(crate) polls: Rc<Cell<u32>>,
}

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls.set(self.polls.get() + 1);
        Pin::new(&mut self.future).poll(cx)
    }
}

/// Returns the message of the panic of `action`.
pub(crate) fn panic_text(action: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
    let payload = panic.expect_err("no panic");
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .expect("a panic without a message")
}
