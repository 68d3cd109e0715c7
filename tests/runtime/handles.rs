//! Claims about handles, ids and names of tasks, on this thread and on others.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc as std_mpsc;
use std::thread;

use crate::support::runtime::{run, soon, turns, within_deadline};
use crate::support::seeds::in_any_order;
use waterwheel::runtime::task::AbortHandle;
use waterwheel::runtime::{Handle, Runtime, block_on, spawn, spawn_blocking, task, yield_now};

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
    in_any_order(|| async {
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
        text.contains("(\"first\", tests/runtime/handles.rs:"),
        "{text}"
    );
    let report = runtime.shutdown_background();
    assert_eq!((report.tasks.len(), report.jobs), (6, 0));
    assert!(report.to_string().lines().count() == 6);
}
