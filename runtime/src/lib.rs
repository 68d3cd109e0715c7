//! The runtime of Waterwheel: a single-threaded executor, written from scratch and meant to be read.
//!
//! Programs depend on the crate `waterwheel`, in which this crate is the module `runtime`. The documentation of that
//! module is for users. This page is for readers of the code.
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
//!    Read the messages. (If the time is zero, step 4 only checks for events, and the next turn reads the
//!    messages.)
//! 5. Read the clock and move the wheel to it. Wake the due timers and the foreign wakers of sockets.
//!
//! A turn that has polled 64 tasks starts no further list, but it polls a list that it has started to the end.
//!
//! The runtime stores a waiting task as an id if it can, because an id is a plain number. Otherwise it stores a
//! clone of the waker:
//!
//! | the task waits for | stored in | as |
//! |---|---|---|
//! | a read of a socket, in a poll function | `source`: the reader | id |
//! | a socket, in any other way | `source`: the other waiters | id, or a waker that is not the task's own |
//! | a deadline | `wheel` | waker |
//! | the end of another task | `joinable`: beside the future of that task | id, or a waker that is not the task's own |
//! | a notification, a channel, a lock, a job | `notify`, `sync`, `waker_slot`, `blocking` | waker |
//!
//! A waker that is woken on the runtime's own thread pushes the id into the local queue. On another thread, it
//! sends the id to the inbox (`remote`).
//!
//! This crate has no `unsafe` code. A future need not be `Send`, because a task never leaves its thread.
//!
//! # Reading order
//!
//! Each file is one idea, and imports only files that stand before it in this list. A test (`tests/house`)
//! holds this. If you want to see a future first, begin with `yield_now`, the smallest one.
//!
//! - *Ready*: `primitives` → `dice` → `local_queue` → `yield_now` → `budget` → `rotation` → `instant` →
//!   `nodes::subject` → `reasons` → `board` → `nodes::recorded` → `nodes::absent` → `nodes` → `causes` →
//!   `points::reported` → `points::absent` → `points` → `panics` → `wait_list` → `notify`
//! - *Woken*: `remote` → `waker`
//! - *Sockets*: `source` → `reactor` → `directory` → `current_task`
//! - *Tasks*: `waiter` → `watch` → `task_names` → `join_error` → `joinable` → `task_table` → `join_handle`
//! - *Time*: `wheel` → `timers`
//! - *The turn*: `pool` → `hooks` → `executor` → `context` → `now` → `runtime`
//! - *Systems*: `sys::no_signal` → `sys::defer_accept` → `sys::linux` → `sys::other` → `sys`
//! - *On top*: `time::sleep` → `time::timeout` → `probe` → `descriptors`
//! - *Sockets for programs*: `net::registration` → `net::socket` → `net::stream` → `net::tcp_stream` →
//!   `net::listener` → `net::tcp_listener`
//!
//! This is the core: all that [`block_on`](fn@block_on), tasks, timers and TCP need. The rest is built on it, and can
//! be skipped:
//!
//! - *More time*: `time::interval` → `time`
//! - *Jobs*: `blocking` → `thread_pool`
//! - *Connecting*: `net::lookup` → `net::destination` → `net::connect_options`
//! - *More sockets*: `net::split` → `net::owned_halves` → `net::incoming` → `net::socket_file` → `net::unix` →
//!   `net::listen_options` → `net::async_fd` → `net::datagram` → `net::udp` → `net::unix_datagram` → `net` → `signal`
//! - *Futures together*: `race` → `join` → `select` → `join_all` → `try_join` → `turn`
//! - *Groups of tasks*: `waker_slot` → `task::abort_handle` → `task::builder` → `task::end_list` →
//!   `task::join_set` → `task::scope` → `task::local` → `task::remote_handle` → `task`
//! - *Settings and tests*: `runtime_builder` → `seeded`
//! - *Watched*: `executor::watched` → `inspect::ring` → `inspect::facts` → `inspect::gate` → `inspect::shared` →
//!   `inspect::writer` → `inspect::event` → `inspect::json` → `inspect::trace` → `inspect::export` →
//!   `inspect::flight` → `inspect::options` → `inspect::tree` → `inspect::findings` → `inspect::dump` →
//!   `inspect::grouping` → `inspect::player` → `inspect::watchdog` → `inspect::explain` → `inspect::recorder` →
//!   `inspect::control` → `inspect::named` → `inspect`
//! - *Opened*: `open`
//! - *Between tasks*: `sync::errors` → `sync::handle_count` → `sync::semaphore` → `sync::mutex` → `sync::oneshot` →
//!   `sync::mpsc` → `sync::watch` → `sync::broadcast` → `sync::cancellation` → `sync`
//! - *Bytes, files and processes*: `io::copy` → `io::pipe` → `io::on_pool` → `io::stdio` → `io` → `fs::whole` →
//!   `fs::file` → `fs::read_dir` → `fs` → `process::exit` → `process::child` → `process::command` → `process`
//! - *Traits of other crates*: `spawner` → `hyper_rt` → `tokio_io`
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
#[cfg(feature = "inspect")]
mod board;
pub mod budget;
mod causes;
mod context;
mod current_task;
pub mod descriptors;
mod dice;
mod directory;
mod executor;
pub mod fs;
mod hooks;
#[cfg(feature = "hyper")]
pub mod hyper_rt;
#[cfg(feature = "inspect")]
pub mod inspect;
mod instant;
pub mod io;
mod join;
mod join_all;
mod join_error;
mod join_handle;
mod joinable;
mod local_queue;
#[cfg(all(test, loom))]
mod models;
pub mod net;
mod nodes;
mod notify;
mod now;
mod open;
mod panics;
mod points;
mod pool;
mod primitives;
mod probe;
pub mod process;
mod race;
mod reactor;
#[cfg(feature = "inspect")]
mod reasons;
mod remote;
mod rotation;
mod runtime;
mod runtime_builder;
pub mod seeded;
mod select;
pub mod signal;
mod source;
mod spawner;
pub mod sync;
mod sys;
pub mod task;
mod task_names;
mod task_table;
mod thread_pool;
pub mod time;
mod timers;
#[cfg(feature = "tokio-io")]
pub mod tokio_io;
mod try_join;
mod turn;
mod wait_list;
mod waiter;
mod waker;
mod waker_slot;
pub mod watch;
mod wheel;
mod yield_now;

pub use blocking::{Blocking, spawn_blocking};
pub use context::{Handle, RuntimeGone, spawn, spawn_detached};
pub use join::{Join, join};
pub use join_all::{JoinAll, TryJoinAll, join_all, try_join_all};
pub use join_error::JoinError;
pub use join_handle::JoinHandle;
pub use notify::Notify;
pub use pool::THREADS_MAX;
pub use race::{Race, race};
pub use runtime::{Runtime, ShutdownReport, block_on};
pub use runtime_builder::RuntimeBuilder;
pub use select::{
    Either, Either3, Either4, Select, Select3, Select4, SelectSlice, select, select_slice, select3,
    select4,
};
pub use spawner::LocalSpawner;
pub use thread_pool::ThreadPool;
pub use try_join::{TryJoin, try_join};
pub use turn::turn;
pub use yield_now::{YieldNow, yield_now};
