//! Time: sleeps, timeouts, intervals, and the clock they go by.
//!
//! # How it works
//!
//! Each runtime has one timing wheel with ticks of 1/32 of a millisecond. A [`Sleep`] enters it when it
//! is first polled; each turn of the loop moves the wheel to the present and wakes what is due.
//! The loop sleeps until the next deadline, rounded up to a whole millisecond.
//!
//! # A paused clock, for tests
//!
//! [`pause`] stops the runtime's clock, for good. From then on it moves in two ways. [`advance`] moves it. And
//! in [`block_on`](fn@crate::block_on) and [`poll_timeout`](crate::Runtime::poll_timeout) it jumps to the
//! next deadline instead of waiting for it. So a test of an hour's timeout takes no time and has the same
//! result every time.
//!
//! ```
//! use std::time::Duration;
//! use waterwheel_runtime::{block_on, time};
//!
//! block_on(async {
//!     time::pause();
//!     let start = time::Instant::now();
//!     time::sleep(Duration::from_secs(3600)).await; // returns at once
//!     assert_eq!(start.elapsed(), Duration::from_secs(3600));
//! });
//! ```
//!
//! The clock does not jump while a job of [`spawn_blocking`](crate::spawn_blocking) is under way.
//! It cannot know of other threads or processes: with those on the other end of a socket, use the
//! real clock.

mod interval;
mod sleep;
mod timeout;

use std::time::Duration;

pub use crate::instant::Instant;
pub use interval::{Interval, MissedTicks, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

use crate::context;
use crate::local_queue;
use crate::yield_now::yield_now;

/// Stops the runtime's clock; see the [module's documentation](self).
///
/// # Panics
///
/// Outside a runtime.
pub fn pause() {
    context::with("the clock", "paused", |executor| {
        executor.timers().pause();
    });
}

/// Moves a paused clock forward by `duration`.
///
/// The tasks that are ready run first, at the present time. Then the clock moves from deadline to deadline.
/// At each, the tasks that are woken run, and all that these wake, for at most 64 turns; a task that yields
/// for longer sees a later time. It does not wait for blocking jobs.
///
/// # Panics
///
/// Outside a runtime, or when the clock is not paused.
///
/// # Cancel safety
///
/// Not safe: the clock has moved a part of the way.
pub async fn advance(duration: Duration) {
    let paused = context::with("the clock", "advanced", |executor| {
        executor.timers().clock().is_paused()
    });
    assert!(
        paused,
        "only a paused clock can be advanced: call time::pause() first"
    );
    let end = Instant::now() + duration;
    settle().await;
    let mut on_the_way = true;
    while on_the_way {
        on_the_way = context::with("the clock", "advanced", |executor| {
            executor.timers().step_towards(end)
        });
        settle().await;
    }
}

/// Lets the due timers fire, and all tasks run that are ready, but none of them for ever.
async fn settle() {
    for _ in 0..SETTLE_TURNS_MAX {
        yield_now().await;
        if !local_queue::any_ready() {
            break;
        }
    }
}

const SETTLE_TURNS_MAX: u32 = 64;
