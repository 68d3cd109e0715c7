//! Tools for claims about each order of the tasks, and about each await at which a future can be dropped.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use waterwheel::runtime::seeded;

use crate::support::runtime::within_deadline;

/// Runs a test with 50 orders of its tasks.
pub(crate) fn run_in_many_orders<F: Future<Output = ()>>(test: impl Fn() -> F) {
    within_deadline(|| seeded::check(50, test));
}

/// Runs `attempt` again and again, and drops it after one poll, then after two, and so on, until it is ready.
/// After each drop, `check` runs.
pub(crate) async fn drop_at_each_await<T>(
    attempt: impl AsyncFn() -> T,
    check: impl AsyncFn(),
) -> T {
    for polls in 1..1000 {
        match polled(attempt(), polls).await {
            Some(value) => {
                assert!(polls > 1, "it waits nowhere");
                return value;
            }
            None => check().await,
        }
    }
    panic!("not ready after so many polls");
}

/// Polls a future at most `polls` times. Returns `None` if it is not ready by then.
async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(move |cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
