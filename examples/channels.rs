//! Channels pass values between the tasks of one thread. A sender waits while its channel is full.
//!
//! ```text
//! cargo run --release --example channels
//! ```
//!
//! You should see that sacks are ground at most two ahead of the baker, and then the values of the other channels.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use waterwheel::runtime::sync::{broadcast, mpsc, oneshot, watch};
use waterwheel::runtime::{block_on, join, spawn};

fn main() {
    block_on(async {
        // Many to one, with room for two: the miller waits while the sacks stand in the way.
        let (mill, mut sacks) = mpsc::channel(2);
        let miller = spawn(async move {
            for sack in 1..=4 {
                println!("ground sack {sack}");
                if mill.send(sack).await.is_err() {
                    break; // the baker has gone home
                }
            }
        });
        while let Some(sack) = sacks.recv().await {
            println!("baked sack {sack}");
        }
        println!("the miller ended well: {}", miller.await.is_ok());

        // One value, once: a question that carries the way back for its answer.
        let (ask, mut questions) = mpsc::channel::<(u32, oneshot::Sender<u32>)>(1);
        spawn(async move {
            while let Some((number, answer)) = questions.recv().await {
                // The asker may have left meanwhile. Then the answer comes back as an error.
                _ = answer.send(number * number);
            }
        })
        .detach();
        let (answer, answered) = oneshot::channel();
        if ask.send((12, answer)).await.is_ok() {
            println!("12 squared is {answered:?}", answered = answered.await);
        }

        // The latest value: a slow reader sees fewer values, and never an old one.
        let (level, mut gauge) = watch::channel(0);
        let read = async {
            while gauge.changed().await.is_ok() {
                println!("the water stands at {}", gauge.borrow_and_update());
            }
        };
        let rise = async {
            [1, 2, 3].into_iter().for_each(|metres| level.send(metres));
            drop(level);
        };
        join(read, rise).await;

        // Each message to each reader. A reader that is too slow learns how many it has missed.
        let (bell, mut awake) = broadcast::channel(2);
        let mut asleep = bell.subscribe();
        for hour in 1..=3 {
            drop(bell.send(hour));
            println!("one heard {:?}", awake.recv().await);
        }
        println!(
            "the other one heard {:?}, then {:?}",
            asleep.recv().await,
            asleep.recv().await
        );
    });
}
