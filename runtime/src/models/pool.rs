//! The pool's threads, its end, and its last report.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::executor::Executor;
use crate::pool::{Order, Pool, PoolSettings};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::{Condvar, Mutex};
use crate::remote::Message;

/// Counts the jobs that were run and those that were cancelled.
#[derive(Clone, Default)]
struct Counts {
    run: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
}

impl Counts {
    fn push_job(&self, pool: &Pool) {
        let counts = self.clone();
        push(pool, move |order| counts.count(order));
    }

    fn count(&self, order: Order) {
        let counter = match order {
            Order::Run => &self.run,
            Order::Cancel => &self.cancelled,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self) -> usize {
        self.run.load(Ordering::Relaxed) + self.cancelled.load(Ordering::Relaxed)
    }
}

/// Counts steps, and lets threads wait for them.
#[derive(Clone, Default)]
struct Steps(Arc<(Mutex<usize>, Condvar)>);

impl Steps {
    fn take_one(&self) {
        let (count, changed) = &*self.0;
        *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        changed.notify_all();
    }

    fn wait_for(&self, steps: usize) {
        let (count, changed) = &*self.0;
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_timeout_while(count, Duration::MAX, |count| *count < steps));
    }
}

fn push(pool: &Pool, job: impl FnOnce(Order) + Send + 'static) {
    let refused = pool.push(Box::new(job));
    assert!(refused.is_none(), "a model can always start a thread");
}

/// Sleeps until the pool has no job.
fn wait_until_idle(executor: &Executor, pool: &Pool) {
    while !pool.is_idle_or_reports() {
        executor.park();
    }
}

#[test]
fn the_last_job_to_end_is_reported() {
    loom::model(|| {
        let executor = Executor::new();
        let pool = Pool::new(executor.remote.clone(), PoolSettings::default());
        let counts = Counts::default();
        counts.push_job(&pool);
        counts.push_job(&pool);
        wait_until_idle(&executor, &pool);
        assert_eq!(counts.run.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn an_idle_pool_has_sent_its_mail() {
    loom::model(|| {
        let executor = Executor::new();
        let pool = Pool::new(executor.remote.clone(), PoolSettings::default());
        let remote = executor.remote.clone();
        push(&pool, move |_| {
            _ = remote.send(Message::Run(Box::new(|| ())));
        });
        if pool.is_idle_or_reports() {
            assert!(executor.remote.has_mail());
        }
    });
}

#[test]
fn a_job_that_comes_when_a_thread_ends_of_idleness_is_run() {
    loom::model(|| {
        let executor = Executor::new();
        let pool = Pool::new(executor.remote.clone(), PoolSettings::default());
        let counts = Counts::default();
        counts.push_job(&pool);
        pool.let_idle_time_pass();
        counts.push_job(&pool);
        wait_until_idle(&executor, &pool);
        assert_eq!(counts.run.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_job_is_run_while_another_one_waits_for_it() {
    loom::model(|| {
        let executor = Executor::new();
        let pool = Pool::new(executor.remote.clone(), PoolSettings::default());
        let counts = Counts::default();
        loom::stop_exploring();
        counts.push_job(&pool);
        wait_until_idle(&executor, &pool);
        // Now there is a thread that is idle or about to be.
        loom::explore();
        let steps = Steps::default();
        let (first, second) = (steps.clone(), steps.clone());
        push(&pool, move |_| {
            first.wait_for(1);
            first.take_one();
        });
        push(&pool, move |_| second.take_one());
        steps.wait_for(2);
    });
}

#[test]
fn a_pool_that_ends_runs_or_cancels_each_job_once() {
    loom::model(|| {
        let executor = Executor::new();
        let pool = Pool::new(executor.remote.clone(), PoolSettings::default());
        let counts = Counts::default();
        counts.push_job(&pool);
        counts.push_job(&pool);
        drop(pool);
        assert_eq!(counts.total(), 2);
    });
}
