//! Wakes, messages and nudges from other threads.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::executor::Executor;
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::thread;
use crate::remote::Message;

/// Spawns a task that starts `SENDERS` threads. A sender writes 1 and wakes the task, then writes 2 and wakes
/// it, and so on. The task ends when it has seen the last number of each sender.
fn spawn_task_with_senders<const SENDERS: usize>(executor: &Executor, times: usize) {
    let started = Cell::new(false);
    let written: [Arc<AtomicUsize>; SENDERS] = std::array::from_fn(|_| Arc::default());
    executor.spawn(poll_fn(move |cx| {
        if !started.replace(true) {
            for written in &written {
                let (written, waker) = (written.clone(), cx.waker().clone());
                thread::spawn(move || write_and_wake(&written, &waker, times));
            }
        }
        let sees_last = |written: &Arc<AtomicUsize>| written.load(Ordering::Relaxed) == times;
        if written.iter().all(sees_last) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
}

fn write_and_wake(written: &AtomicUsize, waker: &Waker, times: usize) {
    for number in 1..=times {
        written.store(number, Ordering::Relaxed);
        waker.wake_by_ref();
    }
}

#[test]
fn of_two_wakes_by_one_sender_neither_is_lost() {
    loom::model(|| {
        let executor = Executor::new();
        spawn_task_with_senders::<1>(&executor, 2);
        executor.run();
    });
}

#[test]
fn a_task_with_two_senders_sees_what_both_have_written() {
    loom::model(|| {
        let executor = Executor::new();
        spawn_task_with_senders::<2>(&executor, 1);
        executor.run();
    });
}

#[test]
fn two_tasks_with_a_sender_each_are_both_woken() {
    loom::model(|| {
        let executor = Executor::new();
        spawn_task_with_senders::<1>(&executor, 1);
        spawn_task_with_senders::<1>(&executor, 1);
        executor.run();
    });
}

#[test]
fn a_message_sent_during_the_close_is_run_or_left_over_or_refused() {
    loom::model(|| {
        let executor = Executor::new();
        let ran = Arc::new(AtomicUsize::new(0));
        let senders = [(); 2].map(|()| {
            let (remote, ran) = (executor.remote.clone(), ran.clone());
            thread::spawn(move || {
                let run = Box::new(move || _ = ran.fetch_add(1, Ordering::Relaxed));
                remote.send(Message::Run(run)).is_ok()
            })
        });
        executor.read_inbox();
        let left = executor.remote.close().len();
        let accepted = senders.map(|sender| sender.join().expect("a sender does not panic"));
        let accepted = accepted.iter().filter(|accepted| **accepted).count();
        assert_eq!(ran.load(Ordering::Relaxed) + left, accepted);
    });
}

#[test]
fn a_wait_that_a_nudge_ends_shows_what_was_written_before() {
    loom::model(|| {
        let executor = Executor::new();
        let written = Arc::new(AtomicUsize::new(0));
        let (remote, to) = (executor.remote.clone(), written.clone());
        thread::spawn(move || {
            to.store(1, Ordering::Relaxed);
            remote.nudge();
        });
        executor.park();
        assert_eq!(written.load(Ordering::Relaxed), 1);
    });
}
