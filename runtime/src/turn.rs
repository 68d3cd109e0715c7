//! Nim's `poll()`, for accept loops that are written like Nim's.
//!
//! # How it works
//!
//! The executor notifies a [`Notify`](crate::Notify) after each turn in which the reactor has delivered events.
//!
//! # Invariants
//!
//! - Always: completes after 500 ms, also without an event.

use std::time::Duration;

use crate::context;
use crate::race::race;
use crate::time::sleep;

/// The time that [`turn`] waits at most.
const TURN_MAX: Duration = Duration::from_millis(500);

/// Completes when the reactor has delivered an event, or after 500 ms.
///
/// Use it in accept loops in the style of Nim: `else: poll()`. If your task waits for one particular event,
/// await that event instead.
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Cancel safety
///
/// Safe.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, spawn, time::sleep, turn};
///
/// block_on(async {
///     let task = spawn(sleep(Duration::from_millis(1)));
///     // A loop in the style of Nim: look, and otherwise poll.
///     while !task.is_finished() {
///         turn().await;
///     }
/// });
/// ```
#[doc(alias = "poll")]
pub async fn turn() {
    // A clone, because no borrow of the executor may live across an await.
    let delivered = context::with("turn", "awaited", |executor| executor.delivered().clone());
    race(delivered.notified(), sleep(TURN_MAX)).await;
}
