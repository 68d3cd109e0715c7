//! Select: wait for the first of several events, again and again, and lose none of them.
//!
//! ```text
//! cargo run --release --example select
//! ```
//!
//! You should see two ticks for each order that is cooked.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::Duration;

use waterwheel::runtime::sync::{CancellationToken, mpsc};
use waterwheel::runtime::time::{interval, sleep};
use waterwheel::runtime::{Either3, block_on, select3, spawn};

fn main() {
    block_on(async {
        let (orders, mut kitchen) = mpsc::channel(8);
        let closing_time = CancellationToken::new();
        spawn({
            let closing_time = closing_time.clone();
            async move {
                for dish in ["soup", "bread", "cake"] {
                    sleep(Duration::from_millis(15)).await;
                    drop(orders.send(dish).await);
                }
                closing_time.cancel();
            }
        })
        .detach();

        let mut clock = interval(Duration::from_millis(10));
        // Each round waits for three things. The two that lose are dropped, and a dropped receive or tick loses no
        // message and no tick. The three take turns at being first, so a busy one cannot hide the others.
        loop {
            match select3(kitchen.recv(), clock.tick(), closing_time.cancelled()).await {
                Either3::First(Some(dish)) => println!("cook {dish}"),
                Either3::Second(_) => println!("tick"),
                Either3::First(None) | Either3::Third(()) => break,
            }
        }
        // The branches are values, not code, so `break`, `?` and `await` work in the `match` as anywhere.
        while let Ok(dish) = kitchen.try_recv() {
            println!("cook {dish} before the end");
        }
    });
}
