//! Channels, semaphores and sets of tasks. Each runtime has those that its users use with it.
//!
//! | | channel | oneshot | semaphore | set |
//! |---|---|---|---|---|
//! | Waterwheel | `sync::mpsc` | `sync::oneshot` | `sync::Semaphore` | `task::JoinSet` |
//! | tokio | `sync::mpsc` | `sync::oneshot` | `sync::Semaphore` | `task::JoinSet` |
//! | smol | async-channel | futures-channel | async-lock | `FuturesUnordered` of tasks |
//! | `LocalPool` | futures-channel | futures-channel | async-lock | `FuturesUnordered` of handles |
//!
//! async-lock's semaphore lets a task that comes later overtake those in line. The others serve in order.

use super::{Size, SyncWorkload, nanos_each, sum_below};
use crate::machine::CpuInstant;
use crate::runtimes::{Ball, Part, WithSync};

/// Spawns a task for each part and waits for all. Returns the time and the sum of their values.
fn run_all<R: WithSync>(parts: Vec<Part<R>>) -> (std::time::Duration, u64) {
    R::block_on(async {
        let tasks: Vec<_> = parts.into_iter().map(R::spawn_part).collect();
        let start = CpuInstant::now();
        let mut sum = 0;
        for task in tasks {
            sum += R::join(task).await;
        }
        (start.elapsed(), sum)
    })
}

/// A task sends to another one. An operation is one message, from its send to its receipt.
#[derive(Clone, Copy)]
pub(super) struct Channel {
    pub(super) capacity: usize,
    /// How many such pairs of tasks there are.
    pub(super) pairs: u32,
}

impl SyncWorkload for Channel {
    fn run<R: WithSync>(self, size: Size) -> f64 {
        let count = size.of(100_000).div_ceil(self.pairs);
        let mut parts = Vec::new();
        for _ in 0..self.pairs {
            let (sender, receiver) = R::channel(self.capacity);
            parts.push(Part::Send { sender, count });
            parts.push(Part::Receive { receiver });
        }
        let (time, sum) = run_all::<R>(parts);
        let each = u64::from(count) + sum_below(count);
        assert_eq!(sum, each * u64::from(self.pairs), "each message arrives");
        nanos_each(time, self.pairs * count)
    }
}

/// Two tasks answer each other: each message has the sender for its answer. An operation is a oneshot that is
/// made, awaited and then sent.
#[derive(Clone, Copy)]
pub(super) struct Oneshot {
    /// How many such pairs of tasks there are.
    pub(super) pairs: u32,
}

impl SyncWorkload for Oneshot {
    fn run<R: WithSync>(self, size: Size) -> f64 {
        let turns = size.of(50_000).div_ceil(self.pairs);
        let mut parts = Vec::new();
        for _ in 0..self.pairs {
            let (first, question) = R::oneshot();
            parts.push(Part::Play { question, turns });
            let (second, question) = R::oneshot();
            parts.push(Part::Play { question, turns });
            R::answer(first, Ball(second));
        }
        let all = 2 * self.pairs * turns;
        let (time, sum) = run_all::<R>(parts);
        assert_eq!(sum, u64::from(all), "each task has had its turns");
        nanos_each(time, all)
    }
}

/// An operation is a oneshot that is made, sent and then awaited, all by one task.
#[derive(Clone, Copy)]
pub(super) struct OneshotOfOne;

impl SyncWorkload for OneshotOfOne {
    fn run<R: WithSync>(self, size: Size) -> f64 {
        let times = size.of(100_000);
        let (time, sum) = run_all::<R>(vec![Part::AnswerSelf { times }]);
        assert_eq!(sum, sum_below(times), "each value arrives");
        nanos_each(time, times)
    }
}

/// Tasks take the one permit of a semaphore in turn. An operation is a permit that is taken and returned.
///
/// One task always finds the permit. Several tasks yield while they have it, so that the others wait in line.
/// The yield is part of the cost.
#[derive(Clone, Copy)]
pub(super) struct Permits {
    pub(super) tasks: u32,
}

impl SyncWorkload for Permits {
    fn run<R: WithSync>(self, size: Size) -> f64 {
        let times = size.of(100_000).div_ceil(self.tasks);
        let semaphore = R::semaphore(1);
        let part = || {
            let semaphore = semaphore.clone();
            if self.tasks == 1 {
                Part::Acquire { semaphore, times }
            } else {
                Part::Hold { semaphore, times }
            }
        };
        let (time, sum) = run_all::<R>((0..self.tasks).map(|_| part()).collect());
        assert_eq!(sum, u64::from(self.tasks * times), "each permit is taken");
        nanos_each(time, self.tasks * times)
    }
}

/// A task spawns 1,000 tasks into a set and joins them, over and over. An operation is one of these tasks.
#[derive(Clone, Copy)]
pub(super) struct Sets;

impl SyncWorkload for Sets {
    fn run<R: WithSync>(self, size: Size) -> f64 {
        let (tasks, times) = (1_000, size.of(100));
        let (time, sum) = run_all::<R>(vec![Part::JoinSet { tasks, times }]);
        let each = sum_below(tasks);
        assert_eq!(sum, each * u64::from(times), "each task returns its number");
        nanos_each(time, tasks * times)
    }
}
