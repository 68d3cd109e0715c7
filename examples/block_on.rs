//! The first step: a future does nothing until somebody runs it.
//!
//! ```sh
//! cargo run --example block_on
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use waterwheel::runtime::{block_on, join, time::sleep};

/// Calling an `async fn` runs none of its body: it only makes a future.
async fn answer(name: &str, millis: u64) -> u64 {
    println!("{name}: begins");
    // Here the function stands still, and the thread does something else.
    sleep(Duration::from_millis(millis)).await;
    println!("{name}: is done after {millis} ms");
    millis
}

fn main() {
    let first = answer("first", 30);
    println!("the future exists, and nothing has happened");

    // `block_on` makes a runtime, polls the future until it is ready, and gives its value.
    let value = block_on(first);
    println!("its value: {value}");

    // Futures can be put together. These two wait at the same time, on one thread: 20 ms in all.
    let (slow, fast) = block_on(join(answer("slow", 20), answer("fast", 10)));
    println!("{slow} and {fast}");
}
