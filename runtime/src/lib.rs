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
//! A *task* is a future that was spawned. The *executor* owns all tasks, and polls those whose ids are in the
//! *local queue*. A task that must wait leaves its *waker*, or only its id, in one of three places: with the
//! *source* of a socket in the *reactor*, in the timing *wheel*, or with another task. When the event comes,
//! the id goes into the queue again.
//!
//! The loop repeats this turn, on one thread:
//!
//! 1. Poll the tasks that are ready. Then, list by list, poll the tasks that were woken meanwhile, until at
//!    least 64 were polled. Read the messages of other threads after each list.
//! 2. If the clock is paused and no task is ready, move it to the next deadline.
//! 3. Find out how long the thread may wait: until the next deadline, or not at all if a task is ready.
//! 4. Wait for an event or a message for that time. Queue the tasks that have events in front of all others.
//!    Read the messages.
//! 5. Read the clock and move the wheel to it. Wake the due timers and the foreign wakers of sockets.
//!
//! A turn that has polled 64 tasks starts no further list, but it polls a list that it has started to the end.
//!
//! This crate has no `unsafe` code. A future need not be `Send`, because a task never leaves its thread.
//!
//! # Reading order
//!
//! Each file is one idea, and imports only files that stand before it in this list. A test (`tests/house`)
//! holds this. If you want to see a future first, begin with `yield_now`, the smallest one.
//!
//! - *Ready*: `sync` → `local_queue` → `yield_now` → `budget` → `race` → `join` → `panics` → `notify`
//! - *Woken*: `remote` → `waker`
//! - *Sockets*: `source` → `reactor` → `directory` → `current_task`
//! - *Tasks*: `waiter` → `join_error` → `watch` → `task` → `join_handle`
//! - *Time*: `wheel` → `instant` → `timers`
//! - *The turn*: `pool` → `executor` → `context` → `now` → `runtime`
//! - *Systems*: `sys::no_signal` → `sys::defer_accept` → `sys::linux` → `sys::other` → `sys`
//! - *On top*: `time::sleep` → `time::timeout` → `time::interval` → `time` → `turn` → `probe` → `descriptors`
//! - *Jobs*: `blocking` → `thread_pool`
//! - *Sockets for programs*: `net::socket` → `net::stream` → `net::split` →
//!   `net::tcp_stream` → `net::lookup` → `net::destination` → `net::connect_options` → `net::listener` →
//!   `net::tcp_listener` → `net::socket_file` → `net::unix` → `net::listen_options` →
//!   `net::async_fd`
//! - *Beside the core* (skip these at first): `net::datagram` → `net::udp` → `net::unix_datagram` → `net` → `signal` →
//!   `io::copy` → `io::pipe` → `io::on_pool` → `io::stdio` → `io` → `fs::whole` → `fs::file` → `fs::read_dir` →
//!   `fs` → `process::exit` → `process::child` → `process::command` → `process` →
//!   `spawner` → `hyper_rt` → `tokio_io`
//!
//! # What is where
//!
//! | to | use |
//! |---|---|
//! | run a future | [`block_on`](fn@block_on), or a [`Runtime`] if you have a loop of your own |
//! | run another future beside it | [`spawn`], which returns a [`JoinHandle`]; [`spawn_detached`] |
//! | wait for two futures | [`join`](fn@join), [`race`](fn@race) |
//! | wait for a point in time | [`time`] |
//! | wake tasks that wait for a condition | [`Notify`], with an `Rc<RefCell<…>>` for the data; any channel crate works too |
//! | connect to other programs | [`net`] |
//! | copy between streams, use pipes and the standard streams | [`io`] |
//! | use files | [`fs`] |
//! | run other programs | [`process`] |
//! | share the thread fairly | [`yield_now`], [`budget`] |
//! | do work that blocks | [`spawn_blocking`], or a [`ThreadPool`] of your own |
//! | spawn from another thread, or wake the loop | [`Handle`] |
//! | receive signals | [`signal`] |
//! | count the open descriptors | [`descriptors`] |
//!
//! # Systems
//!
//! All tests run on Linux. For macOS and FreeBSD (64 bits), the crate is compiled (`cargo check --target`), and no
//! test has run there. `sys` lists the differences.
//!
//! # Features
//!
//! Debug builds report a task that holds the thread for more than a second. With the feature `watch`, release
//! builds do so, too. The report names the place in the program that spawned the task. It is a `tracing`
//! warning, or a line on stderr if no subscriber is set.
//!
//! The feature `hyper` adds `hyper_rt`: the traits of `hyper::rt`. The feature `tokio-io` adds `tokio_io`: wrappers
//! between the streams of `futures-io` and those of tokio.

mod blocking;
pub mod budget;
mod context;
mod current_task;
pub mod descriptors;
mod directory;
mod executor;
pub mod fs;
#[cfg(feature = "hyper")]
pub mod hyper_rt;
mod instant;
pub mod io;
mod join;
mod join_error;
mod join_handle;
mod local_queue;
#[cfg(all(test, loom))]
mod models;
pub mod net;
mod notify;
mod now;
mod panics;
mod pool;
mod probe;
pub mod process;
mod race;
mod reactor;
mod remote;
mod runtime;
pub mod signal;
mod source;
mod spawner;
mod sync;
mod sys;
mod task;
mod thread_pool;
pub mod time;
mod timers;
#[cfg(feature = "tokio-io")]
pub mod tokio_io;
mod turn;
mod waiter;
mod waker;
pub mod watch;
mod wheel;
mod yield_now;

pub use blocking::{Blocking, spawn_blocking};
pub use context::{Handle, RuntimeGone, spawn, spawn_detached};
pub use join::{Join, join};
pub use join_error::JoinError;
pub use join_handle::JoinHandle;
pub use notify::Notify;
pub use pool::THREADS_MAX;
pub use race::{Race, race};
pub use runtime::{Runtime, block_on};
pub use spawner::LocalSpawner;
pub use thread_pool::ThreadPool;
pub use turn::turn;
pub use yield_now::{YieldNow, yield_now};
