//! Pairs of tasks that wake each other in turn. An operation is one wake and one poll.
//!
//! The two tasks of a pair share a place in a thread-local table: so the futures are `Send`, and all
//! runtimes pay the same few instructions for it, without an atomic operation.

use super::{Size, Workload, nanos_each};
use crate::machine::CpuInstant;
use crate::runtimes::Runtime;
use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Clone, Copy)]
pub(super) struct Pairs {
    pub(super) pairs: usize,
    /// How often each task has its turn.
    pub(super) turns: u32,
}

/// The state that the two tasks of a pair share.
#[derive(Default)]
struct Pair {
    /// How many turns have been taken. The even ones are the first task's.
    turns: Cell<u32>,
    /// Wakes the task that waits for its turn.
    waiting: Cell<Option<Waker>>,
}

thread_local! {
    /// Leaked, so that the table needs no destructor and a look at it is a load.
    static PAIRS: Cell<&'static [Pair]> = const { Cell::new(&[]) };
}

/// Waits for its turn, then takes it and wakes the other task.
async fn turn(pair: usize, parity: u32) {
    let other = poll_fn(|cx| {
        let pair = &PAIRS.get()[pair];
        let turns = pair.turns.get();
        if turns % 2 != parity {
            pair.waiting.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        pair.turns.set(turns + 1);
        Poll::Ready(pair.waiting.take())
    });
    if let Some(other) = other.await {
        other.wake();
    }
}

impl Workload for Pairs {
    fn run<R: Runtime>(self, size: Size) -> f64 {
        let turns = size.of(self.turns);
        let pairs: Vec<_> = (0..self.pairs).map(|_| Pair::default()).collect();
        PAIRS.set(pairs.leak());
        let time = R::block_on(async {
            let tasks: Vec<_> = (0..self.pairs)
                .flat_map(|pair| [(pair, 0), (pair, 1)])
                .map(|(pair, parity)| {
                    R::spawn(async move {
                        for _ in 0..turns {
                            turn(pair, parity).await;
                        }
                    })
                })
                .collect();
            let start = CpuInstant::now();
            for task in tasks {
                R::join(task).await;
            }
            start.elapsed()
        });
        let taken: u32 = PAIRS.get().iter().map(|pair| pair.turns.get()).sum();
        let all = 2 * turns * u32::try_from(self.pairs).expect("there are a hundred");
        assert_eq!(taken, all, "every task has had its turns");
        nanos_each(time, all)
    }
}
