//! Tasks: futures that run beside each other on one thread.
//!
//! ```text
//! cargo run --example spawn
//! ```
//!
//! You should see the colours take turns, one panic that ends only its own task, and the results of an
//! aborted task and of a job on another thread.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{block_on, spawn, spawn_blocking, yield_now};

fn main() {
    block_on(async {
        // A task never leaves its thread, so tasks share state without locks: Rc and Cell suffice.
        let turns = Rc::new(Cell::new(0));
        let tasks = ["red", "green", "blue"].map(|name| {
            let turns = turns.clone();
            spawn(async move {
                for round in 1..=2 {
                    turns.set(turns.get() + 1);
                    println!("{name}: round {round}, turn {}", turns.get());
                    yield_now().await; // lets the other tasks run
                }
                name.len()
            })
        });
        let mut letters = 0;
        for task in tasks {
            letters += task.await.unwrap_or(0); // a handle is a future of the task's value
        }
        println!("{letters} letters in {} turns", turns.get());

        // A task that panics harms no other task: its handle returns the panic.
        let clumsy = spawn(async move { assert!(letters < 10, "dropped the cup") });
        if let Err(error) = clumsy.await {
            println!("we continue after: {error}");
        }

        // A task can be ended from outside. Its future is dropped.
        let endless = spawn(sleep(Duration::from_secs(3600)));
        endless.abort();
        let is_cancelled = endless.await.is_err_and(|error| error.is_cancelled());
        println!("ended early: {is_cancelled}");

        // Code that blocks its thread belongs on another thread.
        let sum = spawn_blocking(|| (1..=1_000_000_u64).sum::<u64>()).await;
        println!("computed elsewhere: {}", sum.unwrap_or(0));
    });
}
