//! Stage 4: a queue of tasks.

mod context;
mod executor;
mod oneshot;
mod queue;
mod runtime;
mod sleep;
mod task_table;
mod waker;
mod yield_now;

pub use context::spawn;
pub use oneshot::{Receiver, Sender, oneshot};
pub use runtime::{Runtime, block_on};
pub use sleep::sleep;
pub use yield_now::{YieldNow, yield_now};
