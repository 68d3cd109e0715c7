//! Claims about the functions of a user that the runtime calls.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::support::runtime::{Log, soon, turns, within_deadline};
use waterwheel::runtime::task::AbortHandle;
use waterwheel::runtime::{Runtime, spawn, spawn_detached, task, time, yield_now};

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
