//! Time: sleeping, giving up, ticking, and a clock that a test can hold still.
//!
//! ```text
//! cargo run --release --example timers
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;

use waterwheel::runtime::time::{self, Instant, interval, sleep, timeout};
use waterwheel::runtime::{block_on, race};

const SECOND: Duration = Duration::from_secs(1);

fn main() {
    block_on(async {
        let start = Instant::now();
        sleep(Duration::from_millis(50)).await;
        println!("slept for {} ms", start.elapsed().as_millis());

        // The first to finish wins: the loser is dropped.
        let tortoise = async {
            sleep(SECOND).await;
            "tortoise"
        };
        println!("the winner: {}", race(tortoise, async { "hare" }).await);

        // A limit for something that may take for ever.
        let waited = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
        println!("given up: {}", waited.is_err());

        // An interval keeps to its schedule, however long each round takes.
        let mut interval = interval(Duration::from_millis(10));
        for _ in 0..3 {
            let planned = interval.tick().await;
            println!(
                "a tick, {} µs after its time",
                planned.elapsed().as_micros()
            );
        }

        // With its clock paused, the runtime moves to the next deadline when no task is ready: tests of long
        // waits take no time, and always the same.
        time::pause();
        let paused = Instant::now();
        sleep(3600 * SECOND).await;
        println!("an hour later: {} s", paused.elapsed().as_secs());
    });
}
