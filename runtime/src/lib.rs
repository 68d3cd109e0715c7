//! A single-threaded async runtime, written from scratch and meant to be read.
//!
//! ```
//! use std::time::Duration;
//! use waterwheel_runtime::{block_on, spawn, time::sleep};
//!
//! block_on(async {
//!     let task = spawn(async {
//!         sleep(Duration::from_millis(5)).await;
//!         "five milliseconds later"
//!     });
//!     assert_eq!(task.await.unwrap(), "five milliseconds later");
//! });
//! ```
//!
//! # The story on one page
//!
//! A *task* is a future that was spawned. The *executor* owns all tasks; it polls those whose
//! names are in the *run queue*. A task that cannot go on leaves its *waker* with whatever it
//! waits for: with a socket's *source* in the *reactor* (a reader just its name), with the timing
//! *wheel*, with another task. When that comes about, the task's name is put into the run queue
//! again.
//!
//! The wheel turns like this, over and over, on one thread:
//!
//! 1. take the tasks that are ready now;
//! 2. poll each of them once;
//! 3. take in what other threads have sent;
//! 4. ask the timers for the next deadline;
//! 5. let the reactor wait for an event, until then at the most, and not at all if a task is ready;
//! 6. wake whoever can go on.
//!
//! Nothing in this crate is `unsafe`, and futures need not be `Send`: a task never leaves its
//! thread.
//!
//! # Reading order
//!
//! Each file is one idea. Read them in this order:
//!
//! - *What runs*: `yield_now` → `task` → `run_queue` → `waker` → `executor` → `join`
//! - *What waits for sockets*: `source` → `reactor` → `polled` → `context` → `net::socket`
//! - *What waits for time*: `time::wheel` → `time::sleep` → `time::timeout`
//! - *The rest*: `budget`, `pool`, `blocking`, `thread_pool`, `signal`, `descriptors`, `notify`, `race`
//!
//! # What is where
//!
//! | to | use |
//! |---|---|
//! | run a future | [`block_on`](fn@block_on), or a [`Runtime`] if you have a loop of your own |
//! | run one beside it | [`spawn`], which gives a [`JoinHandle`]; [`spawn_detached`] |
//! | wait for two | [`join`](fn@join), [`race`](fn@race) |
//! | wait for time | [`time`] |
//! | talk | [`net`] |
//! | do what blocks | [`spawn_blocking`], or a [`ThreadPool`] of your own |
//! | come in from another thread | [`Handle`] |
//! | end on Ctrl-C | [`signal`] |
//! | know the limits | [`descriptors`] |

mod blocking;
pub mod budget;
mod context;
pub mod descriptors;
mod executor;
mod held;
mod join;
mod join_error;
mod local_queue;
pub mod net;
mod notify;
mod panics;
mod polled;
mod pool;
mod probe;
mod race;
mod reactor;
mod remote;
mod runtime;
pub mod signal;
mod source;
mod task;
mod thread_pool;
pub mod time;
mod turn;
mod waiter;
mod waker;
mod yield_now;

pub use blocking::{Blocking, spawn_blocking};
pub use context::{Handle, RuntimeGone, spawn, spawn_detached};
pub use join::JoinHandle;
pub use join_error::JoinError;
pub use notify::Notify;
pub use pool::THREADS_MAX;
pub use race::{Join, Race, join, race};
pub use runtime::{Runtime, block_on};
pub use thread_pool::ThreadPool;
pub use turn::turn;
pub use yield_now::{YieldNow, yield_now};
