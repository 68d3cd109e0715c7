//! Claims about the end of a runtime, and about its pool.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, mpsc as std_mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::support::runtime::{count_drop, panic_text, run, soon, turns, within_deadline};
use waterwheel::runtime::{Runtime, spawn, spawn_blocking, time, yield_now};

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
