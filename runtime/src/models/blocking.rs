//! The slot that a job and its future share.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_task::ArcWake;

use super::executor::Executor;
use crate::blocking::Blocking;
use crate::pool::{Order, Pool, PoolSettings};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::thread;

/// A waker that counts.
#[derive(Default)]
struct Counter(AtomicUsize);

impl ArcWake for Counter {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A value that counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_that_awaits_a_job_has_its_value() {
    loom::model(|| {
        let executor = Executor::new();
        let pool = Pool::new(executor.remote.clone(), PoolSettings::default());
        let (job, value) = Blocking::of(|| 7);
        assert!(pool.push(Box::new(job)).is_none());
        assert_eq!(executor.block_on(value).ok(), Some(7));
    });
}

#[test]
fn a_job_that_ends_wakes_the_waker_that_was_left_last() {
    loom::model(|| {
        let (job, value) = Blocking::of(|| 7);
        let mut value = pin!(value);
        let thread = thread::spawn(move || job(Order::Run));
        let wakers = [(); 2].map(|()| Arc::new(Counter::default()));
        for waker in &wakers {
            let waker = futures_task::waker_ref(waker);
            let poll = value.as_mut().poll(&mut Context::from_waker(&waker));
            if poll.is_ready() {
                return;
            }
        }
        thread.join().expect("a job does not panic");
        assert_eq!(wakers[1].0.load(Ordering::Relaxed), 1);
        let waker = futures_task::waker_ref(&wakers[1]);
        let poll = value.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(matches!(poll, Poll::Ready(Ok(7))));
    });
}

#[test]
fn the_value_of_a_job_whose_future_is_dropped_is_dropped_once() {
    loom::model(|| {
        let made = Arc::new(AtomicUsize::new(0));
        let drops = Arc::new(AtomicUsize::new(0));
        let (job, value) = {
            let (made, drops) = (made.clone(), drops.clone());
            Blocking::of(move || {
                made.fetch_add(1, Ordering::Relaxed);
                Dropped(drops)
            })
        };
        let thread = thread::spawn(move || job(Order::Run));
        drop(value);
        thread.join().expect("a job does not panic");
        let made = made.load(Ordering::Relaxed);
        assert_eq!(drops.load(Ordering::Relaxed), made);
    });
}

#[test]
fn a_job_that_is_cancelled_while_it_is_awaited_ends_the_wait() {
    loom::model(|| {
        let executor = Executor::new();
        let (job, value) = Blocking::of(|| 7);
        thread::spawn(move || job(Order::Cancel));
        let error = executor.block_on(value).expect_err("there is no value");
        assert!(error.is_cancelled());
    });
}
