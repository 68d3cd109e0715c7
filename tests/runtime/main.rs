//! Claims about the runtime: tasks, wakes, timers, sockets, signals and threads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod connect;
mod copy;
mod datagrams;
mod dropped;
mod ending;
mod explain;
mod fairness;
mod fs;
mod handles;
mod hooks;
mod inspect;
mod inspect_export;
mod inspect_flight;
mod inspect_step;
mod join_set;
mod kernel;
mod net;
mod owner;
mod panics;
mod pipes;
mod process;
mod programs;
mod reentry;
mod scope;
mod seeds;
mod select;
mod send;
mod signals;
mod stdio;
mod sync;
mod task_local;
mod tasks;
mod timers;
mod traits;
mod waiters;
mod watch;
