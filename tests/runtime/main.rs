//! Claims about the runtime: tasks, wakes, timers, sockets, signals and threads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod fairness;
mod groups;
mod kernel;
mod net;
mod owner;
mod panics;
mod seeds;
mod select;
mod signals;
mod sync;
mod tasks;
mod timers;
mod waiters;
mod watch;
