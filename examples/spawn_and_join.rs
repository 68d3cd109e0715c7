//! Tasks: futures that run beside each other, on one thread.
//!
//! ```text
//! cargo run --release --example spawn_and_join
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{block_on, spawn, spawn_blocking, yield_now};

fn main() {
    block_on(async {
        // A task never leaves its thread, so tasks share state without locks: Rc and Cell will do.
        let turns = Rc::new(Cell::new(0));
        let tasks: Vec<_> = ["red", "green", "blue"]
            .into_iter()
            .map(|name| {
                let turns = turns.clone();
                spawn(async move {
                    for round in 1..=2 {
                        turns.set(turns.get() + 1);
                        println!("{name}: round {round}, turn {}", turns.get());
                        yield_now().await; // lets the others have a turn
                    }
                    name.len()
                })
            })
            .collect();
        let mut letters = 0;
        for task in tasks {
            letters += task.await.unwrap_or(0); // a handle is awaited for the task's value
        }
        println!("{letters} letters in {} turns", turns.get());

        // A task that panics harms no other task: its handle returns the panic.
        let clumsy = spawn(async move {
            assert!(letters < 10, "dropped the cup");
        });
        if let Err(error) = clumsy.await {
            println!("and we go on: {error}");
        }

        // A task can be ended from outside; what it holds is dropped.
        let endless = spawn(sleep(Duration::from_secs(3600)));
        endless.abort();
        println!(
            "ended early: {}",
            endless.await.is_err_and(|error| error.is_cancelled())
        );

        // Code that blocks the thread goes to another thread.
        let sum = spawn_blocking(|| (1..=1_000_000_u64).sum::<u64>()).await;
        println!("computed elsewhere: {}", sum.unwrap_or(0));
    });
}
