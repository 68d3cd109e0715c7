//! Stage 3: a parked thread and its waker.

mod block_on;
mod oneshot;
mod sleep;
mod yield_now;

pub use block_on::{Counted, block_on, block_on_counted};
pub use oneshot::{Receiver, Sender, oneshot};
pub use sleep::sleep;
pub use yield_now::{YieldNow, yield_now};
