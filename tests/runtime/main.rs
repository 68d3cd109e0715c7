//! Claims about the runtime: tasks, wakes, timers, sockets, signals and threads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod connect;
mod copy;
mod datagrams;
mod explain;
mod explain_findings;
mod fairness;
mod fs;
mod groups;
mod inspect;
mod inspect_export;
mod inspect_step;
mod kernel;
mod net;
mod owner;
mod panics;
mod pipes;
mod process;
mod programs;
mod reentry;
mod seeds;
mod select;
mod send;
mod signals;
mod stdio;
mod sync;
mod tasks;
mod timers;
mod traits;
mod waiters;
mod watch;
