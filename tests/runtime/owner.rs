//! Claims about the owner of a runtime: `block_on`, `poll`, several runtimes, other threads.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::runtime::{OnDrop, count_drop, panic_text, run, tcp_pair, within_deadline};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::TcpStream;
use waterwheel::runtime::{Handle, Runtime, RuntimeGone, block_on, spawn, time, yield_now};

#[test]
fn block_on_inside_block_on_panics_with_a_reason() {
    let text = panic_text(|| block_on(async { block_on(async {}) }));
    assert!(
        text.contains("block_on was called inside a runtime"),
        "{text}"
    );
    let text = panic_text(|| {
        let runtime = Rc::new(Runtime::new().unwrap());
        let inner = runtime.clone();
        runtime.block_on(async move { inner.poll() });
    });
    assert!(text.contains("called inside a runtime"), "{text}");
}

#[test]
fn tasks_stay_between_two_calls() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let task = runtime.spawn(async {
            for _ in 0..5 {
                yield_now().await;
            }
            "later"
        });
        runtime.block_on(yield_now());
        assert_eq!(runtime.tasks(), 1);
        assert_eq!(runtime.block_on(task).unwrap(), "later");
        assert_eq!(runtime.tasks(), 0);
    });
}

#[test]
fn poll_runs_the_ready_tasks_and_returns_if_one_is_still_ready() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        assert!(!runtime.poll());
        let turns = Rc::new(Cell::new(0_u32));
        let counted = turns.clone();
        let busy = runtime.spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        assert!(runtime.poll(), "the busy task is ready still");
        assert!(turns.get() > 0);
        busy.abort();
        assert!(!runtime.poll());
    });
}

#[test]
fn poll_timeout_returns_in_time_under_steady_load() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        runtime
            .spawn(async {
                loop {
                    yield_now().await;
                }
            })
            .detach();
        let start = Instant::now();
        assert!(runtime.poll_timeout(Duration::from_millis(5)));
        assert!(start.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn poll_timeout_waits_for_a_timer_and_no_longer() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let sleep = runtime.spawn(time::sleep(Duration::from_millis(2)));
        let start = Instant::now();
        while !sleep.is_finished() {
            runtime.poll_timeout(Duration::from_secs(3600));
        }
        assert!(start.elapsed() >= Duration::from_millis(2));
        let start = Instant::now();
        assert!(!runtime.poll_timeout(Duration::from_millis(3)));
        assert!(start.elapsed() >= Duration::from_millis(2));
    });
}

#[test]
fn poll_timeout_returns_when_its_handle_is_woken() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let waker = thread::spawn(move || handle.wake());
        runtime.poll_timeout(Duration::from_secs(3600));
        waker.join().unwrap();
    });
}

#[test]
fn run_until_idle_returns_the_number_of_waiting_tasks() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        for _ in 0..3 {
            runtime.spawn(pending::<()>()).detach();
        }
        runtime.spawn(yield_now()).detach();
        assert_eq!(runtime.run_until_idle(), 3);
    });
}

#[test]
fn two_runtimes_on_one_thread_take_turns() {
    within_deadline(|| {
        let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let (request, answer) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let asking = first.spawn({
            let (request, answer) = (request.clone(), answer.clone());
            async move {
                for number in 1..=100 {
                    request.set(number);
                    while answer.get() != number {
                        yield_now().await;
                    }
                }
            }
        });
        let answering = second.spawn(async move {
            while answer.get() < 100 {
                answer.set(request.get());
                yield_now().await;
            }
        });
        while !(asking.is_finished() && answering.is_finished()) {
            first.poll();
            second.poll();
        }
    });
}

