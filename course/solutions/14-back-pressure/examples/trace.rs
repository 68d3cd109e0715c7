//! A scene for the player: a fast sender, and a slow receiver.

use std::process::ExitCode;
use std::time::Duration;

use solution_14::{block_on, channel, sleep, spawn};
use watch::by_timer;

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let (sender, mut receiver) = channel(2);
                let sender = spawn(watch::task("sender", async move {
                    for number in 0..8 {
                        sender.send(number).await.unwrap();
                    }
                }));
                let receiver = spawn(watch::task("receiver", async move {
                    while receiver.recv().await.is_some() {
                        by_timer(sleep(Duration::from_millis(3))).await;
                    }
                }));
                sender.await.unwrap();
                receiver.await.unwrap();
            }));
        },
        &[
            (
                "The sender could send all values in its first poll. The channel has room for two, so it is polled more often.",
                |record| record.polls("sender") > 4,
            ),
            (
                "Only the receiver wakes the sender, when it has made room.",
                |record| {
                    let by = record.woken_by("sender");
                    by.len() == record.wakes("sender").len()
                        && by.iter().all(|name| *name == "receiver")
                },
            ),
        ],
    )
}
