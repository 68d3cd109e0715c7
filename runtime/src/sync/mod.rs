//! Between tasks: channels, locks, and a request to stop.
//!
//! All of these stay on one thread. So they take no lock and make no system call, and the values need not be
//! `Send`. Most programs share plain data in an `Rc<RefCell<…>>` or an `Rc<Cell<…>>`, because no other task runs
//! between two awaits. Use one of these if a task has to *wait* for another one:
//!
//! | a task waits for | use |
//! |---|---|
//! | one value | [`oneshot`] |
//! | messages, from many tasks to one | [`mpsc`] |
//! | messages, from many tasks to each of several | [`broadcast`] |
//! | the latest value | [`watch`] |
//! | a place among at most *n* tasks | [`Semaphore`] |
//! | a value that one task has across awaits | [`Mutex`] |
//! | a request to stop | [`CancellationToken`] |
//! | a condition on data beside it | [`Notify`] |
//!
//! # Fairness
//!
//! Waiting tasks are served in the order in which they first wait, and no later task overtakes them. A receive that
//! is ready costs a unit of the task's [budget](crate::budget). So a channel that always has messages does not
//! keep the thread.
//!
//! # Cancellation
//!
//! Each future here can be dropped at any time. It leaves no waker behind. A permit, a lock or a notification that
//! was granted to it goes to the next task in line. The section *Cancel safety* of each function says what else
//! happens.
//!
//! # Between threads
//!
//! The crates `async-channel` (the same shape as [`mpsc`], and several receivers), `async-lock` (also `RwLock`,
//! `Barrier` and `OnceCell`), `flume` and the `sync` module of `tokio` work on this runtime. A pair of bounded
//! channels of `async-channel` connects a task here with a thread:
//!
//! ```text
//!  thread:  requests.send_blocking(…)  ──►  task:  requests.recv().await
//!           answers.recv_blocking()    ◄──         answers.send(…).await
//! ```
//!
//! To run code on this thread from another one, use [`Handle::spawn_with`](crate::Handle::spawn_with). To run code
//! on another thread from here, use [`spawn_blocking`](crate::spawn_blocking).

pub mod broadcast;
mod cancellation;
mod errors;
mod handle_count;
pub mod mpsc;
mod mutex;
pub mod oneshot;
mod semaphore;
pub mod watch;

pub use crate::notify::Notify;
pub use cancellation::{CancelOnDrop, CancellationToken};
pub use errors::{Closed, SendError, TryRecvError, TrySendError};
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
