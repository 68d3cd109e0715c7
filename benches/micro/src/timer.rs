//! Timers: what is done to a thousand of them while ten thousand others are in the wheel.

use std::pin::Pin;
use std::time::Duration;

use futures_lite::future::poll_once;
use gungraun::{library_benchmark, library_benchmark_group};
use waterwheel::runtime::time::{Instant, Sleep, advance, sleep_until};

use crate::{counted, world};

const OTHERS: u64 = 10_000;
const THOUSAND: u64 = 1_000;

/// Deadlines spread over an hour, all of them later than a minute from now.
fn deadlines(count: u64) -> Vec<Instant> {
    let now = Instant::now();
    let spread = |number| 60_000 + number * 7_919 % 3_540_000; // a prime, so that no two are near
    (0..count)
        .map(|number| now + Duration::from_millis(spread(number)))
        .collect()
}

async fn armed(deadlines: impl IntoIterator<Item = Instant>) -> Vec<Sleep> {
    let mut sleeps: Vec<_> = deadlines.into_iter().map(sleep_until).collect();
    arm(&mut sleeps).await;
    sleeps
}

/// Polls them: only then are they entered.
async fn arm(sleeps: &mut [Sleep]) {
    for sleep in sleeps {
        assert!(poll_once(Pin::new(sleep)).await.is_none());
    }
}

/// Does something with a thousand timers, while there are others.
fn among_others(count: impl AsyncFnOnce(Vec<Sleep>)) {
    world::runtime().block_on(async {
        let others = armed(deadlines(OTHERS)).await;
        let sleeps = deadlines(THOUSAND).into_iter().map(sleep_until);
        count(sleeps.collect()).await;
        drop(others);
    });
}

#[library_benchmark]
fn insert_1000() {
    among_others(async |mut sleeps| counted::future(arm(&mut sleeps)).await);
}

#[library_benchmark]
fn cancel_1000() {
    among_others(async |mut sleeps| {
        arm(&mut sleeps).await;
        counted::call(|| drop(sleeps));
    });
}

// A store each, and a look whether the entry is still good.
#[library_benchmark]
fn move_1000_later() {
    moved(|deadline| deadline + Duration::from_secs(30));
}

// Out of the wheel, and in again.
#[library_benchmark]
fn move_1000_earlier() {
    moved(|deadline| deadline - Duration::from_secs(30));
}

fn moved(by: impl Fn(Instant) -> Instant) {
    among_others(async |mut sleeps| {
        arm(&mut sleeps).await;
        let reset = async {
            for sleep in &mut sleeps {
                sleep.reset(by(sleep.deadline()));
            }
            arm(&mut sleeps).await;
        };
        counted::future(reset).await;
    });
}

// All of them due in one turn: out of the wheel, and their tasks polled.
#[library_benchmark]
fn fire_1000_at_once() {
    fired(|_| Duration::from_secs(1));
}

// One in each millisecond, so that the clock stops at each.
#[library_benchmark]
fn fire_1000_in_a_row() {
    fired(Duration::from_millis);
}

fn fired(after: impl Fn(u64) -> Duration) {
    let runtime = world::runtime();
    let others = runtime.block_on(async { armed(deadlines(OTHERS)).await });
    runtime.block_on(async {
        let now = Instant::now();
        for number in 1..=THOUSAND {
            let deadline = now + after(number);
            waterwheel::runtime::spawn(sleep_until(deadline)).detach();
        }
    });
    assert_eq!(runtime.run_until_idle() as u64, THOUSAND);
    counted::call(|| runtime.block_on(advance(Duration::from_secs(1))));
    assert_eq!(runtime.run_until_idle(), 0);
    runtime.block_on(async { drop(others) });
}

library_benchmark_group!(
    name = timers,
    benchmarks = [
        insert_1000,
        cancel_1000,
        move_1000_later,
        move_1000_earlier,
        fire_1000_at_once,
        fire_1000_in_a_row,
    ]
);
