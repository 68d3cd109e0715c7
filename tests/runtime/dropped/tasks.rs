//! Handles, sets, scopes and blocking jobs.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

use crate::support::runtime::{count_drop, soon, turns};
use crate::support::seeds::{MANY, SOME, dice, dropped_after, under_seeds};
use waterwheel::runtime::task::{self, JoinSet};
use waterwheel::runtime::{Handle, spawn, spawn_blocking, yield_now};

#[test]
fn a_handle_returns_its_value_after_any_number_of_dropped_waits() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let drops = Rc::new(Cell::new(0));
        let (polls, value) = (dice(6), count_drop(&drops));
        let mut handle = spawn(async move {
            turns(polls).await;
            value
        });
        let value = loop {
            if let Some(value) = dropped_after(dice(4), &mut handle).await {
                break value.unwrap();
            }
            yield_now().await;
        };
        drop(handle);
        assert_eq!(drops.get(), 0);
        drop(value);
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn a_set_returns_each_task_once_although_joins_are_dropped_and_tasks_aborted() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let drops = Rc::new(Cell::new(0));
        let mut set = JoinSet::new();
        for number in 0..6_u32 {
            let (held, polls) = (count_drop(&drops), dice(6));
            let task = set.spawn(async move {
                let _held = held;
                turns(polls).await;
                number
            });
            if dice(4) == 0 {
                task.abort();
            }
        }
        let mut seen = Vec::new();
        let mut aborted = 0;
        while !set.is_empty() {
            match dropped_after(dice(4), set.join_next()).await {
                Some(Some(Ok(number))) => seen.push(number),
                Some(Some(Err(error))) => aborted += usize::from(error.is_cancelled()),
                Some(None) => panic!("the set is not empty"),
                None => yield_now().await,
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() + aborted, 6);
        assert_eq!(drops.get(), 6);
    });
}

#[test]
fn a_set_whose_shutdown_or_join_is_dropped_anywhere_ends_all_of_its_tasks() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let drops = Rc::new(Cell::new(0));
        let make = |polls: &mut dyn FnMut(u32) -> u32| {
            let mut set = JoinSet::new();
            for _ in 0..4 {
                let (held, polls) = (count_drop(&drops), polls(4));
                set.spawn(async move {
                    let _held = held;
                    turns(polls).await;
                });
            }
            let held = count_drop(&drops);
            set.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            set
        };
        let mut set = make(&mut dice);
        turns(dice(3)).await;
        _ = dropped_after(dice(4), set.shutdown()).await;
        soon(set.shutdown()).await;
        assert_eq!((set.len(), drops.get()), (0, 5));
        // The set goes with the future of `join_all`.
        let set = make(&mut dice);
        assert!(dropped_after(dice(8), set.join_all()).await.is_none());
        turns(2).await;
        assert_eq!(drops.get(), 10);
    });
}

#[test]
fn a_scope_that_is_dropped_anywhere_ends_its_tasks() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let (drops, ends) = (Rc::new(Cell::new(0)), dice(2) == 0);
        let rolls: Vec<_> = (0..4).map(|_| dice(5)).collect();
        let scope = task::scope(async |scope| {
            for &polls in &rolls {
                let held = count_drop(&drops);
                scope
                    .spawn(async move {
                        let _held = held;
                        turns(polls).await;
                    })
                    .detach();
                yield_now().await;
            }
            turns(rolls[0]).await;
            if !ends {
                pending::<()>().await;
            }
            rolls.len()
        });
        let spawned = match dropped_after(dice(14), scope).await {
            Some(spawned) => {
                // All have ended before the scope returns.
                assert_eq!(drops.get() as usize, spawned);
                spawned
            }
            None => Rc::strong_count(&drops) - 1 + drops.get() as usize,
        };
        turns(2).await;
        assert_eq!(
            (drops.get() as usize, Rc::strong_count(&drops)),
            (spawned, 1)
        );
    });
}

#[test]
fn a_job_and_a_remote_task_return_their_values_after_dropped_waits() {
    under_seeds(SOME, |seed| async move {
        let mut dice = dice(seed);
        let mut job = spawn_blocking(|| 42);
        let value = loop {
            if let Some(value) = dropped_after(dice(4), &mut job).await {
                break value;
            }
            yield_now().await;
        };
        assert_eq!(value.unwrap(), 42);
        let polls = dice(4);
        let mut remote = Handle::current()
            .spawn_with(move || async move {
                turns(polls).await;
                43
            })
            .unwrap();
        let value = loop {
            if let Some(value) = dropped_after(dice(4), &mut remote).await {
                break value;
            }
            yield_now().await;
        };
        assert_eq!(value.unwrap(), 43);
        // A job that is dropped runs at most once, and its captures are dropped.
        let held = std::sync::Arc::new(());
        let captured = held.clone();
        _ = dropped_after(dice(3), spawn_blocking(move || drop(captured))).await;
        while std::sync::Arc::strong_count(&held) > 1 {
            yield_now().await;
        }
    });
}
