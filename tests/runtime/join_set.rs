//! Claims about sets of tasks.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::support::runtime::{
    Bell, OnDrop, count_drop, panic_text, run, soon, turns, within_deadline,
};
use crate::support::seeds::in_any_order;
use futures_lite::future::poll_once;
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::{Runtime, block_on, spawn, yield_now};

#[test]
fn a_set_returns_its_tasks_in_the_order_of_their_ends() {
    in_any_order(|| async {
        let mut set = JoinSet::new();
        for number in [3, 1, 2] {
            set.spawn(async move {
                turns(number).await;
                number
            });
        }
        assert_eq!((set.len(), set.is_empty()), (3, false));
        assert!(set.try_join_next().is_none());
        let mut ended = Vec::new();
        while let Some(value) = soon(set.join_next()).await {
            ended.push(value.unwrap());
        }
        assert_eq!(ended, [1, 2, 3]);
        assert!(set.is_empty() && set.join_next().await.is_none());
    });
}

#[test]
fn a_panic_and_an_abort_end_one_task_of_a_set_and_the_others_go_on() {
    in_any_order(|| async {
        let mut set = JoinSet::new();
        set.spawn(async { panic!("on purpose") });
        let abort = set.spawn(pending());
        set.spawn(async { turns(10).await });
        abort.abort();
        let (mut panics, mut aborts, mut values) = (0, 0, 0);
        while let Some(ended) = soon(set.join_next()).await {
            match ended {
                Ok(()) => values += 1,
                Err(error) if error.is_panic() => panics += 1,
                Err(_) => aborts += 1,
            }
        }
        assert_eq!((panics, aborts, values), (1, 1, 1));
    });
}

/// tokio 4335, 6802: the tasks of a set end with it.
#[test]
fn a_set_that_is_dropped_aborts_its_tasks_and_a_detached_one_does_not() {
    in_any_order(|| async {
        let drops = Rc::new(Cell::new(0));
        let fill = |set: &mut JoinSet<()>| {
            for _ in 0..3 {
                let held = count_drop(&drops);
                set.spawn(async move {
                    let _held = held;
                    turns(20).await;
                });
            }
        };
        let mut set = JoinSet::new();
        fill(&mut set);
        turns(2).await;
        drop(set);
        turns(2).await;
        assert_eq!(drops.get(), 3);
        let mut set = JoinSet::new();
        fill(&mut set);
        set.detach_all();
        assert!(set.is_empty());
        // The detached tasks end later, and are not joined in place of this one.
        set.spawn(turns(40));
        assert!(soon(set.join_next()).await.unwrap().is_ok());
        assert!(set.join_next().await.is_none());
        assert_eq!(drops.get(), 6);
    });
}

#[test]
fn shutdown_waits_until_the_futures_are_dropped() {
    in_any_order(|| async {
        let drops = Rc::new(Cell::new(0));
        let mut set = JoinSet::<()>::new();
        for _ in 0..5 {
            let held = count_drop(&drops);
            set.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
        }
        turns(2).await;
        soon(set.shutdown()).await;
        assert_eq!((drops.get(), set.len()), (5, 0));
    });
}

#[test]
fn join_all_returns_the_values_or_continues_the_panic() {
    run(async {
        let mut set = JoinSet::new();
        for number in 0..10 {
            set.spawn(async move { number });
        }
        assert_eq!(soon(set.join_all()).await, (0..10).collect::<Vec<_>>());
    });
    let text = panic_text(|| {
        run(async {
            let mut set = JoinSet::new();
            set.spawn(async { panic!("from a task") });
            set.spawn(pending());
            set.join_all().await
        });
    });
    assert_eq!(text, "from a task");
}

