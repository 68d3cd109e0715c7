//! Stage 7: sleep by a heap, then by a wheel.

mod context;
mod executor;
mod heap;
mod join;
mod join_error;
mod join_handle;
mod oneshot;
mod queue;
mod race;
mod runtime;
mod sleep;
mod task_table;
mod timers;
mod waker;
mod wheel;
mod yield_now;

pub use context::spawn;
pub use heap::Heap;
pub use join::join;
pub use join_error::JoinError;
pub use join_handle::JoinHandle;
pub use oneshot::{Receiver, Sender, oneshot};
pub use race::race;
pub use runtime::{Runtime, block_on};
pub use sleep::{Sleep, sleep};
pub use wheel::{Key, Wheel};
pub use yield_now::{YieldNow, yield_now};
