//! The claims of stage 5.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use claims::in_time;
use solution_05::{JoinError, JoinHandle, block_on, sleep, spawn, yield_now};

#[test]
fn todo_1_to_3_a_handle_returns_the_value_of_its_task() {
    in_time(|| {
        let value = block_on(async {
            let handle = spawn(async { 6 * 7 });
            handle.await.unwrap()
        });
        assert_eq!(value, 42);
    });
}

#[test]
fn todo_1_to_3_the_end_of_a_task_wakes_the_task_that_awaits_it() {
    in_time(|| {
        let value = block_on(async {
            let handle = spawn(async {
                sleep(Duration::from_millis(10)).await;
                "late"
            });
            handle.await.unwrap()
        });
        assert_eq!(value, "late");
    });
}

#[test]
fn todo_2_and_3_a_value_waits_for_its_handle() {
    in_time(|| {
        block_on(async {
            let handle = spawn(async { 7 });
            assert!(!handle.is_finished());
            yield_now().await;
            yield_now().await;
            assert!(handle.is_finished());
            assert_eq!(handle.await.unwrap(), 7);
        });
    });
}

#[test]
fn todo_1_a_task_runs_on_after_its_handle_was_dropped() {
    in_time(|| {
        let steps = Rc::new(Cell::new(0));
        let counting = steps.clone();
        block_on(async move {
            drop(spawn(async move {
                for _ in 0..3 {
                    counting.set(counting.get() + 1);
                    yield_now().await;
                }
            }));
            for _ in 0..5 {
                yield_now().await;
            }
        });
        assert_eq!(steps.get(), 3);
    });
}

#[test]
fn todo_1_a_panic_becomes_an_error_and_the_other_tasks_run_on() {
    in_time(|| {
        block_on(async {
            let good = spawn(async {
                yield_now().await;
                "good"
            });
            let bad = spawn(async {
                yield_now().await;
                panic!("on purpose");
            });
            let error: JoinError = bad.await.unwrap_err();
            assert_eq!(error.message(), Some("on purpose"));
            assert_eq!(good.await.unwrap(), "good");
        });
    });
}

#[test]
fn todo_3_a_handle_that_waits_is_polled_twice() {
    in_time(|| {
        block_on(async {
            let mut handle = spawn(sleep(Duration::from_millis(20)));
            let mut polls = 0;
            let waiter = poll_fn(move |cx| {
                polls += 1;
                Pin::new(&mut handle)
                    .poll(cx)
                    .map(|outcome| (outcome, polls))
            });
            let (outcome, polls) = waiter.await;
            outcome.unwrap();
            assert_eq!(polls, 2);
        });
    });
}

#[test]
fn todo_1_to_3_a_chain_of_1000_tasks_ends() {
    in_time(|| {
        let sum = block_on(async {
            let mut last = spawn(async { 0 });
            for number in 1..=1_000 {
                last = spawn(async move { last.await.unwrap() + number });
            }
            last.await.unwrap()
        });
        assert_eq!(sum, 500_500);
    });
}

/// Tasks that never end do not keep `block_on` from its end.
#[test]
fn todo_1_and_3_block_on_ends_with_its_own_future() {
    in_time(|| {
        let value = block_on(async {
            let never = spawn(pending::<()>());
            let value = spawn(poll_fn(|_| Poll::Ready(7))).await.unwrap();
            assert!(!never.is_finished());
            value
        });
        assert_eq!(value, 7);
    });
}

thread_local! {
    static HANDLE: RefCell<Option<JoinHandle<u32>>> = const { RefCell::new(None) };
}

/// A waker of foreign code, which looks at the handle while it is woken.
struct Looks;

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        HANDLE.with_borrow(|handle| assert!(handle.as_ref().is_some_and(JoinHandle::is_finished)));
    }
}

#[test]
fn todo_2_the_cell_is_not_borrowed_while_a_waker_is_woken() {
    in_time(|| {
        block_on(async {
            let mut handle = spawn(async { 7 });
            let waker = Waker::from(Arc::new(Looks));
            let poll = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
            HANDLE.set(Some(handle));
            yield_now().await;
            yield_now().await;
            let handle = HANDLE.take().unwrap();
            assert_eq!(handle.await.unwrap(), 7);
        });
    });
}
