//! What it costs to wake a task and to poll it: 1,000 tasks that yield 1,000 times each.
//!
//! ```sh
//! cargo bench --bench wake
//! ```
//!
//! Beside it the same work on the single-threaded pool of the `futures` crate.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::{Duration, Instant};

use futures_executor::LocalPool;
use futures_lite::future::yield_now as foreign_yield_now;
use waterwheel::runtime::{Runtime, yield_now};

const TASKS: u32 = 1_000;
const YIELDS: u32 = 1_000;
const ROUNDS: usize = 5;

fn on_waterwheel() -> Duration {
    let runtime = Runtime::new().expect("descriptors are left");
    for _ in 0..TASKS {
        let task = runtime.spawn(async {
            for _ in 0..YIELDS {
                yield_now().await;
            }
        });
        task.detach();
    }
    let start = Instant::now();
    assert_eq!(runtime.run_until_idle(), 0);
    start.elapsed()
}

fn on_local_pool() -> Duration {
    use futures_executor::LocalSpawner;
    use futures_task::LocalSpawn;

    let mut pool = LocalPool::new();
    let handle: LocalSpawner = pool.spawner();
    for _ in 0..TASKS {
        let task = Box::new(async {
            for _ in 0..YIELDS {
                foreign_yield_now().await;
            }
        });
        let spawned = handle.spawn_local_obj(task.into());
        spawned.expect("the pool is there");
    }
    let start = Instant::now();
    pool.run();
    start.elapsed()
}

/// The median of some rounds, in nanoseconds for each poll.
fn nanos_per_poll(mut round: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    times.sort_unstable();
    let polls = f64::from(TASKS) * f64::from(YIELDS + 1);
    times[ROUNDS / 2].as_secs_f64() * 1e9 / polls
}

fn main() {
    println!("| wake + poll of a task | ns |");
    println!("|---|---|");
    println!("| waterwheel | {:.1} |", nanos_per_poll(on_waterwheel));
    println!(
        "| futures LocalPool | {:.1} |",
        nanos_per_poll(on_local_pool)
    );
}
