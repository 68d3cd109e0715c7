//! Claims about the seeded mode: the same seed is the same run, and many seeds are many orders.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use crate::support::process::{again, in_child};
use crate::support::runtime::within_deadline;
use waterwheel::runtime::sync::{Mutex, Semaphore, broadcast, mpsc};
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::{Either, Runtime, join_all, seeded, select, spawn, time};

/// A program whose result depends on the order of its tasks.
async fn order_of_tasks() -> Vec<u32> {
    let order = Rc::new(RefCell::new(Vec::new()));
    let (sender, mut receiver) = mpsc::channel(2);
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let (order, sender) = (order.clone(), sender.clone());
            spawn(async move {
                for round in 0..3 {
                    order.borrow_mut().push(number * 10 + round);
                    sender.send(number).await.unwrap();
                    time::sleep(Duration::from_millis(u64::from(number))).await;
                }
            })
        })
        .collect();
    drop(sender);
    let reader = async {
        loop {
            match select(receiver.recv(), time::sleep(Duration::from_millis(1))).await {
                Either::First(Some(number)) => order.borrow_mut().push(100 + number),
                Either::First(None) => break,
                Either::Second(()) => {}
            }
        }
    };
    reader.await;
    for task in tasks {
        task.await.unwrap();
    }
    order.take()
}

fn run_with(seed: u64) -> Vec<u32> {
    let runtime = Runtime::builder().seed(seed).build().unwrap();
    runtime.block_on(async {
        time::pause();
        order_of_tasks().await
    })
}

#[test]
fn the_same_seed_is_the_same_run_and_other_seeds_are_others() {
    within_deadline(|| {
        let mut runs = HashSet::new();
        for seed in 0..100 {
            let run = run_with(seed);
            assert_eq!(run, run_with(seed), "seed {seed}");
            runs.insert(run);
        }
        assert!(runs.len() > 50, "{} orders", runs.len());
    });
}

#[test]
fn a_failing_seed_is_printed_and_can_be_repeated() {
    let fails = || {
        seeded::check(1000, || async {
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks = (0..3).map(|number| {
                let order = order.clone();
                spawn(async move { order.borrow_mut().push(number) })
            });
            join_all(tasks).await;
            eprintln!("this is a run");
            assert_ne!(*order.borrow(), [2, 1, 0]);
        });
    };
    let Some(output) = in_child(fails) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let seed = said.split("set WATERWHEEL_SEED=").nth(1);
    let seed = seed.unwrap_or_else(|| panic!("{said}"));
    let seed = seed.lines().next().unwrap();
    // Only this seed runs if the variable is set, and it fails again.
    let name = "seeds::a_failing_seed_is_printed_and_can_be_repeated";
    let mut repeated = again(name);
    let repeated = repeated.env("WATERWHEEL_CHILD", name);
    let output = repeated.env(seeded::VARIABLE, seed).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("this is a run").count(), 1, "{said}");
    assert!(said.contains(&format!("seed {seed}")), "{said}");
}

/// The claims about fairness and about dropped waits hold in any order of the tasks.
#[test]
fn locks_channels_and_sets_keep_their_promises_under_a_thousand_seeds() {
    within_deadline(|| {
        seeded::check(1000, || async {
            let semaphore = Rc::new(Semaphore::new(2));
            let value = Rc::new(Mutex::new(0));
            let (news, mut reader) = broadcast::channel(64);
            let mut set = JoinSet::new();
            for number in 0..6_u32 {
                let (semaphore, value, news) = (semaphore.clone(), value.clone(), news.clone());
                set.spawn(async move {
                    let limit = Duration::from_millis(u64::from(number % 3));
                    // Some of the waits time out, and must leave the permits to the others.
                    let permit =
                        time::timeout(limit, semaphore.acquire_many(1 + number as usize % 2));
                    let Ok(_permit) = permit.await else { return 0 };
                    let mut value = value.lock().await;
                    let before = *value;
                    time::sleep(Duration::from_millis(1)).await;
                    *value = before + 1;
                    news.send(number).unwrap();
                    1
                });
            }
            drop(news);
            let ended: u32 = set.join_all().await.into_iter().sum();
            assert_eq!(*value.lock().await, ended);
            assert_eq!(semaphore.available_permits(), 2);
            let mut told = 0;
            while reader.recv().await.is_ok() {
                told += 1;
            }
            assert_eq!(told, ended);
        });
    });
}

#[test]
fn messages_of_each_sender_stay_in_order_under_a_thousand_seeds() {
    within_deadline(|| {
        seeded::check(1000, || async {
            let (sender, mut receiver) = mpsc::channel(1);
            for number in 0..3_u32 {
                let sender = sender.clone();
                spawn(async move {
                    for round in 0..4_u32 {
                        sender.send((number, round)).await.unwrap();
                    }
                })
                .detach();
            }
            drop(sender);
            let mut next = [0; 3];
            while let Some((number, round)) = receiver.recv().await {
                assert_eq!(next[number as usize], round);
                next[number as usize] += 1;
            }
            assert_eq!(next, [4; 3]);
        });
    });
}

/// The ticks of the wheel are those of the real clock, and each run begins at another place between two of them.
#[test]
fn a_seed_repeats_a_run_with_many_timers_whenever_it_begins() {
    async fn order_of_timers() -> Vec<(u32, u64)> {
        let order = Rc::new(RefCell::new(Vec::new()));
        let start = time::Instant::now();
        join_all((0..200u32).map(|number| {
            let order = order.clone();
            spawn(async move {
                for round in 1..4u32 {
                    let micros = u64::from(number * 7919 % 97 * round) * 331;
                    let sleep = time::sleep(Duration::from_micros(micros));
                    let limit = time::sleep(Duration::from_millis(9));
                    let first = matches!(select(sleep, limit).await, Either::First(()));
                    let at = start.elapsed().as_nanos().try_into().unwrap();
                    order.borrow_mut().push((number * 2 + u32::from(first), at));
                }
            })
        }))
        .await;
        order.take()
    }
    within_deadline(|| {
        for seed in 0..20 {
            let run = || {
                let runtime = Runtime::builder().seed(seed).build().unwrap();
                runtime.block_on(async {
                    time::pause();
                    order_of_timers().await
                })
            };
            let first = run();
            for _ in 0..4 {
                std::thread::sleep(Duration::from_micros(310));
                assert!(first == run(), "seed {seed}");
            }
        }
    });
}
