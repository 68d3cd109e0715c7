//! Claims about all waits: their wakers, and their share of the thread.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::Bad;
use crate::support::runtime::{Bell, run, soon, turns};
use crate::support::seeds::in_any_order;
use futures_lite::future::poll_once;
use waterwheel::runtime::sync::{
    CancellationToken, Mutex, Notify, Semaphore, broadcast, mpsc, oneshot, watch,
};
use waterwheel::runtime::{join, spawn};

type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// Each leaf future of the module, as a wait that does not end.
fn all_waits() -> Vec<(&'static str, Wait)> {
    let notify = Rc::new(Notify::new());
    let semaphore = Rc::new(Semaphore::new(0));
    let mutex = Rc::new(Mutex::new(()));
    let token = CancellationToken::new();
    let (mut question, mut answer) = oneshot::channel::<u8>();
    let (jobs, mut queue) = mpsc::channel::<u8>(1);
    let (level, mut gauge) = watch::channel(0);
    let (news, mut reader) = broadcast::channel::<u8>(1);
    // Each future owns what it waits for, so that the wait does not end.
    let (full, kept_queue) = mpsc::channel::<u8>(1);
    full.try_send(1).unwrap();
    let full = Rc::new((full, kept_queue));
    let (reserve, idle) = (full.clone(), full.clone());
    let (asked, held_answer) = oneshot::channel::<u8>();
    let watched = level.clone();
    let held_gauge = gauge.clone();
    vec![
        ("Notify::notified", {
            let notify = notify.clone();
            Box::pin(async move { notify.notified().await })
        }),
        (
            "Notify::changed_since",
            Box::pin(async move { notify.changed_since(0).await }),
        ),
        ("Semaphore::acquire", {
            let semaphore = semaphore.clone();
            Box::pin(async move { drop(semaphore.acquire().await) })
        }),
        (
            "Semaphore::acquire_owned",
            Box::pin(async move {
                drop(semaphore.acquire_owned().await);
            }),
        ),
        (
            "Mutex::lock",
            Box::pin(async move {
                let _held = mutex.lock().await;
                drop(mutex.lock().await);
            }),
        ),
        (
            "CancellationToken::cancelled",
            Box::pin(async move { token.cancelled().await }),
        ),
        (
            "oneshot::Receiver",
            Box::pin(async move {
                let _asked = asked;
                _ = held_answer.await;
            }),
        ),
        (
            "oneshot::Sender::closed",
            Box::pin(async move {
                question.closed().await;
                _ = answer.try_recv();
            }),
        ),
        (
            "mpsc::Receiver::recv",
            Box::pin(async move {
                let _jobs = jobs;
                queue.recv().await;
            }),
        ),
        (
            "mpsc::Sender::send",
            Box::pin(async move { _ = full.0.send(2).await }),
        ),
        (
            "mpsc::Sender::reserve",
            Box::pin(async move { drop(reserve.0.reserve().await) }),
        ),
        (
            "mpsc::Sender::closed",
            Box::pin(async move { idle.0.closed().await }),
        ),
        (
            "watch::Receiver::changed",
            Box::pin(async move {
                let _level = level;
                _ = gauge.changed().await;
            }),
        ),
        (
            "watch::Sender::closed",
            Box::pin(async move {
                let _gauge = held_gauge;
                watched.closed().await;
            }),
        ),
        (
            "broadcast::Receiver::recv",
            Box::pin(async move {
                let _news = news;
                _ = reader.recv().await;
            }),
        ),
    ]
}

#[test]
fn a_wait_that_is_dropped_leaves_no_waker_behind() {
    // The waits share their channels, so all of them stay alive until the last one was checked.
    let mut waits: Vec<_> = all_waits()
        .into_iter()
        .map(|(name, wait)| (name, Some(wait)))
        .collect();
    for (name, wait) in &mut waits {
        let bell = Arc::new(Bell);
        let waker = Waker::from(bell.clone());
        let mut wait = wait.take().unwrap();
        for _ in 0..2 {
            let poll = wait.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending(), "{name} does not wait");
        }
        assert_eq!(Arc::strong_count(&bell), 3, "{name} is stored once");
        drop(wait);
        drop(waker);
        assert_eq!(Arc::strong_count(&bell), 1, "{name} leaves a waker");
    }
}

/// Polls a future twice with a waker, drops it, and returns the number of wakers that are left.
fn wakers_left_by<F: Future>(future: F) -> usize {
    let bell = Arc::new(Bell);
    let waker = Waker::from(bell.clone());
    {
        let mut future = pin!(future);
        for _ in 0..2 {
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending(), "it does not wait");
        }
    }
    drop(waker);
    Arc::strong_count(&bell) - 1
}

