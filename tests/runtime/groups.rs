//! Claims about sets, scopes, names and locals of tasks, about handles for other threads, and about hooks.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc as std_mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::support::runtime::{Log, OnDrop, count_drop, panic_text, run, within_deadline};
use futures_lite::future::poll_once;
use waterwheel::runtime::task::{self, AbortHandle, JoinSet, TaskLocal};
use waterwheel::runtime::{
    Handle, Runtime, block_on, join, race, spawn, spawn_blocking, spawn_detached, time, yield_now,
};

/// Returns the value of a future. Fails if the future waits too long, so that a test never hangs.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let late = async {
        time::sleep(Duration::from_secs(5)).await;
        None
    };
    let value = race(async { Some(future.await) }, late).await;
    value.expect("it is not woken")
}

async fn turns(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

struct Bell;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {}
}

// ---- JoinSet ----

#[test]
fn a_set_returns_its_tasks_in_the_order_of_their_ends() {
    run(async {
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
    run(async {
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
    run(async {
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
    run(async {
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
    run(async {
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

// ---- scope ----

#[test]
fn a_scope_returns_after_all_of_its_tasks_have_ended() {
    run(async {
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
    run(async {
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
            yield_now().await;
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
    run(async {
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

// ---- AbortHandle, Id ----

#[test]
fn an_abort_from_any_thread_ends_the_task() {
    run(async {
        let task = spawn(pending::<()>());
        let abort = task.abort_handle();
        assert_eq!(abort.id(), task.id());
        thread::spawn(move || abort.abort()).join().unwrap();
        assert!(soon(task).await.unwrap_err().is_cancelled());
        // The same after the end, and inside another runtime.
        let task = spawn(async { 1 });
        let abort = task.abort_handle();
        assert_eq!(task.await.unwrap(), 1);
        abort.abort();
        let task = spawn(pending::<()>());
        let abort = task.abort_handle();
        let other = thread::spawn(move || block_on(async move { abort.abort() }));
        assert!(soon(task).await.is_err());
        other.join().unwrap();
    });
}

#[test]
fn an_abort_after_the_end_of_the_runtime_has_no_effect() {
    let aborts: AbortHandle = block_on(async { spawn(pending::<()>()).abort_handle() });
    aborts.abort();
    block_on(async {
        let other = spawn(async { 1 });
        aborts.abort();
        assert_eq!(other.await.unwrap(), 1);
    });
}

#[test]
fn each_task_has_its_own_id_and_the_main_future_has_none() {
    let first = block_on(async { spawn(async { task::id() }).await.unwrap() });
    block_on(async move {
        assert_eq!(task::id(), None);
        let mut ids = vec![first.unwrap()];
        for _ in 0..3 {
            let handle = spawn(async { task::id() });
            let id = handle.id();
            assert_eq!(handle.await.unwrap(), Some(id));
            ids.push(id);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    });
    assert_eq!(task::id(), None);
}

// ---- Handle::spawn_with ----

#[test]
fn another_thread_awaits_the_value_of_a_task_that_it_has_spawned() {
    run(async {
        let handle = Handle::current();
        let there = spawn_blocking(move || {
            let value = handle.spawn_with(|| async {
                let value = Rc::new(RefCell::new(1));
                yield_now().await;
                *value.borrow_mut() += 1;
                value.take()
            });
            let panics = handle
                .spawn_with(|| async { panic!("on purpose") })
                .unwrap();
            let panics: Result<(), _> = futures_lite::future::block_on(panics);
            let made = handle.spawn_with(|| -> std::future::Ready<()> { panic!("on purpose") });
            let made = futures_lite::future::block_on(made.unwrap());
            assert!(panics.unwrap_err().is_panic() && made.unwrap_err().is_panic());
            futures_lite::future::block_on(value.unwrap())
        });
        assert_eq!(soon(there).await.unwrap().unwrap(), 2);
    });
}

#[test]
fn a_remote_handle_returns_cancelled_when_the_runtime_ends_at_any_point() {
    within_deadline(|| {
        // Before the runtime has read the message, and after the task has begun.
        for turns in [0, 5] {
            let runtime = Runtime::new().unwrap();
            let task = runtime.handle().spawn_with(pending::<()>).unwrap();
            let waits = thread::spawn(|| futures_lite::future::block_on(task));
            for _ in 0..turns {
                runtime.poll();
            }
            drop(runtime);
            assert!(waits.join().unwrap().unwrap_err().is_cancelled());
        }
        let handle = Runtime::new().unwrap().handle();
        assert!(handle.spawn_with(|| async {}).is_err());
    });
}

#[test]
fn a_task_runs_on_after_its_remote_handle_is_dropped() {
    run(async {
        let (sender, ended) = std_mpsc::channel();
        let handle = Handle::current();
        thread::spawn(move || {
            drop(handle.spawn_with(move || async move {
                turns(3).await;
                sender.send(()).unwrap();
            }));
        })
        .join()
        .unwrap();
        soon(async {
            while ended.try_recv().is_err() {
                yield_now().await;
            }
        })
        .await;
    });
}

// ---- Builder, the report ----

#[test]
fn the_report_names_the_tasks_that_are_alive() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        task::Builder::new()
            .name("first")
            .spawn(pending::<()>())
            .detach();
        let second = task::Builder::new()
            .name(format!("number {}", 2))
            .spawn(pending::<()>());
        spawn(pending::<()>()).detach();
        let ended = task::Builder::new().name("ended").spawn(async {});
        ended.await.unwrap();
        let panicked = task::Builder::new()
            .name("panicked")
            .spawn(async { panic!("on purpose") });
        assert!(panicked.await.is_err());
        let aborted = task::Builder::new().name("aborted").spawn(pending::<()>());
        aborted.abort();
        assert!(aborted.await.is_err());
        second.detach();
        // The slots of the ended tasks have other tasks now, without these names.
        for _ in 0..3 {
            spawn(pending::<()>()).detach();
        }
    });
    let alive = runtime.alive_tasks();
    let names: Vec<_> = alive.iter().filter_map(|task| task.name()).collect();
    assert_eq!((alive.len(), names), (6, vec!["first", "number 2"]));
    let text = alive[0].to_string();
    assert!(
        text.contains("(\"first\", tests/runtime/groups.rs:"),
        "{text}"
    );
    let report = runtime.shutdown_background();
    assert_eq!((report.tasks.len(), report.jobs), (6, 0));
    assert!(report.to_string().lines().count() == 6);
}

// ---- TaskLocal ----

thread_local! {
    static NUMBER: TaskLocal<u32> = const { TaskLocal::new() };
}

fn number() -> Option<u32> {
    NUMBER.with(TaskLocal::get).as_deref().copied()
}

#[test]
fn each_task_sees_its_own_local_value() {
    run(async {
        let tasks: Vec<_> = (0..3)
            .map(|own| {
                spawn(TaskLocal::provide(&NUMBER, own, async move {
                    for _ in 0..3 {
                        assert_eq!(number(), Some(own));
                        yield_now().await;
                    }
                    let inner = TaskLocal::provide(&NUMBER, 9, async {
                        yield_now().await;
                        number()
                    });
                    assert_eq!((inner.await, number()), (Some(9), Some(own)));
                    // A task inside does not inherit the value.
                    assert_eq!(spawn(async { number() }).await.unwrap(), None);
                }))
            })
            .collect();
        for task in tasks {
            soon(task).await.unwrap();
        }
        assert_eq!(number(), None);
    });
}

#[test]
fn a_local_value_ends_with_a_panic_and_is_there_in_the_destructor() {
    run(async {
        let seen = Rc::new(Cell::new(None));
        let at_end = |seen: &Rc<Cell<Option<u32>>>| {
            let seen = seen.clone();
            OnDrop(move || seen.set(number()))
        };
        let held = at_end(&seen);
        let fails = spawn(TaskLocal::provide(&NUMBER, 1, async move {
            let _held = held;
            yield_now().await;
            panic!("on purpose");
        }));
        assert!(fails.await.is_err());
        assert_eq!((number(), seen.take()), (None, Some(1)));
        for polls in 0..2 {
            let held = at_end(&seen);
            let mut pending = Box::pin(TaskLocal::provide(&NUMBER, 2, async move {
                let _held = held;
                pending::<()>().await;
            }));
            for _ in 0..polls {
                assert!(poll_once(pending.as_mut()).await.is_none());
            }
            drop(pending);
            assert_eq!((number(), seen.take()), (None, Some(2)));
        }
    });
}

// ---- hooks ----

#[test]
fn hooks_are_called_around_each_poll_and_after_a_panic() {
    let log = Log::new();
    let add = |what: &'static str| {
        let log = log.clone();
        move |task: &task::Info| log.add((what, task.name().unwrap_or("?").to_owned()))
    };
    let runtime = Runtime::builder()
        .before_poll(add("before"))
        .after_poll(add("after"))
        .on_panic(add("panic"))
        .build()
        .unwrap();
    runtime.block_on(async {
        let quiet = task::Builder::new().name("quiet").spawn(yield_now());
        quiet.await.unwrap();
        let loud = task::Builder::new()
            .name("loud")
            .spawn(async { panic!("on purpose") });
        assert!(loud.await.is_err());
        spawn_detached(async { panic!("on purpose") });
        yield_now().await;
    });
    let expected = [
        ("before", "quiet"),
        ("after", "quiet"),
        ("before", "quiet"),
        ("after", "quiet"),
        ("before", "loud"),
        ("panic", "loud"),
        ("after", "loud"),
        ("before", "?"),
        ("panic", "?"),
        ("after", "?"),
    ];
    let seen = log.take();
    let seen: Vec<_> = seen
        .iter()
        .map(|(what, name)| (*what, name.as_str()))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn park_hooks_are_called_around_each_wait() {
    let log = Log::new();
    let add = |what: &'static str| {
        let log = log.clone();
        move || log.add(what)
    };
    let parks = Runtime::builder()
        .on_park(add("park"))
        .on_unpark(add("unpark"));
    let runtime = parks.build().unwrap();
    runtime.block_on(yield_now());
    assert_eq!(log.take(), [""; 0]);
    runtime.block_on(time::sleep(Duration::from_millis(1)));
    let seen = log.take();
    assert!(
        seen.len() >= 2 && seen.chunks(2).all(|pair| pair == ["park", "unpark"]),
        "{seen:?}"
    );
}

/// A wake in the hook would be lost if the time of the wait was found out before it.
#[test]
fn a_park_hook_may_make_a_task_ready_and_may_panic() {
    within_deadline(|| {
        let waker: Rc<Cell<Option<Waker>>> = Rc::default();
        let hook = {
            let waker = waker.clone();
            move || {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
                panic!("on purpose");
            }
        };
        let runtime = Runtime::builder().on_park(hook).build().unwrap();
        let woken = Cell::new(false);
        runtime.block_on(poll_fn(|cx| {
            if woken.replace(true) {
                return Poll::Ready(());
            }
            waker.set(Some(cx.waker().clone()));
            Poll::Pending
        }));
    });
}

// ---- ending ----

#[test]
fn a_shutdown_waits_for_a_job_as_long_as_it_may() {
    within_deadline(|| {
        let (begun, begins) = std_mpsc::channel();
        let (finish, finishes) = std_mpsc::channel::<()>();
        let start =
            |runtime: &Runtime, begun: std_mpsc::Sender<()>, finishes: std_mpsc::Receiver<()>| {
                runtime.block_on(async move {
                    let job = spawn_blocking(move || {
                        begun.send(()).unwrap();
                        finishes.recv().ok();
                    });
                    spawn(job).detach();
                    yield_now().await;
                });
            };
        let runtime = Runtime::new().unwrap();
        start(&runtime, begun.clone(), finishes);
        begins.recv().unwrap();
        let report = runtime.shutdown_timeout(Duration::from_millis(5));
        assert_eq!((report.tasks.len(), report.jobs), (1, 1));
        drop(finish);
        // A job that ends in time is not in the report.
        let (finish, finishes) = std_mpsc::channel::<()>();
        let runtime = Runtime::new().unwrap();
        start(&runtime, begun, finishes);
        begins.recv().unwrap();
        let ends = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            drop(finish);
        });
        assert_eq!(runtime.shutdown_timeout(Duration::from_secs(60)).jobs, 0);
        ends.join().unwrap();
        assert_eq!(Runtime::new().unwrap().shutdown_background().jobs, 0);
    });
}

#[test]
fn a_shutdown_cancels_the_jobs_that_have_not_begun() {
    within_deadline(|| {
        let runtime = Runtime::builder().blocking_threads_max(1).build().unwrap();
        let (begun, begins) = std_mpsc::channel();
        let (finish, finishes) = std_mpsc::channel::<()>();
        let mut second = None;
        runtime.block_on(async {
            let job = spawn_blocking(move || {
                begun.send(()).unwrap();
                finishes.recv().ok();
            });
            second = Some(spawn_blocking(|| ()));
            spawn(job).detach();
            yield_now().await;
        });
        begins.recv().unwrap();
        assert_eq!(runtime.shutdown_background().jobs, 1);
        let ended = futures_lite::future::block_on(second.unwrap());
        assert!(ended.unwrap_err().is_cancelled());
        drop(finish);
    });
}

/// Uses about a kilobyte of the stack for each step.
fn depth(left: u64) -> u64 {
    let frame = std::hint::black_box([left; 64]);
    if left == 0 {
        0
    } else {
        depth(left - 1) + frame[0] / left
    }
}

#[test]
fn the_settings_of_the_pool_hold() {
    within_deadline(|| {
        let runtime = Runtime::builder()
            .blocking_threads_max(2)
            .blocking_idle_max(Duration::from_millis(1))
            .blocking_stack_bytes(64 << 20)
            .blocking_thread_name("jobs")
            .build()
            .unwrap();
        runtime.block_on(async {
            let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let jobs: Vec<_> = (0..6)
                .map(|_| {
                    let running = running.clone();
                    spawn_blocking(move || {
                        use std::sync::atomic::Ordering;
                        let before = running.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(2));
                        running.fetch_sub(1, Ordering::SeqCst);
                        let name = thread::current().name().unwrap().to_owned();
                        (before, name)
                    })
                })
                .collect();
            for job in jobs {
                let (before, name) = job.await.unwrap();
                assert!(before < 2 && name.starts_with("jobs-"), "{before} {name}");
            }
            // More frames than the usual stack has room for.
            let deep = spawn_blocking(|| depth(20_000));
            assert_eq!(deep.await.unwrap(), 20_000);
        });
    });
    let text = panic_text(|| drop(Runtime::builder().blocking_threads_max(0)));
    assert!(text.contains("never runs a job"));
}

/// With one thread more than the jobs that wait for each other, all of them end.
#[test]
fn seventeen_jobs_that_wait_for_each_other_end_on_seventeen_threads() {
    within_deadline(|| {
        let runtime = Runtime::builder().blocking_threads_max(17).build().unwrap();
        runtime.block_on(async {
            let all = Arc::new(std::sync::Barrier::new(17));
            let jobs: Vec<_> = (0..17)
                .map(|_| {
                    let all = all.clone();
                    spawn_blocking(move || _ = all.wait())
                })
                .collect();
            for job in jobs {
                job.await.unwrap();
            }
        });
    });
}

#[test]
fn join_and_abort_of_a_scope_inside_a_set_end() {
    run(async {
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

#[test]
fn a_name_that_no_thread_can_have_is_refused() {
    let text = panic_text(|| drop(Runtime::builder().blocking_thread_name("a\0b")));
    assert!(text.contains("zero byte"), "{text}");
}

/// The longest stack that a number can name is more than any system has.
#[test]
fn a_job_for_which_no_thread_can_be_started_is_cancelled() {
    within_deadline(|| {
        let runtime = Runtime::builder()
            .blocking_stack_bytes(usize::MAX / 2)
            .build()
            .unwrap();
        let outcome = runtime.block_on(async { spawn_blocking(|| 1).await });
        assert!(outcome.unwrap_err().is_cancelled());
        let report = runtime.shutdown_timeout(Duration::MAX);
        assert_eq!((report.tasks.len(), report.jobs), (0, 0));
    });
}

#[test]
fn a_shutdown_without_a_limit_waits_for_the_job() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let (begins, begun) = std_mpsc::channel();
        runtime.block_on(async {
            drop(spawn_blocking(move || {
                begins.send(()).unwrap();
                thread::sleep(Duration::from_millis(20));
            }));
            begun.recv().ok()
        });
        assert_eq!(runtime.shutdown_timeout(Duration::MAX).jobs, 0);
    });
}

#[test]
fn a_hook_may_abort_spawn_and_enter_other_runtimes() {
    within_deadline(|| {
        let victim: Rc<Cell<Option<AbortHandle>>> = Rc::default();
        let spawned = Rc::new(Cell::new(0));
        let (aborts, counts) = (victim.clone(), spawned.clone());
        let runtime = Runtime::builder()
            .before_poll(move |_| {
                if let Some(victim) = aborts.take() {
                    victim.abort();
                    let counts = counts.clone();
                    spawn_detached(async move { counts.set(counts.get() + 1) });
                }
            })
            .after_poll(|_| {
                // A runtime in a hook of another one: its turns leave those of the outer one alone.
                let inner = Runtime::new().unwrap();
                inner.spawn(yield_now()).detach();
                assert_eq!(inner.shutdown_background().tasks.len(), 1);
            })
            .build()
            .unwrap();
        runtime.block_on(async {
            let task = spawn(pending::<()>());
            victim.set(Some(task.abort_handle()));
            assert!(soon(task).await.unwrap_err().is_cancelled());
            turns(3).await;
        });
        assert_eq!(spawned.get(), 1);
    });
}

#[test]
fn a_runtime_that_ends_inside_a_task_of_another_one_ends_only_its_own_tasks() {
    run(async {
        let dropped = Rc::new(Cell::new(0));
        let inner = Runtime::new().unwrap();
        let guard = count_drop(&dropped);
        inner
            .spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
            .detach();
        let outer = spawn(turns(3));
        assert_eq!(inner.shutdown_timeout(Duration::ZERO).tasks.len(), 1);
        assert_eq!(dropped.get(), 1);
        soon(outer).await.unwrap();
        soon(time::sleep(Duration::from_millis(1))).await;
    });
}

/// A value whose drop panics, as a part of a future.
struct PanicsAtItsEnd;

impl Drop for PanicsAtItsEnd {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

impl Future for PanicsAtItsEnd {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[test]
fn the_hook_is_called_for_each_task_whose_handle_returns_a_panic() {
    within_deadline(|| {
        let panics = Rc::new(Cell::new(0));
        let counted = panics.clone();
        let runtime = Runtime::builder()
            .on_panic(move |_| counted.set(counted.get() + 1))
            .build()
            .unwrap();
        runtime.block_on(async {
            let ended = soon(spawn(PanicsAtItsEnd)).await;
            assert!(ended.unwrap_err().is_panic());
        });
        assert_eq!(panics.get(), 1);
    });
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
    run(async {
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

/// A wake of the first main future that comes after its end must not count for the second one.
#[test]
fn a_main_future_that_panics_leaves_a_runtime_that_works() {
    within_deadline(|| {
        let runtime = Runtime::builder().on_park(|| ()).seed(3).build().unwrap();
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let text = panic_text(|| {
            runtime.block_on(async {
                let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                waker.wake_by_ref();
                kept.replace(Some(waker));
                spawn(turns(3)).detach();
                yield_now().await;
                panic!("on purpose");
            });
        });
        assert!(text.contains("on purpose"));
        kept.take().unwrap().wake();
        let polls = Cell::new(0);
        runtime.block_on(async {
            soon(time::sleep(Duration::from_millis(5))).await;
            poll_fn(|_| {
                polls.set(polls.get() + 1);
                Poll::Ready(())
            })
            .await;
        });
        assert_eq!((polls.get(), runtime.run_until_idle()), (1, 0));
        let report = runtime.shutdown_timeout(Duration::ZERO);
        assert_eq!((report.tasks.len(), report.jobs), (0, 0));
    });
}
