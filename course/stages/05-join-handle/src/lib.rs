//! Stage 5: the value of a task.

mod context;
mod executor;
mod join_error;
mod join_handle;
mod oneshot;
mod queue;
mod runtime;
mod sleep;
mod task_table;
mod waker;
mod yield_now;

pub use context::spawn;
pub use join_error::JoinError;
pub use join_handle::JoinHandle;
pub use oneshot::{Receiver, Sender, oneshot};
pub use runtime::{Runtime, block_on};
pub use sleep::sleep;
pub use yield_now::{YieldNow, yield_now};
