//! The third step: time. Sleeping, giving up, ticking, and a clock that can be stopped.
//!
//! ```sh
//! cargo run --example timers
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use waterwheel::runtime::time::{self, Instant, interval, sleep, timeout};
use waterwheel::runtime::{block_on, race};

fn main() {
    block_on(async {
        // A deadline on something that may never happen.
        let never = std::future::pending::<()>();
        let result = timeout(Duration::from_millis(20), never).await;
        println!("timeout: {result:?}");

        // Whoever is first; the other one is dropped, and its timer with it.
        let winner = race(
            async {
                sleep(Duration::from_millis(20)).await;
                "the tortoise"
            },
            async {
                sleep(Duration::from_millis(10)).await;
                "the hare"
            },
        );
        println!("race: {} wins", winner.await);

        // Again and again, on a schedule that work in between does not shift.
        let mut ticks = interval(Duration::from_millis(10));
        let start = ticks.tick().await; // the first tick comes at once
        for number in 1..=3 {
            let planned = ticks.tick().await;
            println!("tick {number} at {:?}", planned - start);
        }

        // For tests: stop the clock. Then it jumps whenever there is nothing to do but wait.
        time::pause();
        let start = Instant::now();
        sleep(Duration::from_secs(24 * 3600)).await;
        println!("{:?} passed at once", start.elapsed());
    });
}
