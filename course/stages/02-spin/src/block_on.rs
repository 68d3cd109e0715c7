//! Runs a future to its end, by polling it again and again.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The value of a future, and the work that it took.
#[derive(Debug)]
pub struct Spun<T> {
    pub value: T,
    /// The number of polls.
    pub polls: u64,
}

/// Polls `future` until it is ready.
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_counted(future).value
}

/// The same as [`block_on`], and counts the polls.
pub fn block_on_counted<F: Future>(future: F) -> Spun<F::Output> {
    // TODO 1: Pin the future with `pin!`, and make a context of `Waker::noop()`, as in stage 1. Then poll in a loop. Count
    // each poll. When the future is ready, return the value and the number of polls.
    todo!("TODO 1")
}
