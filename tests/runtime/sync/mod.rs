//! Claims about the channels, the locks and the notifications between tasks. Several are bugs that other
//! runtimes had; the number of the report stands beside them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

mod broadcast;
mod cancellation;
mod mpsc;
mod notify;
mod oneshot;
mod semaphore;
mod waits;
mod watch;

/// Polls a future once, outside any task.
fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Makes a boxed future that has begun to wait.
fn waiting<'a, F: Future + 'a>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll(future.as_mut()).is_none(), "it does not wait");
    future
}

/// A waker that panics when it is woken.
struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}
