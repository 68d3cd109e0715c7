//! A scene for the player: a loop that polls until a point in time.

use std::process::ExitCode;
use std::time::Duration;

use solution_02::{Countdown, Deadline, block_on};

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                Countdown::new(200, 0).await;
                Deadline::after(Duration::from_micros(200)).await;
            }));
        },
        &[
            (
                "The polls follow each other without a gap: hundreds in less than a millisecond.",
                |record| record.polls("root") > 200,
            ),
            ("No wake comes between them.", |record| {
                record.wakes("root").is_empty()
            }),
            ("The thread never sleeps.", |record| {
                record.sleeps().is_empty()
            }),
        ],
    )
}
