//! The claims of stage 13.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use claims::in_time;
use solution_13::{Runtime, THREADS_MAX, block_on, sleep, spawn, spawn_blocking};

#[test]
fn todo_1_to_4_a_job_runs_on_another_thread_and_returns_its_value() {
    in_time(|| {
        let own = thread::current().id();
        let job = async { spawn_blocking(|| thread::current().id()).await };
        let other = block_on(job).unwrap();
        assert_ne!(own, other);
    });
}

#[test]
fn todo_1_to_4_tasks_run_while_a_job_blocks() {
    in_time(|| {
        block_on(async {
            let job = spawn_blocking(|| thread::sleep(Duration::from_millis(100)));
            let ticks = spawn(async {
                for _ in 0..5 {
                    sleep(Duration::from_millis(2)).await;
                }
            });
            ticks.await.unwrap();
            job.await.unwrap();
        });
    });
}

#[test]
fn todo_1_and_2_at_most_four_jobs_run_at_once() {
    in_time(|| {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let threads = block_on(async {
            let jobs: Vec<_> = (0..40)
                .map(|_| {
                    let (running, most) = (running.clone(), most.clone());
                    spawn_blocking(move || {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(2));
                        running.fetch_sub(1, Ordering::SeqCst);
                        thread::current().id()
                    })
                })
                .collect();
            let mut threads = HashSet::new();
            for job in jobs {
                threads.insert(job.await.unwrap());
            }
            threads
        });
        assert!(most.load(Ordering::SeqCst) <= THREADS_MAX);
        assert!(threads.len() <= THREADS_MAX);
        assert!(threads.len() > 1);
    });
}

#[test]
fn todo_3_a_panic_of_a_job_becomes_an_error_and_the_pool_works_on() {
    in_time(|| {
        block_on(async {
            let error = spawn_blocking(|| panic!("on purpose")).await.unwrap_err();
            assert_eq!(error.message(), Some("on purpose"));
            for number in 0..10 {
                assert_eq!(spawn_blocking(move || number).await.unwrap(), number);
            }
        });
    });
}

#[test]
fn todo_3_and_4_a_job_that_ends_before_the_first_poll_keeps_its_value() {
    in_time(|| {
        block_on(async {
            let (ended, end) = mpsc::channel();
            let job = spawn_blocking(move || {
                ended.send(()).unwrap();
                7
            });
            end.recv().unwrap();
            sleep(Duration::from_millis(10)).await;
            assert_eq!(job.await.unwrap(), 7);
        });
    });
}

/// Occupies all threads of the pool, until the sender is dropped.
fn occupy() -> mpsc::Sender<()> {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let (began, begin) = mpsc::channel();
    for _ in 0..THREADS_MAX {
        let (wait, began) = (wait.clone(), began.clone());
        let job = spawn_blocking(move || {
            began.send(()).unwrap();
            // All threads wait for the sender to be dropped, one after the other.
            _ = wait.lock().unwrap().recv();
        });
        spawn(job);
    }
    for _ in 0..THREADS_MAX {
        begin.recv().unwrap();
    }
    release
}

#[test]
fn todo_5_a_job_that_has_not_begun_is_cancelled_by_the_drop_of_its_future() {
    in_time(|| {
        block_on(async {
            let release = occupy();
            let ran = Arc::new(AtomicBool::new(false));
            let running = ran.clone();
            let job = spawn_blocking(move || running.store(true, Ordering::SeqCst));
            drop(job);
            drop(release);
            // The pool takes its jobs in order, so this one ends after the cancelled one.
            for _ in 0..2 * THREADS_MAX {
                spawn_blocking(|| ()).await.unwrap();
            }
            assert!(!ran.load(Ordering::SeqCst));
        });
    });
}

#[test]
fn todo_6_the_end_of_the_runtime_waits_for_a_job_that_runs() {
    in_time(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let ending = ended.clone();
        let (began, begin) = mpsc::channel();
        block_on(async move {
            let job = spawn_blocking(move || {
                began.send(()).unwrap();
                thread::sleep(Duration::from_millis(30));
                ending.store(true, Ordering::SeqCst);
            });
            spawn(job);
            begin.recv().unwrap();
        });
        assert!(ended.load(Ordering::SeqCst));
    });
}

#[test]
fn todo_3_and_6_the_end_of_the_runtime_cancels_a_job_that_has_not_begun() {
    in_time(|| {
        let runtime = Runtime::new().unwrap();
        let ran = Arc::new(AtomicBool::new(false));
        let running = ran.clone();
        let (release, job) = runtime.block_on(async move {
            let release = occupy();
            let job = spawn_blocking(move || running.store(true, Ordering::SeqCst));
            (release, job)
        });
        let releasing = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(release);
        });
        // This cancels the job, and then waits for those that run.
        drop(runtime);
        releasing.join().unwrap();
        assert!(!ran.load(Ordering::SeqCst));
        assert!(block_on(job).unwrap_err().is_cancelled());
    });
}
