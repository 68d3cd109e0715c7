//! Two futures at once in one task, until the first is ready.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Runs both futures until one is ready, and returns its value. The other one is dropped.
///
/// If both are ready, returns the value of `first`.
pub async fn race<T>(first: impl Future<Output = T>, second: impl Future<Output = T>) -> T {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(move |cx| {
        if let Poll::Ready(value) = first.as_mut().poll(cx) {
            return Poll::Ready(value);
        }
        second.as_mut().poll(cx)
    })
    .await
}
