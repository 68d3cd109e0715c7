//! Nim's `poll()`, inside the loop.

use std::time::Duration;

use crate::context;
use crate::race::race;
use crate::time::sleep;

/// The longest [`turn`] waits.
const TURN_MAX: Duration = Duration::from_millis(500);

/// Resumes once the reactor has delivered something, or 500 ms have passed.
///
/// For accept loops written as Nim's are: `else: poll()`. Where the wait is for something
/// particular, await that instead.
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
