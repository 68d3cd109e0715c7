//! Tasks that let others run, over and over. An operation is one yield and one poll.

use super::{Size, Workload, nanos_each};
use crate::machine::CpuInstant;
use crate::runtimes::Runtime;
use std::future::poll_fn;
use std::pin::pin;

#[derive(Clone, Copy)]
pub(super) struct Yields {
    pub(super) way: Way,
    pub(super) tasks: u32,
    /// How often each task yields.
    pub(super) times: u32,
}

/// How a task yields.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// By the runtime's own function, which may poll the reactor first.
    Own,
    /// By a future that wakes its task and is pending once, the same on all runtimes.
    SelfWake,
}

/// Runs `future` and returns how often it was polled.
async fn polls(future: impl Future<Output = ()>) -> u32 {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    })
    .await;
    polls
}

impl Workload for Yields {
    fn run<R: Runtime>(self, size: Size) -> f64 {
        let yields = size.of(self.times);
        let spawn = || match self.way {
            Way::Own => R::spawn(polls(async move {
                for _ in 0..yields {
                    R::yield_now().await;
                }
            })),
            Way::SelfWake => R::spawn(polls(async move {
                for _ in 0..yields {
                    futures_lite::future::yield_now().await;
                }
            })),
        };
        let time = R::block_on(async {
            let tasks: Vec<_> = (0..self.tasks).map(|_| spawn()).collect();
            let start = CpuInstant::now();
            for task in tasks {
                let polls = R::join(task).await;
                assert_eq!(polls, yields + 1, "each yield ends a poll");
            }
            start.elapsed()
        });
        nanos_each(time, self.tasks * yields)
    }
}
