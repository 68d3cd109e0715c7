//! A scene for the player: two blocking jobs, and a task that goes on beside them.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use my_stage_13::{block_on, join, sleep, spawn, spawn_blocking};
use watch::{Cause, by_timer};

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let ticks = spawn(watch::task("ticks", async {
                    for _ in 0..5 {
                        by_timer(sleep(Duration::from_millis(4))).await;
                    }
                }));
                let jobs = [40, 60].map(|millis| {
                    spawn_blocking(watch::job(move || {
                        thread::sleep(Duration::from_millis(millis));
                    }))
                });
                let [one, other] = jobs;
                let (one, other) = join(one, other).await;
                one.and(other).unwrap();
                ticks.await.unwrap();
            }));
        },
        &[
            (
                "The two jobs run at the same time, each on a thread of the pool.",
                |record| record.jobs_max() == 2,
            ),
            (
                "While they block these threads, the runtime polls other tasks.",
                |record| record.polls_beside_jobs() > 2,
            ),
            (
                "The end of each job wakes the task that awaits it.",
                |record| {
                    let wakes = record.wakes("root");
                    let by_jobs = |cause: &&Cause| matches!(cause, Cause::Job(_));
                    wakes.iter().filter(by_jobs).count() == 2
                },
            ),
        ],
    )
}
