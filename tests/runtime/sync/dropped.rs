//! Claims about waits that are dropped anywhere.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use crate::support::runtime::{Log, run, soon, turns};
use futures_lite::future::poll_once;
use waterwheel::runtime::sync::broadcast::RecvError;
use waterwheel::runtime::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use waterwheel::runtime::{spawn, yield_now};

/// A future that is dropped after it was polled this many times, unless it is ready before.
async fn dropped_after<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Some(value) = poll_once(future.as_mut()).await {
            return Some(value);
        }
        // Polls again only after it was woken, or after some turns.
        yield_now().await;
    }
    None
}

/// Numbers that look random, and are the same in each run.
fn dice(seed: u64) -> impl FnMut(u32) -> u32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state >> 33).unwrap() % sides
    }
}

const SEEDS: u64 = 200;

#[test]
fn permits_are_neither_lost_nor_doubled_when_waits_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let semaphore = Rc::new(Semaphore::new(2));
            let inside = Rc::new(Cell::new(0));
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let (semaphore, inside) = (semaphore.clone(), inside.clone());
                    let (wants, polls, stays) = (1 + dice(2), dice(6), dice(4));
                    spawn(async move {
                        let permit = semaphore.acquire_many(wants as usize);
                        let Some(permit) = dropped_after(polls, permit).await else {
                            return;
                        };
                        inside.set(inside.get() + wants);
                        assert!(inside.get() <= 2);
                        for _ in 0..stays {
                            yield_now().await;
                        }
                        inside.set(inside.get() - wants);
                        drop(permit);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(semaphore.available_permits(), 2, "seed {seed}");
            assert!(semaphore.try_acquire().is_some());
        });
    }
}

#[test]
fn messages_are_neither_lost_nor_doubled_when_sends_and_receives_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let (sender, mut receiver) = mpsc::channel(1 + dice(3) as usize);
            let sent = Rc::new(RefCell::new(Vec::new()));
            for task in 0..4_u32 {
                let (sender, sent) = (sender.clone(), sent.clone());
                let rolls: Vec<_> = (0..10).map(|_| 1 + dice(5)).collect();
                spawn(async move {
                    for (number, polls) in (0..).zip(rolls) {
                        let message = (task, number);
                        if let Some(Ok(())) = dropped_after(polls, sender.send(message)).await {
                            sent.borrow_mut().push(message);
                        }
                    }
                })
                .detach();
            }
            drop(sender);
            let mut arrived = Vec::new();
            let receive = async {
                loop {
                    match dropped_after(dice(4), receiver.recv()).await {
                        Some(Some(message)) => arrived.push(message),
                        Some(None) => break,
                        None => yield_now().await,
                    }
                }
            };
            soon(receive).await;
            // Each sender's messages come in its order.
            let mut sorted = arrived.clone();
            sorted.sort_by_key(|(task, _)| *task);
            arrived.sort_unstable();
            assert_eq!(sorted, arrived, "seed {seed}");
            sent.borrow_mut().sort_unstable();
            assert_eq!(arrived, *sent.borrow(), "seed {seed}");
        });
    }
}

#[test]
fn no_notification_of_one_is_lost_when_waits_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let notify = Rc::new(Notify::new());
            let seen = Rc::new(Cell::new(0_u32));
            // Workers that wait again and again, and workers that give up.
            for _ in 0..3 {
                let (notify, seen) = (notify.clone(), seen.clone());
                spawn(async move {
                    loop {
                        notify.notified().await;
                        seen.set(seen.get() + 1);
                    }
                })
                .detach();
            }
            for _ in 0..10 {
                let (notify, seen) = (notify.clone(), seen.clone());
                let (starts, polls) = (dice(6), dice(5));
                spawn(async move {
                    for _ in 0..starts {
                        yield_now().await;
                    }
                    if dropped_after(polls, notify.notified()).await.is_some() {
                        seen.set(seen.get() + 1);
                    }
                })
                .detach();
            }
            turns(5).await;
            for notified in 1..=20 {
                notify.notify_one();
                // One at a time, because two notifications without a waiter count as one.
                for _ in 0..30 {
                    yield_now().await;
                }
                assert_eq!(seen.get(), notified, "seed {seed}");
            }
        });
    }
}

#[test]
fn a_watch_and_a_broadcast_report_everything_although_waits_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let (level, mut gauge) = watch::channel(0);
            let (news, mut reader) = broadcast::channel(4);
            let rolls: Vec<_> = (0..20).map(|_| dice(3)).collect();
            spawn(async move {
                for (number, pause) in (1..).zip(rolls) {
                    level.send(number);
                    news.send(number).unwrap();
                    for _ in 0..pause {
                        yield_now().await;
                    }
                }
            })
            .detach();
            let log = Log::new();
            let (mut end_of_watch, mut end_of_news) = (false, false);
            let mut expected = 1;
            while !(end_of_watch && end_of_news) {
                if let Some(changed) = dropped_after(dice(3), gauge.changed()).await {
                    end_of_watch = changed.is_err();
                    log.add(*gauge.borrow());
                }
                match dropped_after(dice(3), reader.recv()).await {
                    Some(Ok(number)) => {
                        assert_eq!(number, expected, "seed {seed}");
                        expected += 1;
                    }
                    Some(Err(RecvError::Lagged(missed))) => {
                        expected += u32::try_from(missed).unwrap();
                    }
                    Some(Err(RecvError::Closed)) => end_of_news = true,
                    None => {}
                }
            }
            let seen = log.take();
            assert!(seen.is_sorted(), "seed {seed}: {seen:?}");
            assert_eq!((seen.last(), expected), (Some(&20), 21), "seed {seed}");
        });
    }
}
