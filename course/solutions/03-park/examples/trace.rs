//! A scene for the player: one sleep, and one yield.

use std::process::ExitCode;
use std::time::Duration;

use solution_03::{block_on, sleep, yield_now};
use watch::Cause;

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                sleep(Duration::from_millis(30)).await;
                yield_now().await;
            }));
        },
        &[
            (
                "There are three polls: the first, one after the sleep, and one after the yield.",
                |record| record.polls("root") == 3,
            ),
            (
                "The thread parks once, for about 30 ms.",
                |record| match *record.sleeps() {
                    [sleep] => sleep >= Duration::from_millis(20),
                    _ => false,
                },
            ),
            (
                "The first wake comes from another thread, and ends the park. The second one comes from the future itself, so \
                 the thread does not park after it.",
                |record| record.wakes("root") == [Cause::Thread, Cause::Myself],
            ),
        ],
    )
}
