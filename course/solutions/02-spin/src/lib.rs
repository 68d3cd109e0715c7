//! Stage 2: a loop that polls.

mod block_on;
mod countdown;
mod deadline;
mod yield_now;

pub use block_on::{Spun, block_on, block_on_counted};
pub use countdown::Countdown;
pub use deadline::Deadline;
pub use yield_now::{YieldNow, yield_now};
