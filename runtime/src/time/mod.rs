//! Time: sleeps, timeouts, intervals, and their clock.
//!
//! # How it works
//!
//! Each runtime has one timing wheel with ticks of 1/32 of a millisecond. A [`Sleep`] enters the wheel when it
//! is first polled. Each turn of the executor moves the wheel to the present and wakes the tasks whose sleeps
//! are due. If no task is ready, the executor waits until the next deadline, rounded up to a whole
//! millisecond. A timer costs the same beside ten others as beside a million.
//!
//! # While the machine sleeps
//!
//! The clock is `CLOCK_MONOTONIC` (`clock_gettime(2)`). On Linux it stands still while the machine is suspended, and
//! so does a container or virtual machine that is frozen. So a sleep of an hour that is interrupted by a night ends
//! after an hour of running time. For a point in civil time, compare [`std::time::SystemTime`] in an
//! [`interval`](fn@interval). After a resume, each due timer fires once, and an [`Interval`] follows its policy
//! for [missed ticks](MissedTicks).
//!
//! # A paused clock, for tests
//!
//! [`pause`] stops the runtime's clock. It never runs again. From then on it moves in two ways:
//!
//! - [`advance`] moves it.
//! - If no task is ready, [`block_on`](fn@crate::block_on) and
//!   [`poll_timeout`](crate::Runtime::poll_timeout) move it to the next deadline instead of waiting.
//!
//! A paused clock is exact: timers fire in the order of their deadlines, to the nanosecond, and the clock then has
//! the time of the deadline. (Timers from before the pause fire at a multiple of 1/32 ms.)
//!
//! So a test of an hour's timeout takes no time, and has the same result every time.
//!
//! ```
//! use std::time::Duration;
//! use waterwheel::runtime::{block_on, time};
//!
//! block_on(async {
//!     time::pause();
//!     let start = time::Instant::now();
//!     time::sleep(Duration::from_secs(3600)).await; // returns at once
//!     assert_eq!(start.elapsed(), Duration::from_secs(3600));
//! });
//! ```
//!
//! A paused clock does not move while a job of [`spawn_blocking`](crate::spawn_blocking) runs. It does not know
//! of other threads or processes. If one of these is at the other end of a socket, use the real clock.

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

/// Stops the runtime's clock; see the [module](self).
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, time};
///
/// block_on(async {
///     time::pause();
///     let start = time::Instant::now();
///     std::thread::sleep(std::time::Duration::from_millis(2));
///     assert_eq!(time::Instant::now(), start);
/// });
/// ```
pub fn pause() {
    context::with("the clock", "paused", |executor| {
        executor.timers().pause();
    });
}

/// Moves a paused clock forward by `duration`.
///
/// The tasks that are ready run first, at the present time. Then the clock moves from deadline to deadline. At
/// each deadline, the tasks that it wakes run, and all tasks that these wake, for at most 64 turns. A task that
/// yields for longer sees a later time. This function does not wait for blocking jobs.
///
/// # Panics
///
/// Panics outside a runtime, and if the clock is not paused.
///
/// # Cancel safety
///
/// Not safe: if the future is dropped, the clock has moved a part of the way.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time};
///
/// block_on(async {
///     time::pause();
///     let start = time::Instant::now();
///     time::advance(Duration::from_secs(5)).await;
///     assert_eq!(start.elapsed(), Duration::from_secs(5));
/// });
/// ```
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
    // One deadline after the other, so that a task that is woken sees the time of its own deadline. It may then
    // arm further timers that are due before the end.
    let mut has_deadlines = true;
    while has_deadlines {
        has_deadlines = context::with("the clock", "advanced", |executor| {
            executor.timers().step_towards(end)
        });
        settle().await;
    }
}

/// Lets the due timers fire and the ready tasks run, until no task is ready or the turns are spent.
async fn settle() {
    for _ in 0..SETTLE_TURNS_MAX {
        // After a yield, the rest of this turn and the next advance of the wheel have happened.
        yield_now().await;
        if !local_queue::any_ready() {
            break;
        }
    }
}

/// The turns that tasks may take at one time of a paused clock. More would let two tasks that wake each other
/// stop the clock for ever.
const SETTLE_TURNS_MAX: u32 = 64;
