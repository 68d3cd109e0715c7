//! Claims about tasks: their order, their ends, and their panics.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::support::runtime::{
    Counted, Log, OnDrop, count_drop, panic_text, run, turns, within_deadline,
};
use crate::support::seeds::in_any_order;
use futures_lite::future::poll_once;
use waterwheel::runtime::{
    Handle, JoinHandle, Notify, Runtime, block_on, budget, join, race, spawn, spawn_blocking,
    spawn_detached, task, time, yield_now,
};

#[test]
fn tasks_run_in_the_order_in_which_they_were_spawned() {
    run(async {
        let log = Log::new();
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let log = log.clone();
                spawn(async move { log.add(number) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.take(), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn tasks_that_yield_take_turns() {
    run(async {
        let log = Log::new();
        let count_to_three = |name| {
            let log = log.clone();
            spawn(async move {
                for number in 0..3 {
                    log.add((name, number));
                    yield_now().await;
                }
            })
        };
        let (a, b) = join(count_to_three('a'), count_to_three('b')).await;
        assert!(a.is_ok() && b.is_ok());
        let turns = [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('a', 2), ('b', 2)];
        assert_eq!(log.take(), turns);
    });
}

#[test]
fn a_task_that_wakes_itself_starves_neither_another_task_nor_a_timer() {
    run(async {
        let stop = Rc::new(Cell::new(false));
        let busy = spawn({
            let stop = stop.clone();
            async move {
                while !stop.get() {
                    yield_now().await;
                }
            }
        });
        spawn(async {}).await.unwrap();
        time::sleep(Duration::from_millis(2)).await;
        stop.set(true);
        busy.await.unwrap();
    });
}

#[test]
fn a_task_woken_during_a_turn_runs_after_all_that_were_ready() {
    let runtime = Runtime::new().unwrap();
    let log = Log::new();
    let outer = log.clone();
    runtime
        .spawn(async move {
            let inner = outer.clone();
            spawn(async move { inner.add("spawned") }).detach();
            outer.add("spawner");
        })
        .detach();
    let second = log.clone();
    runtime.spawn(async move { second.add("beside") }).detach();
    assert_eq!(runtime.run_until_idle(), 0);
    assert_eq!(log.take(), ["spawner", "beside", "spawned"]);
}

#[test]
fn the_remaining_tasks_of_a_turn_that_ends_early_run_first_in_the_next() {
    within_deadline(|| {
        for panics in [false, true] {
            let runtime = Runtime::new().unwrap();
            let log = Log::new();
            let write = |number| {
                let log = log.clone();
                runtime.spawn(async move { log.add(number) }).detach();
            };
            // Task 0 wakes the main future and then spawns the others, so they are behind it in the queue.
            let main = Rc::new(RefCell::new(None::<Waker>));
            let mut polls = 0;
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                runtime.block_on(poll_fn(|cx| {
                    polls += 1;
                    if polls == 1 {
                        *main.borrow_mut() = Some(cx.waker().clone());
                        let (main, log) = (main.clone(), log.clone());
                        spawn_detached(async move {
                            let main = main.take();
                            main.unwrap().wake();
                            for number in 1..=3 {
                                let log = log.clone();
                                spawn_detached(async move { log.add(number) });
                            }
                        });
                        return Poll::Pending;
                    }
                    assert!(!panics, "main");
                    Poll::Ready(())
                }));
            }));
            assert_eq!(ended.is_err(), panics);
            assert!(log.take().is_empty());
            write(4);
            assert_eq!(runtime.run_until_idle(), 0);
            assert_eq!(log.take(), [1, 2, 3, 4]);
        }
    });
}

#[test]
fn a_spent_budget_lets_others_run_and_is_full_in_the_next_poll() {
    in_any_order(|| async {
        let mut granted = 0;
        let mut refused = 0;
        poll_fn(|cx| {
            while budget::poll_spend(cx, 1).is_ready() {
                granted += 1;
                if granted == 2 * budget::BUDGET {
                    return Poll::Ready(());
                }
            }
            refused += 1;
            Poll::Pending
        })
        .await;
        assert_eq!(refused, 1);
    });
}

#[test]
fn many_wakes_before_a_task_runs_cause_one_poll() {
    in_any_order(|| async {
        let polls = Rc::new(Cell::new(0));
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let task = spawn(Counted {
            polls: polls.clone(),
            future: poll_fn({
                let waker = waker.clone();
                move |cx| {
                    *waker.borrow_mut() = Some(cx.waker().clone());
                    Poll::<()>::Pending
                }
            }),
        });
        turns(2).await;
        assert_eq!(polls.get(), 1);
        let waker = waker.take().unwrap();
        for _ in 0..100 {
            waker.wake_by_ref();
        }
        turns(2).await;
        turns(2).await;
        assert_eq!(polls.get(), 2);
        drop(task);
    });
}

#[test]
fn a_task_woken_while_it_runs_runs_once_more() {
    let runtime = Runtime::new().unwrap();
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    let task = runtime.spawn(poll_fn(move |cx| {
        counted.set(counted.get() + 1);
        if counted.get() == 1 {
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
        }
        Poll::<()>::Pending
    }));
    runtime.run_until_idle();
    assert_eq!(polls.get(), 2);
    drop(task);
}

#[test]
fn a_wake_after_the_end_of_the_task_has_no_effect() {
    in_any_order(|| async {
        let waker = spawn(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
        let waker = waker.await.unwrap();
        let polls = Rc::new(Cell::new(0));
        let tenant = spawn(Counted {
            polls: polls.clone(),
            future: pending::<()>(),
        });
        yield_now().await;
        waker.wake_by_ref();
        waker.wake();
        yield_now().await;
        yield_now().await;
        assert_eq!(polls.get(), 1, "the next task of the slot was polled");
        tenant.abort();
    });
}

#[test]
fn a_wake_after_the_end_of_the_runtime_has_no_effect() {
    within_deadline(|| {
        let (root, task) = block_on(async {
            let task = spawn(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
            let root = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            (root, task.await.unwrap())
        });
        root.wake_by_ref();
        task.wake_by_ref();
        block_on(async {
            root.wake();
            task.wake();
            yield_now().await;
        });
    });
}

#[test]
fn a_panic_ends_only_its_own_task_and_the_handle_returns_it() {
    in_any_order(|| async {
        let other = spawn(async {
            yield_now().await;
            "unharmed"
        });
        let number = std::hint::black_box(7);
        let bad = spawn(async move { assert!(number == 0, "went wrong: {number}") });
        let error = bad.await.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert!(error.to_string().ends_with(" panicked: went wrong: 7"));
        let payload = error.try_into_panic().unwrap();
        assert_eq!(*payload.downcast::<String>().unwrap(), "went wrong: 7");
        assert_eq!(other.await.unwrap(), "unharmed");
    });
}

/// Debug builds keep the place of each task, and all builds that of a task with a name.
#[test]
fn the_error_of_a_task_has_its_id_its_name_and_its_place() {
    run(async {
        let line = line!() + 1;
        let named = || task::Builder::new().name("worker");
        let tasks = [
            spawn(async { panic!("text") }),
            named().spawn(async { panic!("text") }),
            spawn(pending()),
            named().spawn(pending()),
        ];
        for task in &tasks[2..] {
            task.abort();
        }
        for (number, task) in (0..).zip(tasks) {
            let id = task.id();
            let error = task.await.unwrap_err();
            let about = error.task().unwrap();
            assert_eq!(about.id(), id);
            assert_eq!(error.is_panic(), number < 2);
            let place = format!("tests/runtime/tasks.rs:{}:", line + 2 + number);
            let location = about.location().map(ToString::to_string);
            let location = location.unwrap_or_default();
            let has_place = location.starts_with(&place);
            let in_brackets = if number % 2 == 1 {
                assert!(has_place, "{location}");
                assert_eq!(about.name(), Some("worker"));
                format!(" (\"worker\", {location})")
            } else if cfg!(debug_assertions) {
                assert!(has_place, "{location}");
                format!(" ({location})")
            } else {
                String::new()
            };
            let end = ["panicked: text", "was cancelled"][number as usize / 2];
            let text = format!("task {id}{in_brackets} {end}");
            assert_eq!(error.to_string(), text);
            assert_eq!(format!("{error:?}"), format!("JoinError({text})"));
            assert_eq!(std::io::Error::from(error).to_string(), text);
        }
    });
}

#[test]
fn the_error_of_a_task_names_it_through_a_set_a_scope_and_a_remote_handle() {
    run(async {
        let mut set = task::JoinSet::new();
        let of_set = set.spawn(async { panic!("text") }).id();
        let ended: Result<(), _> = set.join_next().await.unwrap();
        assert_eq!(ended.unwrap_err().task().unwrap().id(), of_set);
        let (id, error) = task::scope(async |scope| {
            let task = scope.spawn(async { panic!("text") });
            (task.id(), task.await.unwrap_err())
        })
        .await;
        assert_eq!(error.task().unwrap().id(), id);
        let line = line!() + 1;
        let remote = Handle::current().spawn_with(|| async { panic!("text") });
        let error = remote.unwrap().await.unwrap_err();
        if cfg!(debug_assertions) {
            let text = error.to_string();
            assert!(
                text.contains(&format!("tests/runtime/tasks.rs:{line}:")),
                "{text}"
            );
        }
        // A blocking job is not a task.
        let error = spawn_blocking(|| panic!("text")).await.unwrap_err();
        assert!(error.task().is_none());
    });
}

/// A name is kept for the handle until the handle has returned the outcome, and no longer.
#[test]
fn the_name_of_a_task_is_not_that_of_the_next_task_in_its_place() {
    in_any_order(|| async {
        for ends in [true, false] {
            let named = task::Builder::new().name("first").spawn(async move {
                if !ends {
                    pending::<()>().await;
                }
            });
            turns(2).await;
            named.abort();
            turns(2).await;
            assert!(named.is_finished());
            drop(named);
            let next = spawn(async { panic!("text") });
            assert_eq!(next.await.unwrap_err().task().unwrap().name(), None);
        }
    });
}

#[test]
fn the_handle_returns_a_panic_of_the_destructor_of_its_task() {
    in_any_order(|| async {
        let task = spawn(async {
            let _guard = OnDrop(|| panic!("in drop"));
            pending::<()>().await;
        });
        yield_now().await;
        task.abort();
        let error = task.await.unwrap_err();
        assert!(error.is_panic() || error.is_cancelled());
        spawn(async {}).await.unwrap();
    });
}

#[test]
fn a_panic_of_the_main_future_leaves_block_on() {
    within_deadline(|| {
        let dropped = Rc::new(Cell::new(0));
        let text = panic_text(|| {
            block_on(async {
                let guard = count_drop(&dropped);
                spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })
                .detach();
                yield_now().await;
                panic!("main");
            });
        });
        assert_eq!(text, "main");
        assert_eq!(dropped.get(), 1);
        assert_eq!(block_on(async { 1 }), 1, "the thread can go on");
    });
}

#[test]
fn a_task_aborted_before_its_first_run_never_runs() {
    in_any_order(|| async {
        let (ran, dropped) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let task = spawn({
            let (ran, guard) = (ran.clone(), count_drop(&dropped));
            async move {
                let _guard = guard;
                ran.set(true);
            }
        });
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(!ran.get());
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn a_task_aborted_while_it_waits_is_dropped_in_the_next_turn() {
    in_any_order(|| async {
        let dropped = Rc::new(Cell::new(0));
        let guard = count_drop(&dropped);
        let task = spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        yield_now().await;
        task.abort();
        task.abort();
        assert!(!task.is_finished());
        yield_now().await;
        yield_now().await;
        assert_eq!(dropped.get(), 1);
        assert!(task.is_finished());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_task_that_aborts_itself_ends_at_its_next_await() {
    in_any_order(|| async {
        let handle = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let reached = Log::new();
        let task = spawn({
            let (handle, reached) = (handle.clone(), reached.clone());
            async move {
                reached.add("before");
                handle.borrow().as_ref().unwrap().abort();
                reached.add("still in the same poll");
                yield_now().await;
                reached.add("never");
            }
        });
        *handle.borrow_mut() = Some(task);
        yield_now().await;
        yield_now().await;
        let task = handle.take().unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(reached.take(), ["before", "still in the same poll"]);
    });
}

#[test]
fn a_task_that_has_finished_keeps_its_value_when_it_is_aborted() {
    in_any_order(|| async {
        let task = spawn(async { 7 });
        turns(2).await;
        assert!(task.is_finished());
        task.abort();
        assert_eq!(task.await.unwrap(), 7);
    });
}

#[test]
fn a_detached_task_runs_to_its_end() {
    in_any_order(|| async {
        let bell = Rc::new(Notify::new());
        let rung = bell.notified();
        let ringer = bell.clone();
        spawn(async move {
            yield_now().await;
            ringer.notify_all();
        })
        .detach();
        rung.await;
    });
}

#[test]
fn a_handle_that_lost_a_race_can_be_awaited_again() {
    in_any_order(|| async {
        let mut task = spawn(async {
            yield_now().await;
            3
        });
        let first = race(async { Some((&mut task).await) }, async { None }).await;
        assert!(first.is_none());
        assert_eq!(task.await.unwrap(), 3);
    });
}

#[test]
fn the_value_of_a_task_without_a_handle_is_dropped_with_it() {
    in_any_order(|| async {
        let dropped = Rc::new(Cell::new(0));
        let guard = count_drop(&dropped);
        drop(spawn(async move { guard }));
        turns(2).await;
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn destructors_may_spawn_and_wake() {
    run(async {
        let log = Log::new();
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let sleeper = spawn({
            let (waker, log) = (waker.clone(), log.clone());
            let mut polls = 0;
            poll_fn(move |cx| {
                *waker.borrow_mut() = Some(cx.waker().clone());
                polls += 1;
                log.add(format!("poll {polls}"));
                if polls == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        });
        let guard = OnDrop({
            let log = log.clone();
            move || {
                let log = log.clone();
                waker.take().unwrap().wake();
                spawn(async move { log.add("spawned".to_owned()) }).detach();
            }
        });
        let task = spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        sleeper.await.unwrap();
        yield_now().await;
        assert_eq!(log.take(), ["poll 1", "poll 2", "spawned"]);
    });
}

#[test]
fn destructors_may_abort_and_drop_each_other() {
    in_any_order(|| async {
        let first = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let inner = first.clone();
        let second = spawn(async move {
            let _guard = OnDrop(move || inner.take().into_iter().for_each(|task| task.abort()));
            pending::<()>().await;
        });
        *first.borrow_mut() = Some(spawn(async move {
            let _guard = OnDrop(move || second.abort());
            pending::<()>().await;
        }));
        turns(2).await;
        first.borrow().as_ref().unwrap().abort();
        turns(2).await;
        turns(2).await;
        turns(2).await;
        assert!(first.borrow().is_none());
    });
}

#[test]
fn a_runtime_that_ends_drops_its_tasks_while_the_thread_is_inside_it() {
    within_deadline(|| {
        let log = Log::new();
        let runtime = Runtime::new().unwrap();
        let guard = OnDrop({
            let log = log.clone();
            move || {
                let (ran, dropped) = (log.clone(), log.clone());
                let guard = OnDrop(move || dropped.add("the late one's drop"));
                let late = spawn(async move {
                    let _guard = &guard;
                    ran.add("ran");
                });
                log.add("drop");
                late.detach();
            }
        });
        runtime
            .spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
            .detach();
        runtime.run_until_idle();
        drop(runtime);
        let mut entries = log.take();
        entries.sort_unstable();
        assert_eq!(entries, ["drop", "the late one's drop"]);
    });
}

#[test]
fn a_handle_that_outlives_its_runtime_returns_cancelled() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let task = runtime.spawn(pending::<()>());
        runtime.poll();
        drop(runtime);
        assert!(task.is_finished());
        assert!(block_on(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_hundred_thousand_tasks_run_and_end() {
    run(async {
        let bell = Rc::new(Notify::new());
        let done = Rc::new(Cell::new(0));
        for _ in 0..100_000 {
            let done = done.clone();
            spawn(async move {
                yield_now().await;
                done.set(done.get() + 1);
            })
            .detach();
        }
        while done.get() < 100_000 {
            yield_now().await;
        }
        bell.notify_all();
    });
}

#[test]
fn join_returns_both_values_and_race_the_first_one() {
    in_any_order(|| async {
        let slow = async {
            yield_now().await;
            "slow"
        };
        assert_eq!(join(slow, async { 1 }).await, ("slow", 1));
        assert_eq!(race(async { 1 }, async { 2 }).biased().await, 1);
        assert_eq!(race(pending(), async { 2 }).await, 2);
    });
}

#[test]
fn a_notification_wakes_all_present_waiters_and_no_later_one() {
    in_any_order(|| async {
        let bell = Rc::new(Notify::new());
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let bell = bell.clone();
                spawn(async move { bell.notified().await })
            })
            .collect();
        turns(2).await;
        bell.notify_all();
        let mut late = pin!(bell.notified());
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert!(poll_once(late.as_mut()).await.is_none());
    });
}

#[test]
fn a_panic_message_names_the_operation_outside_a_runtime() {
    let spawned = panic_text(|| drop(spawn(async {})));
    assert!(
        spawned.contains("spawned outside a Waterwheel runtime"),
        "{spawned}"
    );
    let slept = panic_text(|| {
        let mut sleep = time::sleep(Duration::from_secs(1));
        let mut cx = std::task::Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
    });
    assert!(slept.contains("Sleep was polled outside"), "{slept}");
}

/// Panics when it is dropped, with a payload that panics when it is dropped.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        let next = self.0.checked_sub(1).map(Bomb);
        std::panic::panic_any(next);
    }
}

#[test]
fn a_task_whose_every_destructor_panics_harms_no_other_task() {
    run(async {
        // These panic: the poll, the destructor of the future, and the payloads.
        let all = spawn({
            let bomb = Bomb(1);
            poll_fn(move |_| -> Poll<()> {
                let _kept = &bomb;
                std::panic::panic_any(Bomb(1))
            })
        });
        // The value panics after the destructor of the future.
        let value = spawn({
            let bomb = Bomb(1);
            poll_fn(move |_| {
                let _kept = &bomb;
                Poll::Ready(Bomb(1))
            })
        });
        let detached = spawn(async { Bomb(1) });
        detached.detach();
        for error in [all.await, value.await.map(std::mem::forget)] {
            let payload = error.unwrap_err().try_into_panic().unwrap();
            std::mem::forget(payload);
        }
        spawn(async {}).await.unwrap();
    });
}

#[test]
fn a_cost_above_the_whole_budget_succeeds_once_in_a_turn() {
    run(poll_fn(|cx| budget::poll_spend(cx, 10 * budget::BUDGET)));
}

#[test]
fn a_detached_task_runs_and_its_panics_harm_no_other_task() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    in_any_order(|| async {
        let log = Log::new();
        spawn_detached(async { panic!("in a detached task") });
        spawn_detached(async {
            let _later = PanicsInDrop;
            yield_now().await;
        });
        spawn_detached({
            let log = log.clone();
            async move {
                yield_now().await;
                log.add("still here");
            }
        });
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(log.take(), ["still here"]);
    });
}
