//! A scene for the player: two blocking jobs, and a task that goes on beside them.

use std::process::ExitCode;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use my_stage_13::{block_on, join, sleep, spawn, spawn_blocking};
use watch::{Cause, by_timer};

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                // The jobs meet, and then one of them waits until the task has ticked beside them.
                let meeting = Arc::new(Barrier::new(2));
                let (begun, begins) = mpsc::channel();
                let (ticked, end) = mpsc::channel();
                let ticks = spawn(watch::task("ticks", async move {
                    let mut ticks_left = 5;
                    let mut have_begun = false;
                    while ticks_left > 0 {
                        by_timer(sleep(Duration::from_millis(4))).await;
                        have_begun |= begins.try_recv().is_ok();
                        ticks_left -= u32::from(have_begun);
                    }
                    ticked.send(()).unwrap();
                }));
                let meet = meeting.clone();
                let jobs = [
                    spawn_blocking(watch::job(move || {
                        meet.wait();
                        begun.send(()).unwrap();
                        end.recv().unwrap();
                    })),
                    spawn_blocking(watch::job(move || {
                        meeting.wait();
                        thread::sleep(Duration::from_millis(40));
                    })),
                ];
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