#[test]
fn a_task_of_one_runtime_wakes_a_task_of_another() {
    within_deadline(|| {
        let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let waiting = first.spawn(async {
            let mut polls = 0;
            poll_fn(move |_| {
                polls += 1;
                if polls == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        });
        let waker = Rc::new(Cell::new(None::<Waker>));
        let stored = waker.clone();
        let second_waits = second.spawn(async move {
            let mut waiting = waiting;
            poll_fn(|cx| {
                stored.set(Some(cx.waker().clone()));
                std::pin::Pin::new(&mut waiting).poll(cx)
            })
            .await
        });
        second.run_until_idle();
        first.run_until_idle();
        assert!(!second_waits.is_finished());
        // The handle was polled in the second runtime, so its end wakes the task there.
        waker.take().unwrap().wake();
        second.run_until_idle();
        drop(first);
        second.run_until_idle();
        assert!(second_waits.is_finished());
    });
}

#[test]
fn a_socket_and_a_sleep_refuse_another_runtime_by_name() {
    within_deadline(|| {
        let first = Runtime::new().unwrap();
        let (mut client, _server) = first.block_on(tcp_pair());
        first.block_on(async {
            let mut byte = [0];
            assert!(
                futures_lite::future::poll_once(client.read(&mut byte))
                    .await
                    .is_none()
            );
        });
        let text = panic_text(|| {
            block_on(async { client.read(&mut [0]).await.unwrap() });
        });
        assert!(
            text.contains("TcpStream") && text.contains("another runtime"),
            "{text}"
        );

        let mut sleep = time::sleep(Duration::from_secs(3600));
        first.block_on(async {
            assert!(futures_lite::future::poll_once(&mut sleep).await.is_none());
        });
        let text = panic_text(|| block_on(async { (&mut sleep).await }));
        assert!(
            text.contains("Sleep was polled") && text.contains("another runtime"),
            "{text}"
        );
    });
}

#[test]
fn no_wake_from_another_thread_is_lost() {
    const ROUNDS: u32 = 10_000;
    run(async {
        // In each round, the task leaves its waker and waits. The thread takes the waker, counts, and wakes.
        let slot = Arc::new((Mutex::new(None::<Waker>), AtomicU32::new(0)));
        let thread = thread::spawn({
            let slot = slot.clone();
            move || {
                while slot.1.load(Ordering::Acquire) < ROUNDS {
                    let waker = slot.0.lock().unwrap().take();
                    if let Some(waker) = waker {
                        slot.1.fetch_add(1, Ordering::AcqRel);
                        waker.wake();
                    } else {
                        thread::yield_now();
                    }
                }
            }
        });
        for round in 1..=ROUNDS {
            let mut left = false;
            poll_fn(|cx| {
                if slot.1.load(Ordering::Acquire) >= round {
                    return Poll::Ready(());
                }
                if !std::mem::replace(&mut left, true) {
                    *slot.0.lock().unwrap() = Some(cx.waker().clone());
                }
                Poll::Pending
            })
            .await;
        }
        thread.join().unwrap();
    });
}

/// Each thread writes a number, wakes the task, and waits until the task has seen the number. So a wake without a
/// later poll would make the thread wait for ever. Sometimes the task also wakes itself.
#[test]
fn each_wake_causes_a_poll_that_sees_the_writes_before_it() {
    const ROUNDS: u32 = 2_000;
    type Numbers = [AtomicU32; 3];
    run(async {
        let written = Arc::new(Numbers::default());
        let seen = Arc::new(Numbers::default());
        let mut threads = Vec::new();
        let mut last = 0;
        poll_fn(|cx| {
            for at in threads.len()..written.len() {
                let (written, seen) = (written.clone(), seen.clone());
                let waker = cx.waker().clone();
                threads.push(thread::spawn(move || {
                    for round in 1..=ROUNDS {
                        written[at].store(round, Ordering::Relaxed);
                        waker.wake_by_ref();
                        while seen[at].load(Ordering::Relaxed) != round {
                            thread::yield_now();
                        }
                    }
                }));
            }
            let mut total = 0;
            for (written, seen) in written.iter().zip(seen.iter()) {
                let number = written.load(Ordering::Relaxed);
                seen.store(number, Ordering::Relaxed);
                total += number;
            }
            if total == 3 * ROUNDS {
                return Poll::Ready(());
            }
            if total % 4 == 0 && std::mem::replace(&mut last, total) != total {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn other_threads_spawn_here() {
    run(async {
        let handle = Handle::current();
        let count = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (handle, count) = (handle.clone(), count.clone());
                thread::spawn(move || {
                    for _ in 0..1_000 {
                        let count = count.clone();
                        let make = move || async move {
                            // This future is not `Send`, and need not be.
                            let one = Rc::new(1);
                            yield_now().await;
                            count.fetch_add(*one, Ordering::Relaxed);
                        };
                        handle.spawn_with(make).unwrap();
                    }
                })
            })
            .collect();
        while count.load(Ordering::Relaxed) < 4_000 {
            time::sleep(Duration::from_millis(1)).await;
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_spawn_into_an_ended_runtime_is_an_error_and_drops_the_closure() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = OnDrop({
        let dropped = dropped.clone();
        move || dropped.store(true, Ordering::Release)
    });
    // The closure is sent in time, but the runtime ends before it reads the message.
    let make = move || {
        drop(guard);
        async {}
    };
    assert!(handle.spawn_with(make).is_ok());
    assert!(!dropped.load(Ordering::Acquire));
    drop(runtime);
    assert!(dropped.load(Ordering::Acquire));
    let gone: Result<(), RuntimeGone> = handle.spawn_with(|| async {}).map(drop);
    assert_eq!(gone.unwrap_err().to_string(), "the runtime has ended");
    handle.wake();
}

#[test]
fn a_stream_dropped_on_another_thread_leaves_no_source() {
    run(async {
        for _ in 0..100 {
            let (mut client, mut server) = tcp_pair().await;
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            thread::spawn(move || drop(server)).join().unwrap();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_sleep_dropped_on_another_thread_wakes_no_task() {
    run(async {
        let mut sleep = time::sleep(Duration::from_secs(3600));
        assert!(futures_lite::future::poll_once(&mut sleep).await.is_none());
        thread::spawn(move || drop(sleep)).join().unwrap();
        yield_now().await;
    });
}

#[test]
fn streams_and_sleeps_outlive_their_runtime() {
    within_deadline(|| {
        let (client, server, sleep) = block_on(async {
            let (mut client, server) = tcp_pair().await;
            let mut sleep = time::sleep(Duration::from_secs(3600));
            assert!(futures_lite::future::poll_once(&mut sleep).await.is_none());
            assert!(
                futures_lite::future::poll_once(client.read(&mut [0]))
                    .await
                    .is_none()
            );
            (client, server, sleep)
        });
        drop(sleep);
        drop(server);
        let (sent, received) = mpsc::channel::<TcpStream>();
        let dropper = thread::spawn(move || drop(received.recv().unwrap()));
        sent.send(client).unwrap();
        dropper.join().unwrap();
    });
}

#[test]
fn a_dropped_runtime_drops_tasks_that_wait_for_sockets_and_sleeps() {
    within_deadline(|| {
        let dropped = Rc::new(Cell::new(0));
        let runtime = Runtime::new().unwrap();
        for _ in 0..10 {
            let (first, second) = (count_drop(&dropped), count_drop(&dropped));
            runtime
                .spawn(async move {
                    let _guard = first;
                    let (mut client, _server) = tcp_pair().await;
                    client.read(&mut [0]).await.unwrap();
                })
                .detach();
            runtime
                .spawn(async move {
                    let _guard = second;
                    time::sleep(Duration::from_secs(3600)).await;
                })
                .detach();
        }
        for _ in 0..20 {
            runtime.poll_timeout(Duration::from_millis(1));
        }
        drop(runtime);
        assert_eq!(dropped.get(), 20);
    });
}

#[test]
fn a_wake_that_comes_before_the_wait_is_not_lost() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        runtime.handle().wake();
        runtime.poll_timeout(Duration::from_secs(3600));
        // The wake comes from inside the runtime, as late as possible.
        let handle = runtime.handle();
        runtime.spawn(async move { handle.wake() }).detach();
        runtime.poll_timeout(Duration::from_secs(3600));
    });
}

#[test]
fn a_task_can_spawn_through_its_own_runtime() {
    within_deadline(|| {
        let runtime = Rc::new(Runtime::new().unwrap());
        let inner = runtime.clone();
        let value = runtime.block_on(async move {
            let first = inner.spawn(async { 1 });
            let second = spawn(async { 2 });
            first.await.unwrap() + second.await.unwrap()
        });
        assert_eq!(value, 3);
    });
}

#[test]
fn a_destructor_of_an_inner_runtime_can_spawn_into_the_outer_one() {
    within_deadline(|| {
        let outer = Rc::new(Runtime::new().unwrap());
        let log = crate::support::runtime::Log::new();
        let again = outer.clone();
        let spawned = log.clone();
        outer.block_on(async move {
            let inner = Runtime::new().unwrap();
            let guard = OnDrop(move || {
                let log = spawned.clone();
                again.spawn(async move { log.add("ran") }).detach();
            });
            let task = inner.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            drop(inner);
            assert!(task.await.unwrap_err().is_cancelled());
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(log.take(), ["ran"]);
    });
}

thread_local! {
    static KEPT: std::cell::RefCell<Option<Runtime>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn a_runtime_may_end_with_its_thread() {
    within_deadline(|| {
        let (sent, received) = mpsc::channel();
        let thread = thread::spawn(move || {
            KEPT.with_borrow_mut(|kept| {
                let runtime = kept.insert(Runtime::new().unwrap());
                let guard = OnDrop(move || sent.send("dropped").unwrap());
                runtime
                    .spawn(async move {
                        let _guard = guard;
                        let (mut client, _server) = tcp_pair().await;
                        let hour = time::sleep(Duration::from_secs(3600));
                        futures_lite::future::zip(hour, client.read(&mut [0]))
                            .await
                            .1
                            .unwrap();
                    })
                    .detach();
                for _ in 0..10 {
                    runtime.poll_timeout(Duration::from_millis(1));
                }
            });
        });
        thread.join().unwrap();
        assert_eq!(received.recv(), Ok("dropped"));
    });
}

#[test]
fn a_closure_that_panics_when_dropped_does_not_disturb_the_end_of_the_runtime() {
    let runtime = Runtime::new().unwrap();
    let dropped = Arc::new(AtomicU32::new(0));
    for _ in 0..2 {
        let bomb = OnDrop({
            let dropped = dropped.clone();
            move || {
                dropped.fetch_add(1, Ordering::Relaxed);
                panic!("dropped");
            }
        });
        let make = move || {
            drop(bomb);
            async {}
        };
        runtime.handle().spawn_with(make).unwrap();
    }
    drop(runtime);
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn a_wake_of_the_handle_ends_exactly_one_wait() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let waker = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            handle.wake();
        });
        runtime.poll_timeout(Duration::from_secs(10));
        waker.join().unwrap();
        let start = Instant::now();
        runtime.poll_timeout(Duration::from_millis(50));
        assert!(start.elapsed() >= Duration::from_millis(50));
    });
}
