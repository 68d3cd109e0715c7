//! The claims of stage 4.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use claims::in_time;
use solution_04::{Runtime, block_on, oneshot, sleep, spawn, yield_now};

#[test]
fn todo_3_block_on_runs_its_own_future_without_any_task() {
    in_time(|| {
        assert_eq!(block_on(async { 42 }), 42);
    });
}

#[test]
fn todo_1_and_3_the_future_of_block_on_is_polled_again_after_a_wake() {
    in_time(|| {
        block_on(async {
            yield_now().await;
            sleep(Duration::from_millis(10)).await;
        });
    });
}

#[test]
fn todo_2_to_4_two_tasks_take_turns() {
    in_time(|| {
        let order = Rc::new(RefCell::new(Vec::new()));
        block_on(async {
            for name in ["a", "b"] {
                let order = order.clone();
                spawn(async move {
                    for step in 1..=3 {
                        order.borrow_mut().push(format!("{name}{step}"));
                        yield_now().await;
                    }
                });
            }
            for _ in 0..4 {
                yield_now().await;
            }
        });
        let order = order.borrow();
        assert_eq!(*order, ["a1", "b1", "a2", "b2", "a3", "b3"]);
    });
}

/// A hundred wakes before the next poll are one entry in the queue.
#[test]
fn todo_1_a_task_that_is_woken_often_is_polled_once() {
    in_time(|| {
        let polls = Rc::new(Cell::new(0));
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        block_on(async {
            let (polls, stored) = (polls.clone(), waker.clone());
            spawn(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                *stored.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }));
            yield_now().await;
            let waker = waker.borrow().clone().unwrap();
            for _ in 0..100 {
                waker.wake_by_ref();
            }
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(polls.get(), 2);
    });
}

/// The flag is cleared before the poll, so a wake during the poll counts.
#[test]
fn todo_2_a_task_that_is_woken_while_it_runs_runs_again() {
    in_time(|| {
        let polls = Rc::new(Cell::new(0));
        block_on(async {
            let polls = polls.clone();
            spawn(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                cx.waker().wake_by_ref();
                if polls.get() < 5 {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            }));
            for _ in 0..10 {
                yield_now().await;
            }
        });
        assert_eq!(polls.get(), 5);
    });
}

#[test]
fn todo_2_and_4_a_task_may_spawn_a_task() {
    in_time(|| {
        let (sender, receiver) = oneshot();
        let name = block_on(async {
            spawn(async {
                spawn(async { sender.send("inner") });
            });
            receiver.await
        });
        assert_eq!(name, "inner");
    });
}

#[test]
fn todo_2_the_future_of_a_task_that_has_ended_is_dropped() {
    in_time(|| {
        let token = Rc::new(());
        block_on(async {
            let held = token.clone();
            spawn(async move { drop(held) });
            let held = token.clone();
            spawn(async move {
                yield_now().await;
                let _held = held;
            });
            assert_eq!(Rc::strong_count(&token), 3);
            for _ in 0..3 {
                yield_now().await;
            }
            assert_eq!(Rc::strong_count(&token), 1);
        });
    });
}

/// Only the tasks that were woken are polled. So a wake costs the same with ten tasks as with ten thousand.
#[test]
fn todo_1_to_4_a_wake_polls_one_task_of_10000() {
    in_time(|| {
        let polls = Rc::new(Cell::new(0));
        let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
        block_on(async {
            for _ in 0..10_000 {
                let (polls, wakers) = (polls.clone(), wakers.clone());
                spawn(poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    wakers.borrow_mut().push(cx.waker().clone());
                    Poll::Pending
                }));
            }
            yield_now().await;
            assert_eq!(polls.get(), 10_000);
            let one = wakers.borrow()[5_000].clone();
            one.wake();
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(polls.get(), 10_001);
    });
}

#[test]
fn todo_1_to_4_another_thread_wakes_a_task() {
    in_time(|| {
        let begin = Instant::now();
        let (sender, receiver) = oneshot();
        let (done, end) = oneshot();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            sender.send(7);
        });
        let value = block_on(async {
            spawn(async move { done.send(receiver.await) });
            end.await
        });
        assert_eq!(value, 7);
        assert!(begin.elapsed() >= Duration::from_millis(20));
        thread.join().unwrap();
    });
}

#[test]
fn todo_2_to_4_a_task_goes_on_in_the_next_block_on_of_its_runtime() {
    in_time(|| {
        let runtime = Runtime::new();
        let steps = Rc::new(Cell::new(0));
        let counting = steps.clone();
        runtime.block_on(async move {
            spawn(async move {
                for _ in 0..3 {
                    counting.set(counting.get() + 1);
                    yield_now().await;
                }
            });
        });
        for _ in 0..4 {
            runtime.block_on(yield_now());
        }
        assert_eq!(steps.get(), 3);
    });
}

/// The future of `block_on` ends in front of a task that is ready. The task must stay ready.
#[test]
fn todo_3_a_task_behind_the_future_of_block_on_is_not_lost() {
    in_time(|| {
        let runtime = Runtime::new();
        let ran = Rc::new(Cell::new(false));
        let running = ran.clone();
        let mut task = Some(async move { running.set(true) });
        runtime.block_on(poll_fn(move |cx| {
            let Some(task) = task.take() else {
                return Poll::Ready(());
            };
            // First the root, then the task: both are in the next list.
            cx.waker().wake_by_ref();
            spawn(task);
            Poll::Pending
        }));
        runtime.block_on(yield_now());
        runtime.block_on(yield_now());
        assert!(ran.get());
    });
}
