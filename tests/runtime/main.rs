//! Claims about the runtime: tasks, wakes, timers, sockets, signals and threads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod fairness;
mod kernel;
mod net;
mod owner;
mod panics;
mod signals;
mod tasks;
mod timers;
mod waiters;
mod watch;
