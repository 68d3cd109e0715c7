//! Claims about scopes, and about all groups of tasks.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

use crate::support::runtime::{OnDrop, count_drop, panic_text, run, soon, turns, within_deadline};
use crate::support::seeds::in_any_order;
use futures_lite::future::poll_once;
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::{block_on, join, spawn, spawn_detached, task, yield_now};

#[test]
fn a_scope_returns_after_all_of_its_tasks_have_ended() {
    in_any_order(|| async {
        let drops = Rc::new(Cell::new(0));
        let value = task::scope(async |scope| {
            for _ in 0..3 {
                let held = count_drop(&drops);
                scope.spawn(async move {
                    let _held = held;
                    pending::<()>().await;
                });
            }
            let short = scope.spawn(async { 7 });
            let value = short.await.unwrap();
            assert_eq!((scope.len(), scope.is_empty(), drops.get()), (3, false, 0));
            value
        });
        assert_eq!(soon(value).await, 7);
        assert_eq!(drops.get(), 3);
    });
}

#[test]
fn a_scope_whose_destructors_await_nothing_and_spawn_more_still_ends() {
    in_any_order(|| async {
        let ran = Rc::new(Cell::new(false));
        let later = ran.clone();
        soon(task::scope(async |scope| {
            scope.spawn(async move {
                let _spawns = OnDrop(move || {
                    let later = later.clone();
                    spawn_detached(async move { later.set(true) });
                });
                pending::<()>().await;
            });
            turns(2).await;
        }))
        .await;
        turns(2).await;
        assert!(ran.get());
    });
}

#[test]
fn a_scope_that_is_dropped_at_any_await_aborts_its_tasks() {
    for polls in 0..8 {
        run(async move {
            let drops = Rc::new(Cell::new(0));
            let held: Vec<_> = (0..3).map(|_| count_drop(&drops)).collect();
            let mut scope = Box::pin(task::scope(async |scope| {
                for held in held {
                    scope.spawn(async move {
                        let _held = held;
                        pending::<()>().await;
                    });
                    yield_now().await;
                }
            }));
            for _ in 0..polls {
                if poll_once(scope.as_mut()).await.is_some() {
                    break;
                }
                yield_now().await;
            }
            drop(scope);
            turns(2).await;
            assert_eq!(drops.get(), 3, "after {polls} polls");
        });
    }
}

#[test]
fn a_panic_in_a_scope_aborts_its_tasks() {
    in_any_order(|| async {
        let drops = Rc::new(Cell::new(0));
        let held = count_drop(&drops);
        let task = spawn(task::scope(async |scope| {
            scope.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            yield_now().await;
            panic!("on purpose");
        }));
        assert!(soon(task).await.unwrap_err().is_panic());
        turns(2).await;
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn join_and_abort_of_a_scope_inside_a_set_end() {
    in_any_order(|| async {
        let mut set = JoinSet::new();
        for _ in 0..3 {
            set.spawn(task::scope(async |scope| {
                scope.spawn(pending::<()>());
                pending::<()>().await;
            }));
        }
        turns(3).await;
        let ((), ()) = soon(join(set.shutdown(), turns(1))).await;
    });
}

#[test]
fn a_spawn_that_panics_outside_a_runtime_leaves_its_group_as_it_was() {
    within_deadline(|| {
        let mut set = JoinSet::new();
        let text = panic_text(|| drop(set.spawn(async { 1 })));
        assert!(text.contains("outside a Waterwheel runtime"), "{text}");
        assert!(set.is_empty() && set.try_join_next().is_none());
        block_on(async {
            assert!(set.join_next().await.is_none());
            set.spawn(async { 2 });
            assert_eq!(soon(set.join_next()).await.unwrap().unwrap(), 2);
            assert!(soon(set.join_next()).await.is_none());
        });
    });
}
