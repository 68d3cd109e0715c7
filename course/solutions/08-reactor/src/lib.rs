//! Stage 8: epoll and edges.

mod context;
mod executor;
mod join;
mod join_error;
mod join_handle;
mod oneshot;
mod queue;
mod race;
mod reactor;
mod registration;
mod runtime;
mod sleep;
mod source;
mod task_table;
mod timers;
mod waker;
mod wheel;
mod yield_now;

pub use context::spawn;
pub use join::join;
pub use join_error::JoinError;
pub use join_handle::JoinHandle;
pub use oneshot::{Receiver, Sender, oneshot};
pub use race::race;
pub use registration::Registration;
pub use runtime::{Runtime, block_on};
pub use sleep::{Sleep, sleep};
pub use source::Direction;
pub use yield_now::{YieldNow, yield_now};
