//! The counted code: the two functions here and their callees, and no other code.
//!
//! Callgrind finds them by name ([`ENTRY_POINT`]), so set-up stays outside, and a benchmark may count
//! several times.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Matches the functions below for all their type parameters.
pub(crate) const ENTRY_POINT: &str = "micro::counted::in_*";

/// Counts a call.
pub(crate) fn call<T>(f: impl FnOnce() -> T) -> T {
    black_box(in_call(f))
}

/// Counts the polls of a future, and not what happens between them.
pub(crate) async fn future<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    black_box(poll_fn(|cx| in_poll(future.as_mut(), cx)).await)
}

#[inline(never)]
fn in_call<T>(f: impl FnOnce() -> T) -> T {
    f()
}

#[inline(never)]
fn in_poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}
