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
        if values.0.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(cx)
        {
            values.0 = Some(value);
        }
        if values.1.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(cx)
        {
            values.1 = Some(value);
        }
        match (values.0.take(), values.1.take()) {
            (Some(one), Some(two)) => Poll::Ready((one, two)),
            not_both => {
                values = not_both;
                Poll::Pending
            }
        }
    })
    .await
}