#[test]
fn a_wait_that_is_dropped_leaves_no_waker_in_a_half_that_lives_on() {
    let (_jobs, mut queue) = mpsc::channel::<u8>(1);
    assert_eq!(wakers_left_by(queue.recv()), 0);
    let (mut question, _answer) = oneshot::channel::<u8>();
    assert_eq!(wakers_left_by(question.closed()), 0);
    let (_level, mut gauge) = watch::channel(0);
    assert_eq!(wakers_left_by(gauge.changed()), 0);
    let (_news, mut reader) = broadcast::channel::<u8>(1);
    assert_eq!(wakers_left_by(reader.recv()), 0);
}

#[test]
fn a_wait_wakes_the_task_that_has_polled_it_last() {
    in_any_order(|| async {
        let notify = Rc::new(Notify::new());
        let semaphore = Rc::new(Semaphore::new(0));
        let (sender, mut receiver) = mpsc::channel(1);
        let waits: Vec<Wait> = vec![
            {
                let notify = notify.clone();
                Box::pin(async move { notify.notified().await })
            },
            {
                let semaphore = semaphore.clone();
                Box::pin(async move { drop(semaphore.acquire().await) })
            },
            Box::pin(async move { assert_eq!(receiver.recv().await, Some(1)) }),
        ];
        let mut tasks = Vec::new();
        for mut wait in waits {
            // First polled here, and then by a task of its own.
            assert!(poll_once(wait.as_mut()).await.is_none());
            tasks.push(spawn(wait));
        }
        turns(5).await;
        notify.notify_one();
        semaphore.add_permits(1);
        sender.try_send(1).unwrap();
        for task in tasks {
            soon(task).await.unwrap();
        }
    });
}

#[test]
fn a_waker_that_panics_harms_no_other_waiter() {
    let bad = Waker::from(Arc::new(Bad));
    let mut bad = Context::from_waker(&bad);
    run(async {
        let notify = Notify::new();
        let semaphore = Semaphore::new(0);
        let mut first = pin!(notify.notified());
        let mut second = pin!(semaphore.acquire());
        assert!(first.as_mut().poll(&mut bad).is_pending());
        assert!(second.as_mut().poll(&mut bad).is_pending());
        let (notified, acquired) = (notify.notified(), semaphore.acquire());
        let wake = async {
            notify.notify_all();
            semaphore.add_permits(2);
        };
        let ((), permit) = soon(join(join(notified, acquired), wake)).await.0;
        drop(permit);
    });
}

/// A task that uses a leaf which is always ready, and another task.
async fn lets_others_run(name: &str, mut next: impl AsyncFnMut()) {
    let stop = Rc::new(Cell::new(false));
    let other = spawn({
        let stop = stop.clone();
        async move { stop.set(true) }
    });
    let mut steps = 0;
    while !stop.get() {
        next().await;
        steps += 1;
        assert!(steps < 100_000, "{name}: the other task did not run");
    }
    other.await.unwrap();
}

#[test]
fn a_loop_over_a_channel_that_is_always_ready_lets_others_run() {
    in_any_order(|| async {
        let notify = Notify::new();
        lets_others_run("notify_one", async || {
            notify.notify_one();
            notify.notified().await;
        })
        .await;
        let semaphore = Semaphore::new(1);
        lets_others_run("Semaphore", async || drop(semaphore.acquire().await)).await;
        let mutex = Mutex::new(());
        lets_others_run("Mutex", async || drop(mutex.lock().await)).await;
        lets_others_run("oneshot", async || {
            let (sender, receiver) = oneshot::channel();
            sender.send(()).unwrap();
            receiver.await.unwrap();
        })
        .await;
        let (sender, mut receiver) = mpsc::channel(1);
        lets_others_run("mpsc", async || {
            sender.try_send(()).unwrap();
            receiver.recv().await.unwrap();
        })
        .await;
        lets_others_run("mpsc send", async || {
            sender.send(()).await.unwrap();
            receiver.try_recv().unwrap();
        })
        .await;
        drop(sender);
        lets_others_run("mpsc end", async || {
            assert!(receiver.recv().await.is_none());
        })
        .await;
        let (sender, mut receiver) = watch::channel(0);
        lets_others_run("watch", async || {
            sender.send(1);
            receiver.changed().await.unwrap();
        })
        .await;
        lets_others_run("wait_for", async || {
            assert!(receiver.wait_for(|_| true).await.is_ok());
        })
        .await;
        let (sender, mut receiver) = broadcast::channel(1);
        lets_others_run("broadcast", async || {
            sender.send(()).unwrap();
            receiver.recv().await.unwrap();
        })
        .await;
        let token = CancellationToken::new();
        token.cancel();
        lets_others_run("cancelled", async || token.cancelled().await).await;
    });
}
