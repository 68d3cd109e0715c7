//! A scene for the player: a task that waits for the value of another one.

use std::process::ExitCode;
use std::time::Duration;

use solution_05::{block_on, sleep, spawn};

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let worker = spawn(watch::task("worker", async {
                    sleep(Duration::from_millis(10)).await;
                    42
                }));
                assert_eq!(worker.await.ok(), Some(42));
            }));
        },
        &[
            (
                "The root is polled twice: it spawns the worker, and it takes the value.",
                |record| record.polls("root") == 2,
            ),
            (
                "Between these polls, one wake: the end of the worker wakes the root.",
                |record| record.woken_by("root") == ["worker"] && record.wakes("root").len() == 1,
            ),
        ],
    )
}
