//! Notifications, permits, locks, channels and tokens.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::support::runtime::{Log, count_drop, soon, turns};
use crate::support::seeds::{MANY, dice, dropped_after, under_seeds};
use waterwheel::runtime::sync::broadcast::RecvError;
use waterwheel::runtime::sync::{
    CancellationToken, Mutex, Notify, Semaphore, broadcast, mpsc, oneshot, watch,
};
use waterwheel::runtime::{join_all, spawn, yield_now};

#[test]
fn permits_are_neither_lost_nor_doubled_when_waits_are_dropped_anywhere() {
    under_seeds(MANY, |seed| async move {
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

#[test]
fn messages_are_neither_lost_nor_doubled_when_sends_and_receives_are_dropped_anywhere() {
    under_seeds(MANY, |seed| async move {
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

#[test]
fn no_notification_of_one_is_lost_when_waits_are_dropped_anywhere() {
    under_seeds(MANY, |seed| async move {
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

#[test]
fn a_watch_and_a_broadcast_report_everything_although_waits_are_dropped_anywhere() {
    under_seeds(MANY, |seed| async move {
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

#[test]
fn a_lock_is_free_after_all_waits_for_it_were_dropped_anywhere() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let value = Rc::new(Mutex::new(0));
        let permits = Rc::new(Semaphore::new(1));
        let entered = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (value, permits, entered) = (value.clone(), permits.clone(), entered.clone());
                let (polls, stays) = (dice(6), dice(3));
                spawn(async move {
                    // An owned permit, whose wait is another future than that of the lock.
                    let owned = dropped_after(polls, permits.acquire_owned()).await;
                    let Some(mut value) = dropped_after(polls, value.lock()).await else {
                        return;
                    };
                    let before = *value;
                    turns(stays).await;
                    *value = before + 1;
                    entered.set(entered.get() + 1);
                    drop(owned);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*value.try_lock().unwrap(), entered.get());
        assert_eq!(permits.available_permits(), 1);
    });
}

#[test]
fn a_value_that_is_not_received_is_returned_or_dropped_once() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let drops = Rc::new(Cell::new(0));
        let (sender, mut receiver) = oneshot::channel();
        let (before, sent) = (dice(4), count_drop(&drops));
        let sending = spawn(async move {
            turns(before).await;
            sender.send(sent).is_ok()
        });
        let mut arrived = None;
        for _ in 0..dice(4) {
            // The same receiver is awaited again after its wait was dropped.
            arrived = dropped_after(dice(3), &mut receiver).await;
            if arrived.is_some() {
                break;
            }
        }
        let is_received = arrived.is_some();
        drop(receiver);
        let is_sent = sending.await.unwrap();
        assert!(is_sent || !is_received);
        assert_eq!(drops.get(), u32::from(!is_received));
        drop(arrived);
        assert_eq!(drops.get(), 1);

        // The wait for the end of a receiver.
        let (mut sender, receiver) = oneshot::channel::<u8>();
        let dropping = spawn(async move {
            turns(before).await;
            drop(receiver);
        });
        while dropped_after(dice(3), sender.closed()).await.is_none() {
            yield_now().await;
        }
        assert!(sender.is_closed());
        dropping.await.unwrap();
    });
}

#[test]
fn reserved_room_comes_back_when_its_wait_or_its_permit_is_dropped_anywhere() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let (sender, mut receiver) = mpsc::channel(2);
        let sent = Rc::new(Cell::new(0_u32));
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (sender, sent) = (sender.clone(), sent.clone());
                let (polls, stays, sends) = (dice(6), dice(3), dice(2) == 0);
                spawn(async move {
                    let Some(permit) = dropped_after(polls, sender.reserve()).await else {
                        return;
                    };
                    let permit = permit.unwrap();
                    turns(stays).await;
                    if sends {
                        permit.send(()).unwrap();
                        sent.set(sent.get() + 1);
                    }
                })
            })
            .collect();
        let mut arrived = 0;
        let take = async {
            for _ in 0..40 {
                arrived += u32::from(dropped_after(dice(3), receiver.recv()).await.is_some());
                yield_now().await;
            }
        };
        take.await;
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((arrived, sender.capacity()), (sent.get(), 2));
        drop(receiver);
        soon(sender.closed()).await;
    });
}

#[test]
fn each_wait_for_a_cancellation_or_an_end_sees_it_although_others_are_dropped() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let token = CancellationToken::new();
        let (level, gauge) = watch::channel(0);
        let level = Rc::new(level);
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (token, level, mut gauge) = (token.child_token(), level.clone(), gauge.clone());
                let (polls, within) = (dice(5), dice(5));
                spawn(async move {
                    // The future inside is dropped with the wait.
                    let drops = Rc::new(Cell::new(0));
                    let inside = {
                        let held = count_drop(&drops);
                        async move {
                            let _held = held;
                            turns(within).await;
                        }
                    };
                    _ = dropped_after(polls, token.run_until_cancelled(inside)).await;
                    assert_eq!(drops.get(), 1);
                    _ = dropped_after(polls, token.cancelled()).await;
                    soon(token.cancelled()).await;
                    let seven = |value: &u32| *value == 7;
                    _ = dropped_after(polls, gauge.wait_for(seven)).await;
                    assert_eq!(*soon(gauge.wait_for(seven)).await.unwrap(), 7);
                    drop(gauge);
                    _ = dropped_after(polls, level.closed()).await;
                    soon(level.closed()).await;
                })
            })
            .collect();
        drop(gauge);
        turns(dice(8)).await;
        token.cancel();
        turns(dice(8)).await;
        level.send(7);
        for task in join_all(tasks).await {
            task.unwrap();
        }
    });
}
