//! A scene for the player: two waits in one task, and then in two tasks.

use std::process::ExitCode;
use std::time::Duration;

use my_stage_06::{block_on, join, sleep, spawn};
use watch::Cause;

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_millis(25);

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                spawn(watch::task("one task", async {
                    join(sleep(SHORT), sleep(LONG)).await;
                }))
                .await
                .unwrap();
                let short = spawn(watch::task("short", sleep(SHORT)));
                let long = spawn(watch::task("long", sleep(LONG)));
                let (short, long) = join(short, long).await;
                short.and(long).unwrap();
            }));
        },
        &[
            (
                "The join is one task with two waits: it is polled three times, once at the start and once after each sleep.",
                |record| {
                    record.polls("one task") == 3 && record.wakes("one task") == [Cause::Thread; 2]
                },
            ),
            (
                "The two tasks have one wait each: each of them is polled twice.",
                |record| record.polls("short") == 2 && record.polls("long") == 2,
            ),
            ("The end of each task wakes the root.", |record| {
                record.woken_by("root") == ["one task", "short", "long"]
            }),
        ],
    )
}