#[test]
fn a_join_that_is_dropped_anywhere_loses_no_task_and_leaves_no_waker() {
    for polls in 0..5 {
        run(async move {
            let mut set = JoinSet::new();
            for number in 0..6_u32 {
                set.spawn(async move {
                    turns(number % 3).await;
                    number
                });
            }
            let mut joined = Vec::new();
            while !set.is_empty() {
                let mut join = Box::pin(set.join_next());
                for _ in 0..polls {
                    if let Some(ended) = poll_once(join.as_mut()).await {
                        joined.extend(ended);
                        break;
                    }
                    yield_now().await;
                }
                drop(join);
                if polls == 0 {
                    joined.extend(set.try_join_next());
                }
                yield_now().await;
            }
            let mut joined: Vec<_> = joined.into_iter().map(Result::unwrap).collect();
            joined.sort_unstable();
            assert_eq!(joined, [0, 1, 2, 3, 4, 5]);
        });
    }
    in_any_order(|| async {
        let mut set = JoinSet::<()>::new();
        set.spawn(pending());
        let bell = Arc::new(Bell);
        let waker = Waker::from(bell.clone());
        {
            let mut join = pin!(set.join_next());
            for _ in 0..2 {
                assert!(
                    join.as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            }
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&bell), 1);
    });
}

#[test]
fn a_set_of_tasks_that_have_ended_lets_others_run() {
    run(async {
        let mut set = JoinSet::new();
        for _ in 0..1000 {
            set.spawn(async {});
        }
        yield_now().await;
        let other = spawn(async {});
        let mut joined = 0;
        while !other.is_finished() {
            soon(set.join_next()).await.unwrap().unwrap();
            joined += 1;
        }
        assert!(joined < 200, "{joined}");
    });
}

#[test]
fn a_thousand_tasks_of_a_set_are_joined_in_one_pass() {
    run(async {
        let mut set = JoinSet::new();
        for number in 0..1000_u64 {
            set.spawn(async move {
                turns(u32::try_from(number % 7).unwrap()).await;
                number
            });
        }
        let sum: u64 = soon(set.join_all()).await.into_iter().sum();
        assert_eq!(sum, 499_500);
    });
}

#[test]
fn a_set_may_outlive_its_runtime() {
    let runtime = Runtime::new().unwrap();
    let mut set = runtime.block_on(async {
        let mut set = JoinSet::<()>::new();
        set.spawn(pending());
        set
    });
    drop(runtime);
    assert!(set.try_join_next().unwrap().unwrap_err().is_cancelled());
}

/// The set hears of the end of a task when its future is gone, also if the task has never run.
#[test]
fn a_group_hears_of_an_end_after_the_future_is_dropped() {
    struct Rings(std::sync::atomic::AtomicBool);
    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    in_any_order(|| async {
        for polls in 0..2 {
            let rings = Arc::new(Rings(false.into()));
            let early = Arc::new(Rings(false.into()));
            let mut set = JoinSet::new();
            let guard = {
                let (rings, early) = (rings.clone(), early.clone());
                OnDrop(move || {
                    if rings.0.load(std::sync::atomic::Ordering::SeqCst) {
                        early.0.store(true, std::sync::atomic::Ordering::SeqCst);
                    }
                })
            };
            set.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            turns(polls).await;
            let waker = rings.clone().into();
            let mut cx = Context::from_waker(&waker);
            assert!(set.poll_join_next(&mut cx).is_pending());
            set.abort_all();
            turns(3).await;
            assert!(rings.0.load(std::sync::atomic::Ordering::SeqCst));
            assert!(
                !early.0.load(std::sync::atomic::Ordering::SeqCst),
                "{polls} polls"
            );
        }
    });
}

#[test]
fn a_set_that_a_destructor_fills_at_the_end_of_the_runtime_returns_cancelled() {
    within_deadline(|| {
        let set = Rc::new(RefCell::new(JoinSet::new()));
        let scoped = set.clone();
        let runtime = Runtime::new().unwrap();
        runtime
            .spawn(async move {
                let _guard = OnDrop(move || _ = scoped.borrow_mut().spawn(pending::<()>()));
                pending::<()>().await;
            })
            .detach();
        runtime.run_until_idle();
        drop(runtime);
        let mut set = set.take();
        block_on(async {
            let ended = soon(set.join_next()).await.expect("it is in the set");
            assert!(ended.unwrap_err().is_cancelled());
            assert!(soon(set.join_next()).await.is_none());
        });
    });
}
