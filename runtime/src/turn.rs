//! Nim's `poll()`, inside the loop.

use std::time::Duration;

use crate::context;
use crate::race::race;
use crate::time::sleep;

/// The longest [`turn`] waits.
const TURN_MAX: Duration = Duration::from_millis(500);

/// Completes when the reactor has delivered an event, or after 500 ms.
///
/// It is for accept loops in the style of Nim: `else: poll()`. To wait for one particular thing, await
/// that instead.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping it is harmless.
#[doc(alias = "poll")]
pub async fn turn() {
    let delivered = context::with("turn", "awaited", |executor| executor.delivered().clone());
    race(delivered.notified(), sleep(TURN_MAX)).await;
}
