//! A test of a program that waits for minutes, which takes no time and has the same result each time.
//!
//! ```text
//! cargo run --release --example paused_clock_test
//! ```
//!
//! You should see at which seconds the program has tried, at once.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::Duration;

use waterwheel::runtime::time::{self, Instant, sleep, timeout};
use waterwheel::runtime::{block_on, spawn};

/// The program under test: it tries again after 1, 2, 4 … seconds, and gives up after a minute.
async fn with_retries<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let retries = async {
        let mut pause = Duration::from_secs(1);
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            sleep(pause).await;
            pause *= 2;
        }
    };
    timeout(Duration::from_secs(60), retries).await.ok()
}

fn main() {
    block_on(async {
        // From here on the clock moves only when no task is ready: then it jumps to the next deadline.
        time::pause();
        let start = Instant::now();
        let mut left = 3;
        let value = with_retries(async || {
            left -= 1;
            (left == 0).then_some("connected")
        });
        assert_eq!(value.await, Some("connected"));
        assert_eq!(start.elapsed(), Duration::from_secs(1 + 2)); // exactly
        println!("it tried at 0, 1 and 3 s");

        let start = Instant::now();
        assert_eq!(with_retries(async || None::<u8>).await, None);
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        println!("it gave up after a minute");

        // `advance` moves the clock by hand, to look at a moment in between.
        let task = spawn(with_retries(async || None::<u8>));
        time::advance(Duration::from_secs(59)).await;
        assert!(!task.is_finished());
        time::advance(Duration::from_secs(1)).await;
        assert!(task.is_finished());
        println!("not at 59 s, but at 60 s");
    });
}
