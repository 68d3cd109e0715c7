//! Resident bytes for each task that waits: 500,000 of them, after each has been polled once.

use super::{IoWorkload, Size, Workload};
use crate::machine;
use crate::runtimes::{Runtime, WithIo};
use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

const TASKS: u32 = 500_000;

thread_local! {
    /// How many tasks have begun to wait.
    static WAITING: Cell<u32> = const { Cell::new(0) };
}

/// Spawns tasks with `spawn` until there are as many as asked for, waits until all of them wait, and
/// returns the bytes for each. The values that `spawn` returns are kept until then.
fn bytes_each<R: Runtime, T>(size: Size, spawn: impl Fn() -> T) -> f64 {
    let count = size.of(TASKS);
    WAITING.set(0);
    R::block_on(async {
        // The runtime allocates its own memory before.
        R::join(R::spawn(R::yield_now())).await;
        let before = machine::resident_bytes();
        let kept: Vec<T> = (0..count).map(|_| spawn()).collect();
        while WAITING.get() < count {
            R::yield_now().await;
        }
        // The runtime may free lists that were long in that turn only.
        R::yield_now().await;
        R::yield_now().await;
        let after = machine::resident_bytes();
        drop(kept);
        (after - before) / f64::from(count)
    })
}

fn waits() {
    WAITING.set(WAITING.get() + 1);
}

/// A task that waits without end, without a timer or a socket.
#[derive(Clone, Copy)]
pub(super) struct Parked {
    /// Whether its handle is kept. The bytes of the handle count.
    pub(super) handles: bool,
}

impl Workload for Parked {
    fn run<R: Runtime>(self, size: Size) -> f64 {
        let park = || async {
            waits();
            pending::<()>().await;
        };
        if self.handles {
            bytes_each::<R, _>(size, || R::spawn(park()))
        } else {
            bytes_each::<R, _>(size, || R::spawn_detached(park()))
        }
    }
}

/// A task that sleeps for an hour.
#[derive(Clone, Copy)]
pub(super) struct Sleeping;

impl IoWorkload for Sleeping {
    fn run<R: WithIo>(self, size: Size) -> f64 {
        bytes_each::<R, _>(size, || {
            R::spawn_detached(async {
                waits();
                R::sleep(Duration::from_secs(3_600)).await;
            });
        })
    }
}
