//! What it costs to wake a task and to poll it: 1,000 tasks that yield 1,000 times each.
//!
//! ```sh
//! cargo run --release --manifest-path benches/compare/Cargo.toml -p wake
//! ```
//!
//! All runtimes run the same future, on one thread, in rounds that alternate; what counts is the time
//! from the first poll to the end of the last task.

use std::time::{Duration, Instant};

use futures_executor::LocalPool;
use futures_lite::future::yield_now;
use futures_util::task::LocalSpawnExt;
use waterwheel::runtime::Runtime;

const TASKS: u32 = 1_000;
const YIELDS: u32 = 1_000;
const ROUNDS: usize = 7;

/// Wakes itself and waits, so often.
async fn yields() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

fn on_waterwheel() -> Duration {
    let runtime = Runtime::new().expect("descriptors are left");
    for _ in 0..TASKS {
        runtime.spawn(yields()).detach();
    }
    let start = Instant::now();
    assert_eq!(runtime.run_until_idle(), 0);
    start.elapsed()
}

fn on_tokio() -> Duration {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    let runtime = builder.build().expect("it needs nothing");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(yields())).collect();
        let start = Instant::now();
        for task in tasks {
            task.await.expect("it does not panic");
        }
        start.elapsed()
    })
}

fn on_async_executor() -> Duration {
    let executor = async_executor::LocalExecutor::new();
    let tasks: Vec<_> = (0..TASKS).map(|_| executor.spawn(yields())).collect();
    futures_lite::future::block_on(executor.run(async {
        let start = Instant::now();
        for task in tasks {
            task.await;
        }
        start.elapsed()
    }))
}

fn on_local_pool() -> Duration {
    let mut pool = LocalPool::new();
    for _ in 0..TASKS {
        let spawned = pool.spawner().spawn_local(yields());
        spawned.expect("the pool is there");
    }
    let start = Instant::now();
    pool.run();
    start.elapsed()
}

/// A runtime's name, and a round on it.
type Entry = (&'static str, fn() -> Duration);

const ALL: [Entry; 4] = [
    ("waterwheel", on_waterwheel),
    ("tokio, current thread", on_tokio),
    ("futures LocalPool", on_local_pool),
    ("async-executor", on_async_executor),
];

fn main() {
    let mut times = ALL.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, round), times) in ALL.iter().zip(&mut times) {
            times.push(round());
        }
    }
    println!("| wake + poll of a task | ns |\n|---|---|");
    let polls = f64::from(TASKS) * f64::from(YIELDS + 1);
    for ((name, _), mut times) in ALL.iter().zip(times) {
        times.sort_unstable();
        let nanos = times[ROUNDS / 2].as_secs_f64() * 1e9 / polls;
        println!("| {name} | {nanos:.1} |");
    }
}
