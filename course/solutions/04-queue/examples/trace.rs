//! A scene for the player: three tasks that take turns.

use std::process::ExitCode;
use std::time::Duration;

use solution_04::{block_on, sleep, spawn, yield_now};
use watch::Cause;

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                for name in ["a", "b", "c"] {
                    spawn(watch::task(name, async {
                        yield_now().await;
                        yield_now().await;
                    }));
                }
                sleep(Duration::from_millis(10)).await;
            }));
        },
        &[
            (
                "The tasks take turns: a, b, c, and again from the start.",
                |record| {
                    let mut polled = record.polled();
                    polled.retain(|name| *name != "root");
                    polled == ["a", "b", "c", "a", "b", "c", "a", "b", "c"]
                },
            ),
            (
                "Each yield is a wake by the task itself. It puts the task at the end of the queue.",
                |record| record.wakes("b") == [Cause::Myself; 2],
            ),
            (
                "The thread parks only when the queue is empty, until the sleep of the root ends.",
                |record| record.sleeps().len() == 1 && record.polls("root") == 2,
            ),
        ],
    )
}
