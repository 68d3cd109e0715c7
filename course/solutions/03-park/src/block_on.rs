//! Runs a future to its end. The thread sleeps while the future waits.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// The value of a future, and the work that it took.
#[derive(Debug)]
pub struct Counted<T> {
    pub value: T,
    /// The number of polls.
    pub polls: u64,
}

/// Wakes the thread that runs the future.
struct ThreadWaker {
    thread: Thread,
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        // BEGIN TODO 1
        //> Unpark the thread.
        self.thread.unpark();
        // END TODO
    }
}

/// Polls `future` until it is ready, and parks the thread between the polls.
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_counted(future).value
}

/// The same as [`block_on`], and counts the polls.
pub fn block_on_counted<F: Future>(future: F) -> Counted<F::Output> {
    let mut future = pin!(future);
    // BEGIN TODO 2
    //> Make a `ThreadWaker` of `thread::current()`. `Waker::from(Arc::new(…))` makes a waker of it. Then loop as in
    //> stage 2, but call `thread::park()` after a poll that returns `Pending`.
    let waker = Waker::from(Arc::new(ThreadWaker {
        thread: thread::current(),
    }));
    let mut cx = Context::from_waker(&waker);
    let mut polls = 0;
    loop {
        polls += 1;
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Counted { value, polls };
        }
        thread::park();
    }
    // END TODO
}
