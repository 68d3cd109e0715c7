//! A scene for the player: a task that is aborted in the middle of a long sleep.

use std::process::ExitCode;
use std::time::Duration;

use solution_10::{block_on, sleep, spawn};
use watch::{Outcome, by_timer};

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let sleeper = spawn(watch::task(
                    "sleeper",
                    by_timer(sleep(Duration::from_secs(60))),
                ));
                by_timer(sleep(Duration::from_millis(10))).await;
                sleeper.abort();
                assert!(sleeper.await.is_err_and(|error| error.is_cancelled()));
            }));
        },
        &[
            (
                "The sleeper is polled once. It sleeps for 60 s, but the root aborts it after 10 ms. No timer wakes it.",
                |record| record.polls("sleeper") == 1 && record.wakes("sleeper").is_empty(),
            ),
            (
                "The sleeper ends as cancelled, without a second poll: its future was dropped.",
                |record| record.ends("sleeper") == [Outcome::Cancelled],
            ),
            (
                "The end of the sleeper wakes the root, which awaits it.",
                |record| record.woken_by("root") == ["sleeper"],
            ),
        ],
    )
}
