//! Tasks: spawned, woken, polled, joined, each with the turns of the loop that it takes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;

use gungraun::{library_benchmark, library_benchmark_group};
use waterwheel::runtime::{Runtime, spawn, yield_now};

use crate::{counted, world};

// So many turns with one task in each.
#[library_benchmark]
#[bench::thousand_times(1000)]
fn yields_of_one_task(times: usize) {
    yields(1, times);
}

// So many tasks in each turn.
#[library_benchmark]
#[bench::ten_times(10)]
fn yields_of_100_tasks(times: usize) {
    yields(100, times);
}

fn yields(tasks: usize, times: usize) {
    let runtime = world::runtime();
    for _ in 0..tasks {
        let task = runtime.spawn(async move {
            for _ in 0..times {
                yield_now().await;
            }
        });
        task.detach();
    }
    let left = counted::call(|| runtime.run_until_idle());
    assert_eq!(left, 0);
}

/// A runtime whose tasks wait for ever, and what wakes each of them.
fn waiting(tasks: usize) -> (Runtime, Vec<Waker>) {
    let runtime = world::runtime();
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    for _ in 0..tasks {
        let mut list = Some(wakers.clone());
        let wait = poll_fn(move |cx| {
            // The first time only: later on, to be polled is all that it does.
            if let Some(list) = list.take() {
                list.borrow_mut().push(cx.waker().clone());
            }
            Poll::<()>::Pending
        });
        runtime.spawn(wait).detach();
    }
    runtime.run_until_idle();
    (runtime, wakers.take())
}

#[library_benchmark]
#[bench::one(1)]
#[bench::hundred(100)]
fn wake_and_poll(tasks: usize) {
    let (runtime, wakers) = waiting(tasks);
    counted::call(|| {
        wakers.iter().for_each(Waker::wake_by_ref);
        runtime.run_until_idle()
    });
}

// The cost for the thread whose tasks are woken.
#[library_benchmark]
#[bench::hundred(100)]
fn woken_by_another_thread(tasks: usize) {
    let (runtime, wakers) = waiting(tasks);
    let waking = thread::spawn(move || wakers.iter().for_each(Waker::wake_by_ref));
    waking.join().expect("wakers do not panic");
    counted::call(|| runtime.run_until_idle());
}

// One after the other.
#[library_benchmark]
#[bench::hundred(100)]
fn spawn_and_join(tasks: usize) {
    let runtime = world::runtime();
    counted::call(|| {
        runtime.block_on(async {
            for task in 0..tasks {
                let joined = spawn(async move { task }).await;
                assert_eq!(joined.ok(), Some(task));
            }
        });
    });
}

// All of them beside each other.
#[library_benchmark]
#[bench::hundred(100)]
fn spawn_all_and_join(tasks: usize) {
    let runtime = world::runtime();
    counted::call(|| {
        runtime.block_on(async {
            let handles: Vec<_> = (0..tasks).map(|task| spawn(async move { task })).collect();
            for (task, handle) in handles.into_iter().enumerate() {
                assert_eq!(handle.await.ok(), Some(task));
            }
        });
    });
}

library_benchmark_group!(
    name = tasks,
    benchmarks = [
        yields_of_one_task,
        yields_of_100_tasks,
        wake_and_poll,
        woken_by_another_thread,
        spawn_and_join,
        spawn_all_and_join,
    ]
);
