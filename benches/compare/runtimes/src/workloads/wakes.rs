//! Pairs of tasks that wake each other in turn. An operation is one wake and one poll.
//!
//! The two tasks of a pair share a place in a thread-local table, so that the futures are `Send` and
//! all runtimes pay the same few instructions for it, without an atomic operation.

use super::{Size, Workload, nanos_each};
use crate::machine::CpuInstant;
use crate::runtimes::Runtime;
use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Clone, Copy)]
pub(super) struct Pairs {
    pub(super) pairs: usize,
    /// How often each task has its turn.
    pub(super) turns: u32,
}

/// What the two tasks of a pair share.
#[derive(Default)]
struct Pair {
    /// How many turns have been taken. The even ones are the first task's.
    turns: u32,
    /// Wakes the task whose turn it is not.
    waiting: Option<Waker>,
}

thread_local! {
    static PAIRS: RefCell<Vec<Pair>> = const { RefCell::new(Vec::new()) };
}

/// Waits for its turn, then takes it and wakes the other task.
async fn turn(pair: usize, parity: u32) {
    poll_fn(|cx| {
        PAIRS.with_borrow_mut(|pairs| {
            let pair = &mut pairs[pair];
            if pair.turns % 2 == parity {
                return Poll::Ready(());
            }
            pair.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
    })
    .await;
    let other = PAIRS.with_borrow_mut(|pairs| {
        pairs[pair].turns += 1;
        pairs[pair].waiting.take()
    });
    if let Some(other) = other {
        other.wake();
    }
}

impl Workload for Pairs {
    fn run<R: Runtime>(self, size: Size) -> f64 {
        let turns = size.of(self.turns);
        PAIRS.set((0..self.pairs).map(|_| Pair::default()).collect());
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
        let taken: u32 = PAIRS.take().iter().map(|pair| pair.turns).sum();
        let all = 2 * turns * u32::try_from(self.pairs).expect("there are a hundred");
        assert_eq!(taken, all, "every task has had its turns");
        nanos_each(time, all)
    }
}
