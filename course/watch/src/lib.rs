//! Records what a runtime does, from outside: its code need not call this crate.
//!
//! ```text
//!            poll                     poll
//!  executor ──────► Watched (a task) ──────► the future
//!      ▲               │ wake                   │
//!      └───────────────┴────────────────────────┘
//! ```
//!
//! - [`root`] and [`task`] put a layer around a future. The layer notes each poll, and passes a waker on that notes
//!   each wake.
//! - The kernel counts how often a thread has slept. [`switches`] reads that number. So a thread that waits is told from
//!   a thread that spins, whatever the code of the executor does.
//! - [`main`] runs a scene, writes its record in the format of the real runtime (`waterwheel-trace`), and checks what
//!   the record is to show.
//!
//! The real runtime records inside its code instead (`runtime/src/points.rs`). So it also sees system calls, and the
//! time that it may wait at most.

mod layers;
mod record;
mod scene;
mod switches;

pub use layers::{Watched, by_socket, by_timer, job, root, task};
pub use record::{Cause, Outcome, Record};
pub use scene::{Claim, main};
