//! Stage 10: cancel by drop.

mod context;
mod executor;
mod join;
mod join_error;
mod join_handle;
mod net;
mod oneshot;
mod queue;
mod race;
mod reactor;
mod registration;
mod runtime;
mod sleep;
mod source;
mod task_table;
mod timeout;
mod timers;
mod waker;
mod wheel;
mod yield_now;

pub use context::{Counts, counts, spawn};
pub use join::join;
pub use join_error::JoinError;
pub use join_handle::JoinHandle;
pub use net::{TcpListener, TcpStream, system_calls};
pub use oneshot::{Receiver, Sender, oneshot};
pub use race::race;
pub use runtime::{Runtime, block_on};
pub use sleep::{Sleep, sleep};
pub use timeout::{Elapsed, timeout};
pub use yield_now::{YieldNow, yield_now};
