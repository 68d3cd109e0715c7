//! The first step: a future does nothing until somebody runs it.
//!
//! ```text
//! cargo run --release --example block_on
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;

use waterwheel::runtime::time::{Instant, sleep};
use waterwheel::runtime::{block_on, join};

/// Calling it makes a future, a value like any other. Nothing has been printed yet.
async fn brew(what: &str, milliseconds: u64) -> String {
    println!("{what}: on the stove");
    sleep(Duration::from_millis(milliseconds)).await; // here the future says: not yet, wake me then
    println!("{what}: done");
    format!("a cup of {what}")
}

fn main() {
    let start = Instant::now();
    let tea = brew("tea", 300);
    let coffee = brew("coffee", 200);
    println!("two futures made, nothing brewed");

    // block_on runs one future to its end on this thread. join makes one future of two: while one
    // waits, the other goes on, so both take as long as the longer one.
    let (tea, coffee) = block_on(join(tea, coffee));
    println!(
        "{tea} and {coffee} after {} ms",
        start.elapsed().as_millis()
    );
}
