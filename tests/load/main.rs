//! The effects of load. Each server is a process of its own, and the tests take turns, so that none is load to
//! another.
//!
//! The measurements are printed: `cargo test --release --test load -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::print_stdout,
    reason = "the measurements are for readers, and a child tells its address"
)]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod deploy;
mod https;
mod memory_and_latency;
mod restart;
mod server;
mod site;
mod websockets;

use std::sync::{Mutex, MutexGuard, PoisonError};

use support::runtime::within_deadline;

/// The size of one write and one read, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Runs a test within its deadline while no other test runs.
fn in_turn(test: impl FnOnce()) {
    let turn = turn();
    within_deadline(test);
    drop(turn);
}

/// Waits until no other test runs. The turn of the caller ends when it drops the guard.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
