//! The second step: tasks, which run beside whoever spawned them.
//!
//! ```sh
//! cargo run --example spawn_and_join
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{cell::Cell, future, rc::Rc};

use waterwheel::runtime::{block_on, spawn, yield_now};

fn main() {
    block_on(async {
        // All tasks share one thread: an `Rc` and a `Cell` do, where threads need `Arc` and `Mutex`.
        let total = Rc::new(Cell::new(0));

        let add_three_times = |name: &'static str| {
            let total = total.clone();
            spawn(async move {
                for _ in 0..3 {
                    total.set(total.get() + 1);
                    println!("{name}: the total is {}", total.get());
                    yield_now().await; // let the other one have a turn
                }
                name
            })
        };
        let (a, b) = (add_three_times("a"), add_three_times("b"));

        // Spawned tasks run whether or not anybody awaits them. Awaiting gives their value …
        println!("{:?} and {:?} are done", a.await, b.await);

        // … or says why there is none: a panic ends one task, not the program …
        let panics = spawn(async { panic!("this one goes wrong") });
        let error: Result<(), _> = panics.await;
        println!("{error:?}");

        // … and a task can be aborted; what it holds is dropped.
        let endless = spawn(future::pending::<()>());
        endless.abort();
        println!("{:?}", endless.await);
    });
}
