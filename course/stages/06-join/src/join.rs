//! Two futures at once in one task, until both are ready.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Runs both futures to their end, and returns both values.
pub async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let mut first = pin!(first);
    let mut second = pin!(second);
    let mut values: (Option<A::Output>, Option<B::Output>) = (None, None);
    poll_fn(move |cx| {
        // TODO 1: Poll each future that has no value yet, with `first.as_mut().poll(cx)`, and store the value of one that is
        // ready. Poll both in any case: no wake comes for a future that this poll has left out. Return the two values
        // if both are there (`values.0.take()`), and `Poll::Pending` otherwise.
        todo!("TODO 1")
    })
    .await
}
