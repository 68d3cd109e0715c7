//! Time: sleep, race, timeout, interval, and a clock that a test can pause.
//!
//! ```text
//! cargo run --example timers
//! ```
//!
//! You should see all of it in about a tenth of a second, although the last wait is an hour.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use waterwheel::runtime::time::{self, Instant, interval, sleep, timeout};
use waterwheel::runtime::{block_on, race};

const SECOND: Duration = Duration::from_secs(1);

fn main() {
    block_on(async {
        let start = Instant::now();
        sleep(Duration::from_millis(50)).await;
        println!("slept for {} ms", start.elapsed().as_millis());

        // The first to finish wins, and the other is dropped.
        let tortoise = async {
            sleep(SECOND).await;
            "tortoise"
        };
        println!("the winner: {}", race(tortoise, async { "hare" }).await);

        // A limit for a wait that may never end.
        let waited = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
        println!("timed out: {}", waited.is_err());

        // An interval keeps to its schedule, however long each round takes.
        let mut interval = interval(Duration::from_millis(10));
        for _ in 0..3 {
            let late = interval.tick().await.elapsed();
            println!("a tick, {} µs after its time", late.as_micros());
        }

        // With a paused clock, the runtime moves to the next deadline when no task is ready. So tests of
        // long waits take no time, and always have the same result.
        time::pause();
        let paused = Instant::now();
        sleep(3600 * SECOND).await;
        println!("an hour later: {} s", paused.elapsed().as_secs());
    });
}
