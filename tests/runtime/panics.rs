//! Claims about foreign code that panics: a waker or a destructor that panics harms no other task.

use std::cell::Cell;
use std::future::{pending, poll_fn};

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::support::process::alone;
use crate::support::runtime::{run, tcp_pair, within_deadline};
use waterwheel::runtime::{
    Notify, Runtime, block_on, descriptors, race, spawn, spawn_blocking, time, yield_now,
};

/// A waker that panics when it is woken, and one that panics when it is dropped.
struct PanicsOnWake;
struct PanicsOnDrop;

impl Wake for PanicsOnWake {
    fn wake(self: Arc<Self>) {
        panic!("on purpose: wake");
    }
}

impl Wake for PanicsOnDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("on purpose: drop");
    }
}

fn bad_waker() -> Waker {
    Arc::new(PanicsOnWake).into()
}

/// Polls once with a waker that panics when it is woken.
fn poll_with<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn a_waker_of_a_timer_that_panics_delays_no_other_timer() {
    run(async {
        time::pause();
        let mut bad = Box::pin(time::sleep(Duration::from_millis(1)));
        let tasks: Vec<_> = (0..10)
            .map(|_| spawn(time::sleep(Duration::from_millis(1))))
            .collect();
        assert!(poll_with(bad.as_mut(), &bad_waker()).is_pending());
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_notified_waker_that_panics_delays_no_other_waiter() {
    run(async {
        let notify = Rc::new(Notify::new());
        let mut bad = Box::pin(notify.notified());
        assert!(poll_with(bad.as_mut(), &bad_waker()).is_pending());
        let waiting = spawn({
            let notify = notify.clone();
            async move { notify.notified().await }
        });
        yield_now().await;
        notify.notify_all();
        waiting.await.unwrap();
    });
}

#[test]
fn all_messages_are_read_after_a_closure_that_panics() {
    run(async {
        time::pause();
        let handle = waterwheel::runtime::Handle::current();
        let mut bad = Box::pin(time::sleep(Duration::from_secs(1)));
        let waker: Waker = Arc::new(PanicsOnDrop).into();
        assert!(poll_with(bad.as_mut(), &waker).is_pending());
        // The entry in the wheel has the last reference, so the message drops it.
        drop(waker);
        let ran = Arc::new(AtomicUsize::new(0));
        let counter = ran.clone();
        let sender = thread::spawn(move || {
            drop(bad);
            for _ in 0..5 {
                let ran = counter.clone();
                let make = move || async move { _ = ran.fetch_add(1, Ordering::Relaxed) };
                handle.spawn_with(make).unwrap();
            }
        });
        sender.join().unwrap();
        while ran.load(Ordering::Relaxed) < 5 {
            yield_now().await;
        }
    });
}

#[test]
fn a_waker_of_a_join_handle_that_panics_leaks_no_slot() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let mut handle = runtime.spawn(async { 7 });
        assert!(poll_with(Pin::new(&mut handle), &bad_waker()).is_pending());
        assert_eq!(runtime.run_until_idle(), 0);
        assert_eq!(runtime.block_on(handle).unwrap(), 7);
    });
}

/// Panics when it is dropped.
struct Value;

impl Drop for Value {
    fn drop(&mut self) {
        assert!(thread::panicking(), "on purpose: value");
    }
}

#[test]
fn a_value_that_panics_when_it_is_dropped_ends_with_its_task() {
    run(async {
        drop(spawn(async {
            yield_now().await;
            Value
        }));
        for _ in 0..3 {
            yield_now().await;
        }
        // The same for a value whose handle drops after the end of the task.
        let handle = spawn(async { Value });
        yield_now().await;
        assert!(handle.is_finished());
        drop(handle);
    });
}

#[test]
fn a_task_continues_after_its_handle_has_dropped_a_waker_that_panics() {
    run(async {
        let ran = Rc::new(Cell::new(false));
        let go = Rc::new(Notify::new());
        let mut handle = spawn({
            let (ran, go) = (ran.clone(), go.clone());
            async move {
                go.notified().await;
                ran.set(true);
            }
        });
        yield_now().await;
        let waker: Waker = Arc::new(PanicsOnDrop).into();
        assert!(poll_with(Pin::new(&mut handle), &waker).is_pending());
        drop(waker);
        drop(handle);
        go.notify_all();
        yield_now().await;
        assert!(ran.get());
    });
}

#[test]
fn a_task_that_panics_while_a_bad_waker_waits_for_its_socket_does_not_abort_the_process() {
    alone(|| {
        run(async {
            let (stream, _peer) = tcp_pair().await;
            let stream = Rc::new(stream);
            let mut freed = Box::pin(descriptors::freed());
            assert!(poll_with(freed.as_mut(), &bad_waker()).is_pending());
            let task = spawn(async move {
                let mut closed = Box::pin(async { stream.closed().await });
                assert!(poll_with(closed.as_mut(), &bad_waker()).is_pending());
                let mut sleep = pin!(time::sleep(Duration::from_secs(1)));
                let waker: Waker = Arc::new(PanicsOnDrop).into();
                assert!(poll_with(sleep.as_mut(), &waker).is_pending());
                drop(waker);
                panic!("on purpose: task");
            });
            assert!(task.await.unwrap_err().is_panic());
        });
    });
}

#[test]
fn block_on_returns_its_value_although_a_remaining_sleep_has_a_waker_that_panics() {
    within_deadline(|| {
        let (sender, receiver) = mpsc::channel();
        let value = block_on(async {
            let mut sleep = Box::pin(time::sleep(Duration::from_secs(60)));
            let waker: Waker = Arc::new(PanicsOnDrop).into();
            assert!(poll_with(sleep.as_mut(), &waker).is_pending());
            drop(waker);
            sender.send(sleep).unwrap();
            7
        });
        assert_eq!(value, 7);
        drop(receiver);
    });
}

#[test]
fn a_waker_of_a_blocking_job_that_panics_loses_neither_the_value_nor_a_thread() {
    run(async {
        let (go, gone) = mpsc::channel();
        let mut job = spawn_blocking(move || gone.recv().unwrap_or(0));
        assert!(poll_with(Pin::new(&mut job), &bad_waker()).is_pending());
        go.send(7).unwrap();
        assert_eq!(job.await.unwrap(), 7);
        assert_eq!(spawn_blocking(|| 8).await.unwrap(), 8);
    });
}

#[test]
fn a_task_that_awaits_its_own_handle_can_end() {
    run(async {
        let own: Rc<Cell<Option<waterwheel::runtime::JoinHandle<u8>>>> = Rc::default();
        let handle = spawn({
            let own = own.clone();
            async move {
                yield_now().await;
                let mut handle = own.take().unwrap();
                // It is always pending, and keeps the waker.
                poll_fn(|cx| {
                    assert!(Pin::new(&mut handle).poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                own.set(Some(handle));
                7
            }
        });
        own.set(Some(handle));
        race(time::sleep(Duration::from_millis(5)), pending()).await;
        assert_eq!(own.take().unwrap().await.unwrap(), 7);
    });
}
