//! Tests under many seeds: the order of the tasks and the numbers of a test both depend on the seed.

use std::cell::Cell;
use std::future::Future;

use futures_lite::future::poll_once;
use waterwheel::runtime::{seeded, yield_now};

use super::runtime::within_deadline;

/// The seeds of a test that makes no system call.
pub(crate) const MANY: u64 = 300;

/// The seeds of a test that makes system calls.
pub(crate) const SOME: u64 = 100;

/// Runs a test under this many seeds with a paused clock. Passes the seed, so that the numbers of [`dice`] can be
/// repeated, too.
pub(crate) fn under_seeds<F: Future<Output = ()>>(seeds: u64, test: impl Fn(u64) -> F) {
    let first = std::env::var(seeded::VARIABLE).map_or(0, |seed| seed.parse().unwrap());
    let next = Cell::new(first);
    within_deadline(|| seeded::check(seeds, || test(next.replace(next.get() + 1))));
}

/// Runs a test that holds in any order of its tasks, under a thousand seeds and with a paused
/// clock. So it takes less than a second, or it is not for this.
///
/// A limit of time would pass at once while the test waits for a socket or for another thread. So such a test has no
/// other limit than the deadline of all tests. In two turns, each task runs that was ready before them.
pub(crate) fn in_any_order<F: Future<Output = ()>>(test: impl Fn() -> F) {
    within_deadline(|| seeded::check(1000, test));
}

/// Returns numbers that look random, and are the same for the same seed.
pub(crate) fn dice(seed: u64) -> impl FnMut(u32) -> u32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state >> 33).unwrap() % sides
    }
}

/// Polls a future this many times, and then drops it. Returns `None` if it was not ready.
pub(crate) async fn dropped_after<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Some(value) = poll_once(future.as_mut()).await {
            return Some(value);
        }
        // Polls again only after it was woken, or after some turns.
        yield_now().await;
    }
    None
}
