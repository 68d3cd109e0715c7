//! Tasks that are spawned and joined. An operation is one task, from its spawn to its value.

use super::{Size, Workload, nanos_each, sum_below};
use crate::machine::CpuInstant;
use crate::runtimes::{Runtime, one_by_one};

/// Each task is joined before the next one is spawned.
#[derive(Clone, Copy)]
pub(super) struct OneByOne(pub(super) Spawner);

/// Where the spawning code runs.
#[derive(Clone, Copy)]
pub(super) enum Spawner {
    /// In a task.
    Task,
    /// In the future that `block_on` runs, which some runtimes wake in another way than a task.
    Root,
}

impl Workload for OneByOne {
    fn run<R: Runtime>(self, size: Size) -> f64 {
        let count = size.of(50_000);
        let (time, sum) = R::block_on(async {
            let start = CpuInstant::now();
            let sum = match self.0 {
                Spawner::Task => R::join(R::spawn_one_by_one(count)).await,
                Spawner::Root => {
                    let spawn_and_join = |number| R::join(R::spawn(async move { number }));
                    one_by_one(count, spawn_and_join).await
                }
            };
            (start.elapsed(), sum)
        });
        assert_eq!(sum, sum_below(count), "every task has returned its number");
        nanos_each(time, count)
    }
}

/// All tasks are spawned before the first one runs.
#[derive(Clone, Copy)]
pub(super) struct AtOnce;

impl Workload for AtOnce {
    fn run<R: Runtime>(self, size: Size) -> f64 {
        let count = size.of(300_000);
        let (time, sum) = R::block_on(async {
            let start = CpuInstant::now();
            let tasks: Vec<_> = (0..count)
                .map(|number| R::spawn(async move { number }))
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += u64::from(R::join(task).await);
            }
            (start.elapsed(), sum)
        });
        assert_eq!(sum, sum_below(count), "every task has returned its number");
        nanos_each(time, count)
    }
}
