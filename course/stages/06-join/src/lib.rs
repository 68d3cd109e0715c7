//! Stage 6: join, spawn and threads.

mod context;
mod executor;
mod join;
mod join_error;
mod join_handle;
mod oneshot;
mod queue;
mod race;
mod runtime;
mod sleep;
mod task_table;
mod threads;
mod waker;
mod yield_now;

pub use context::spawn;
pub use join::join;
pub use join_error::JoinError;
pub use join_handle::JoinHandle;
pub use oneshot::{Receiver, Sender, oneshot};
pub use race::race;
pub use runtime::{Runtime, block_on};
pub use sleep::sleep;
pub use threads::on_threads;
pub use yield_now::{YieldNow, yield_now};
