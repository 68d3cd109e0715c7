//! Another thread wakes a task and waits for its answer. An operation is one such round trip.
//!
//! The other thread has a core of its own, if there is one, and never sleeps. So a round trip is the
//! wake, the time until the runtime notices it, and the poll. The figure is the median of the round
//! trips: a mean would count those during which another program had one of the cores.

use super::{Size, Workload, nanos_each};
use crate::machine;
use crate::runtimes::Runtime;
use futures_lite::future::yield_now;
use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub(super) struct CrossThread(pub(super) Meanwhile);

/// The state of the runtime when the wake comes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Meanwhile {
    /// It polls another task that always wakes itself.
    Busy,
    /// It sleeps.
    Asleep,
}

/// How long a runtime has to fall asleep.
const FALLING_ASLEEP: Duration = Duration::from_micros(50);

/// The state that the task and the thread share. All three numbers count round trips.
#[derive(Default)]
struct Line {
    waker: AtomicWaker,
    /// The task waits for this one.
    awaited: AtomicU32,
    /// The thread has woken the task for this one.
    asked: AtomicU32,
    /// The task has answered this one.
    answered: AtomicU32,
}

impl Line {
    /// The task's side.
    async fn answer(&self, round: u32) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.asked.load(Ordering::Acquire) == round {
                return Poll::Ready(());
            }
            self.awaited.store(round, Ordering::Release);
            Poll::Pending
        })
        .await;
        self.answered.store(round, Ordering::Release);
    }

    /// Keeps the runtime busy until this round trip.
    async fn be_busy_until(&self, round: u32) {
        while self.answered.load(Ordering::Relaxed) != round {
            yield_now().await;
        }
    }

    /// The thread's side; returns the time from the wake to the answer.
    fn ask(&self, round: u32, meanwhile: Meanwhile) -> Duration {
        spin_until(|| self.awaited.load(Ordering::Acquire) == round);
        if meanwhile == Meanwhile::Asleep {
            let start = Instant::now();
            spin_until(|| start.elapsed() >= FALLING_ASLEEP);
        }
        let start = Instant::now();
        self.asked.store(round, Ordering::Release);
        self.waker.wake();
        spin_until(|| self.answered.load(Ordering::Acquire) == round);
        start.elapsed()
    }
}

/// Waits without sleeping. On a machine with one core it lets the runtime's thread run.
fn spin_until(is_done: impl Fn() -> bool) {
    let alone = machine::other_core().is_none();
    while !is_done() {
        if alone {
            thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

impl Workload for CrossThread {
    fn run<R: Runtime>(self, size: Size) -> f64 {
        let CrossThread(meanwhile) = self;
        let rounds = size.of(match meanwhile {
            Meanwhile::Busy => 10_000,
            Meanwhile::Asleep => 1_000,
        });
        let line = Arc::new(Line::default());
        let thread = thread::spawn({
            let line = line.clone();
            move || {
                machine::move_to_other_core();
                let times = (1..=rounds).map(|round| line.ask(round, meanwhile));
                times.collect::<Vec<_>>()
            }
        });
        R::block_on(async {
            let answers = {
                let line = line.clone();
                R::spawn(async move {
                    for round in 1..=rounds {
                        line.answer(round).await;
                    }
                })
            };
            if meanwhile == Meanwhile::Busy {
                let line = line.clone();
                R::spawn_detached(async move { line.be_busy_until(rounds).await });
            }
            R::join(answers).await;
        });
        let mut times = thread.join().expect("the thread does not panic");
        assert_eq!(line.answered.load(Ordering::Acquire), rounds);
        times.sort_unstable();
        nanos_each(times[times.len() / 2], 1)
    }
}
