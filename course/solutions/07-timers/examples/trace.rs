//! A scene for the player: three sleeps, and no other thread.

use std::process::ExitCode;
use std::time::Duration;

use solution_07::{block_on, sleep, spawn};
use watch::{Cause, by_timer};

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let sleeps = [5, 15, 40].map(|millis| {
                    let sleep = by_timer(sleep(Duration::from_millis(millis)));
                    spawn(watch::task(&format!("{millis} ms"), sleep))
                });
                for sleep in sleeps {
                    sleep.await.unwrap();
                }
            }));
        },
        &[
            (
                "Each task is polled twice, and between the two polls a timer wakes it. No other thread takes part.",
                |record| {
                    ["5 ms", "15 ms", "40 ms"]
                        .iter()
                        .all(|name| record.polls(name) == 2 && record.wakes(name) == [Cause::Timer])
                },
            ),
            (
                "The thread parks until the next deadline, so it sleeps nearly all the time.",
                |record| record.sleeps().iter().sum::<Duration>() >= Duration::from_millis(20),
            ),
        ],
    )
}
