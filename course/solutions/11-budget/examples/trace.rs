//! A scene for the player: a task whose leaf is always ready, and another task.

use std::process::ExitCode;
use std::time::Duration;

use solution_11::{block_on, sleep, spawn};
use watch::Cause;

async fn busy() {
    for _ in 0..200 {
        sleep(Duration::ZERO).await;
    }
}

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let busy = spawn(watch::task("busy", busy()));
                let other = spawn(watch::task("other", async {}));
                other.await.unwrap();
                busy.await.unwrap();
            }));
        },
        &[
            (
                "The busy task has 200 steps and 64 units for each poll. So it takes four polls.",
                |record| record.polls("busy") == 4,
            ),
            ("The other task runs after the first of them.", |record| {
                let mut polled = record.polled();
                polled.retain(|name| *name != "root");
                polled == ["busy", "other", "busy", "busy", "busy"]
            }),
            (
                "When its budget is spent, the busy task wakes itself.",
                |record| record.wakes("busy") == [Cause::Myself; 3],
            ),
        ],
    )
}
