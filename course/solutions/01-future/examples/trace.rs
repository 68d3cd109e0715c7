//! A scene for the player: a future that is polled by hand.

use std::pin::pin;
use std::process::ExitCode;

use solution_01::countdown::Countdown;
use solution_01::poll_once::poll_once;
use solution_01::sum::sum;

fn main() -> ExitCode {
    watch::main(
        || {
            let mut future = pin!(watch::root(sum(
                Countdown::new(2, 40),
                Countdown::new(1, 2)
            )));
            while poll_once(future.as_mut()).is_pending() {}
        },
        &[
            (
                "The future is polled four times. Only the last poll returns `Ready`.",
                |record| record.polls("root") == 4 && record.ends("root").len() == 1,
            ),
            ("No wake comes. The caller polls when it likes.", |record| {
                record.wakes("root").is_empty()
            }),
        ],
    )
}
