//! `block_on`: a future does nothing until it is run, and two can wait at the same time.
//!
//! ```text
//! cargo run --example block_on
//! ```
//!
//! You should see both drinks start at once, and a total of 300 ms: the longer wait, not the sum.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use waterwheel::runtime::time::{Instant, sleep};
use waterwheel::runtime::{block_on, join};

/// A call only makes the future, a value like any other. It prints nothing yet.
async fn brew(what: &str, milliseconds: u64) -> String {
    println!("{what}: on the stove");
    sleep(Duration::from_millis(milliseconds)).await; // returns Pending, and is woken later
    println!("{what}: done");
    format!("a cup of {what}")
}

fn main() {
    let start = Instant::now();
    let tea = brew("tea", 300);
    let coffee = brew("coffee", 200);
    println!("two futures made, nothing brewed");

    // block_on runs one future to its end on this thread. join makes one future of two: while one
    // waits, the other continues.
    let (tea, coffee) = block_on(join(tea, coffee));
    let waited = start.elapsed().as_millis();
    println!("{tea} and {coffee} after {waited} ms");
}
