//! Timers beside 100,000 others.
//!
//! A task polls at most 32 timers between two yields: no runtime's budget for a poll is smaller, so
//! every timer that is polled is also armed. The yields belong to the cost, because some runtimes
//! delay the work of an insertion until the reactor polls.

use super::{IoWorkload, Size, nanos_each};
use crate::machine::CpuInstant;
use crate::runtimes::WithIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

/// How many timers are armed.
const ARMED: u32 = 100_000;

/// How many timers a task polls between two yields.
const POLLS: u32 = 32;

/// A duration between the two, in milliseconds, that looks random and is the same in each run.
fn spread(number: u32, least: u64, most: u64) -> Duration {
    let random = u64::from(number.wrapping_mul(2_654_435_769));
    Duration::from_micros(least * 1_000 + ((random * (most - least) * 1_000) >> 32))
}

/// Polls a timer once, so that it is armed, and checks that it is.
async fn arm(mut sleep: Pin<&mut impl Future>) {
    poll_fn(|cx| {
        assert!(sleep.as_mut().poll(cx).is_pending(), "its time is far away");
        Poll::Ready(())
    })
    .await;
}

/// An operation is a timer that is made, polled once and dropped. It would take 1 to 60 seconds.
#[derive(Clone, Copy)]
pub(super) struct InsertAndCancel;

impl IoWorkload for InsertAndCancel {
    fn run<R: WithIo>(self, size: Size) -> f64 {
        let (armed, operations) = (size.of(ARMED), size.of(100_000));
        let work = async move {
            let mut others = Vec::new();
            for number in 0..armed {
                let mut sleep = Box::pin(R::sleep(spread(number, 60_000, 120_000)));
                arm(sleep.as_mut()).await;
                others.push(sleep);
                if number % POLLS == 0 {
                    R::yield_now().await;
                }
            }
            let start = CpuInstant::now();
            for number in 0..operations {
                arm(pin!(R::sleep(spread(number, 1_000, 60_000)))).await;
                if number % POLLS == 0 {
                    R::yield_now().await;
                }
            }
            let time = start.elapsed();
            drop(others);
            time
        };
        let time = R::block_on(async { R::join(R::spawn(work)).await });
        nanos_each(time, operations)
    }
}

/// An operation is a task that arms a timer, is woken by it and ends; spawning is not counted. All
/// timers are armed before the first one fires, after 200 to 400 milliseconds.
#[derive(Clone, Copy)]
pub(super) struct InsertAndFire;

impl IoWorkload for InsertAndFire {
    fn run<R: WithIo>(self, size: Size) -> f64 {
        let count = size.of(ARMED);
        let durations = || (0..count).map(|number| spread(number, 200, 400));
        let longest = durations().max().expect("there is one");
        let (wall, time) = R::block_on(async {
            let tasks: Vec<_> = durations()
                .map(|duration| {
                    R::spawn(async move {
                        R::sleep(duration).await;
                    })
                })
                .collect();
            let (wall, start) = (Instant::now(), CpuInstant::now());
            for task in tasks {
                R::join(task).await;
            }
            (wall.elapsed(), start.elapsed())
        });
        assert!(wall >= longest, "no timer fires before its time");
        nanos_each(time, count)
    }
}
