//! Claims about fairness: no task, and no part of a task, keeps the thread from the others.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant as StdInstant};

use crate::support::runtime::{Log, run, tcp_pair, tcp_with_std, within_deadline};
use crate::support::seeds::in_any_order;
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::{TcpStream, UnixStream};
use waterwheel::runtime::{
    Handle, JoinHandle, Notify, Runtime, budget, join, race, spawn, spawn_blocking, time, yield_now,
};

/// Runs `next` again and again in a task, beside a second task that ends it. Fails if the second task does not
/// run within a bounded number of steps.
async fn lets_others_run(name: &str, mut next: impl AsyncFnMut()) {
    const STEPS_MAX: u32 = 100_000;
    let stop = Rc::new(Cell::new(false));
    let other = spawn({
        let stop = stop.clone();
        async move { stop.set(true) }
    });
    let mut steps = 0;
    while !stop.get() {
        next().await;
        steps += 1;
        assert!(steps < STEPS_MAX, "{name}: the other task did not run");
    }
    other.await.unwrap();
}

#[test]
fn a_loop_over_a_leaf_that_is_always_ready_lets_others_run() {
    in_any_order(|| async {
        lets_others_run("sleep(ZERO)", async || time::sleep(Duration::ZERO).await).await;
        let past = time::Instant::now();
        lets_others_run("sleep_until", async || time::sleep_until(past).await).await;
        let never = || time::timeout(Duration::ZERO, pending::<()>());
        lets_others_run("timeout(ZERO)", async || assert!(never().await.is_err())).await;
        let period = Duration::from_nanos(1);
        let mut interval = time::interval(period).missed_ticks(time::MissedTicks::Burst);
        lets_others_run("Interval", async || _ = interval.tick().await).await;
        let notify = Notify::new();
        lets_others_run("Notify", async || {
            let before = notify.times();
            notify.notify_all();
            notify.changed_since(before).await;
        })
        .await;
    });
}

#[test]
fn a_loop_over_values_that_are_ready_lets_others_run() {
    run(async {
        let mut handles = Vec::new();
        for _ in 0..1_000 {
            handles.push(spawn(ready(())));
        }
        yield_now().await;
        lets_others_run("JoinHandle", async || {
            handles.pop().unwrap().await.unwrap();
        })
        .await;
        let mut jobs: Vec<_> = (0..1_000).map(|_| spawn_blocking(|| ())).collect();
        // The pool runs its jobs in order, so all have ended when the last one has.
        jobs.pop().unwrap().await.unwrap();
        lets_others_run("Blocking", async || jobs.pop().unwrap().await.unwrap()).await;
    });
}

#[test]
fn a_timeout_ends_a_future_that_is_always_ready() {
    run(async {
        let started = StdInstant::now();
        let busy = async {
            loop {
                time::sleep(Duration::ZERO).await;
            }
        };
        let ended: Result<(), _> = time::timeout(Duration::from_millis(50), busy).await;
        assert!(ended.is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
        // A timeout whose time is over at the start also ends.
        let busy = async {
            loop {
                time::sleep(Duration::ZERO).await;
            }
        };
        let ended: Result<(), _> = time::timeout(Duration::ZERO, busy).await;
        assert!(ended.is_err());
    });
}

#[test]
fn a_deadline_ends_a_sleep_beside_a_busy_future_in_a_foreign_combinator() {
    run(async {
        let busy = async {
            loop {
                time::sleep(Duration::ZERO).await;
            }
        };
        let deadline = time::sleep(Duration::from_millis(20));
        futures_lite::future::or(busy, deadline).await;
    });
}

#[test]
fn an_unconstrained_future_is_not_paused() {
    in_any_order(|| async {
        let other_ran = Rc::new(Cell::new(false));
        let other = spawn({
            let other_ran = other_ran.clone();
            async move { other_ran.set(true) }
        });
        budget::unconstrained(async {
            for _ in 0..10 * budget::BUDGET {
                time::sleep(Duration::ZERO).await;
            }
        })
        .await;
        assert!(!other_ran.get());
        other.await.unwrap();
    });
}

/// Writes a kilobyte a hundred times to a peer that reads them all.
async fn write_a_hundred_times(mut ours: &TcpStream) {
    for _ in 0..100 {
        ours.write_all(b"x").await.unwrap();
    }
}

#[test]
fn outside_a_runtime_a_hundred_writes_complete() {
    within_deadline(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let std = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_peer, _) = listener.accept().unwrap();
        let ours = TcpStream::from_std(std).unwrap();
        futures_lite::future::block_on(write_a_hundred_times(&ours));
        // The same on a thread that was inside a runtime before.
        run(yield_now());
        futures_lite::future::block_on(write_a_hundred_times(&ours));
    });
}

#[test]
fn under_a_foreign_executor_inside_a_task_a_thousand_writes_complete() {
    run(async {
        let (ours, _peer) = tcp_with_std().await;
        spawn(async move {
            for _ in 0..10 {
                futures_lite::future::block_on(write_a_hundred_times(&ours));
            }
        })
        .await
        .unwrap();
    });
}

/// Reads for ever from a peer that writes for ever.
async fn read_a_flood(mut stream: TcpStream) {
    let mut buffer = vec![0; 4096];
    while stream.read(&mut buffer).await.unwrap() > 0 {}
}

/// Returns a stream that another thread keeps full.
async fn flooded() -> TcpStream {
    let (ours, mut peer) = tcp_with_std().await;
    std::thread::spawn(move || {
        let bytes = vec![0; 1 << 20];
        while std::io::Write::write_all(&mut peer, &bytes).is_ok() {}
    });
    ours
}

/// A quiet part must read its byte within this many polls of its task, beside any busy part.
const POLLS_MAX: u32 = 4;

/// Counts the polls of a task until its quiet part has read a byte that is there at the start.
async fn polls_until_read(
    combine: impl AsyncFnOnce(TcpStream, Pin<&mut dyn Future<Output = ()>>),
) -> u32 {
    let flood = flooded().await;
    let (mut quiet, mut peer) = tcp_pair().await;
    peer.write_all(b"x").await.unwrap();
    quiet.readable().await.unwrap();
    let polls = Cell::new(0);
    let read_at = Cell::new(None);
    let quiet_half = pin!(async {
        quiet.read_exact(&mut [0]).await.unwrap();
        read_at.set(Some(polls.get()));
    });
    let mut both = pin!(combine(flood, quiet_half));
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        let poll = both.as_mut().poll(cx);
        if read_at.get().is_some() || polls.get() > 10_000 {
            Poll::Ready(())
        } else {
            poll
        }
    })
    .await;
    read_at.get().unwrap_or(u32::MAX)
}

#[test]
fn a_flooded_half_of_join_and_race_lets_the_quiet_half_run() {
    run(async {
        let joined = polls_until_read(async |flood, quiet| {
            join(read_a_flood(flood), quiet).await;
        });
        assert!(joined.await <= POLLS_MAX);
        let raced = polls_until_read(async |flood, quiet| {
            race(read_a_flood(flood), quiet).await;
        });
        assert!(raced.await <= POLLS_MAX);
        let nested = polls_until_read(async |flood, quiet| {
            // Each busy part is first, so that the quiet part has the smallest share.
            let busy = || async {
                loop {
                    time::sleep(Duration::ZERO).await;
                }
            };
            let deep = join(
                busy(),
                join(busy(), join(busy(), join(busy(), join(busy(), quiet)))),
            );
            let _: (_, ((), _)) = join(read_a_flood(flood), join(async {}, deep)).await;
        });
        assert!(nested.await <= POLLS_MAX);
    });
}

#[test]
fn an_accept_runs_deep_inside_busy_joins() {
    in_any_order(|| async {
        let listener = waterwheel::runtime::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let connected = std::net::TcpStream::connect(address).unwrap();
        let busy = || async {
            loop {
                time::sleep(Duration::ZERO).await;
            }
        };
        let accept = async { drop(listener.accept().await.unwrap()) };
        let five = race(
            busy(),
            race(busy(), race(busy(), race(busy(), race(busy(), accept)))),
        );
        race(busy(), race(busy(), five)).await;
        drop(connected);
    });
}

/// A task that wakes itself for ever delays a reader by one poll at most.
#[test]
fn the_reactor_checks_for_events_between_two_polls_of_a_task_that_wakes_itself() {
    in_any_order(|| async {
        let (mut stream, mut peer) = tcp_pair().await;
        let reader = spawn(async move { stream.read_exact(&mut [0]).await.unwrap() });
        yield_now().await;
        peer.write_all(b"x").await.unwrap();
        let mut polls = 0;
        while !reader.is_finished() {
            polls += 1;
            yield_now().await;
        }
        // One check finds the byte, and the reader runs before the task that woke itself.
        assert!(polls <= 3, "{polls} polls");
    });
}

#[test]
fn tasks_that_wake_each_other_delay_the_check_of_the_reactor_by_at_most_64_polls() {
    run(async {
        let wakers: Rc<[Cell<Option<Waker>>; 2]> = Rc::default();
        let polls = Rc::new(Cell::new(0_u32));
        let tasks: Vec<_> = [0, 1]
            .map(|own| {
                let (wakers, polls) = (wakers.clone(), polls.clone());
                spawn(poll_fn(move |cx| -> Poll<()> {
                    polls.set(polls.get() + 1);
                    wakers[own].set(Some(cx.waker().clone()));
                    if let Some(other) = wakers[1 - own].take() {
                        other.wake();
                    }
                    Poll::Pending
                }))
            })
            .into();
        let (mut near, mut far) = UnixStream::from_std_pair();
        let read_at = spawn({
            let polls = polls.clone();
            async move {
                far.read_exact(&mut [0]).await.unwrap();
                polls.get()
            }
        });
        yield_now().await;
        let written_at = polls.get();
        near.write_all(b"x").await.unwrap();
        let read_at = read_at.await.unwrap();
        assert!(written_at > 2, "the tasks have not woken each other");
        assert!(read_at - written_at <= 2 * 64, "{written_at} {read_at}");
        tasks
            .iter()
            .for_each(waterwheel::runtime::JoinHandle::abort);
    });
}

trait Pair: Sized {
    fn from_std_pair() -> (Self, Self);
}

impl Pair for UnixStream {
    fn from_std_pair() -> (Self, Self) {
        let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        (Self::from_std(a).unwrap(), Self::from_std(b).unwrap())
    }
}

#[test]
fn a_chain_of_wakes_takes_few_turns() {
    const WAKES: u32 = 20_000;
    let runtime = Runtime::new().unwrap();
    let wakers: Rc<[Cell<Option<Waker>>; 2]> = Rc::default();
    let left = Rc::new(Cell::new(WAKES));
    for own in [0, 1] {
        let (wakers, left) = (wakers.clone(), left.clone());
        let link = poll_fn(move |cx| {
            wakers[own].set(Some(cx.waker().clone()));
            left.set(left.get().saturating_sub(1));
            if let Some(other) = wakers[1 - own].take() {
                other.wake();
            }
            if left.get() == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        runtime.spawn(link).detach();
    }
    let mut turns = 0;
    while runtime.tasks() > 0 {
        // A turn that does not wait: `poll` takes up to 256 of them.
        turns += 256;
        runtime.poll();
        assert!(turns <= 2 * WAKES / 64 + 256, "a turn for each wake");
    }
}

#[test]
fn a_task_that_yields_runs_after_the_check_of_the_reactor_even_if_a_thread_wakes_it() {
    let runtime = Runtime::new().unwrap();
    let log = Log::new();
    let (late, yielder) = (log.clone(), log.clone());
    runtime
        .spawn(async move {
            time::sleep(Duration::from_millis(1)).await;
            late.add("timer");
        })
        .detach();
    runtime.poll();
    runtime
        .spawn(async move {
            // The timer is due by now, and fires at the end of this turn.
            std::thread::sleep(Duration::from_millis(5));
            let mut yielding = yield_now();
            poll_fn(|cx| {
                let poll = Pin::new(&mut yielding).poll(cx);
                if poll.is_pending() {
                    let waker = cx.waker().clone();
                    std::thread::spawn(move || waker.wake()).join().unwrap();
                }
                poll
            })
            .await;
            yielder.add("yielder");
        })
        .detach();
    assert_eq!(runtime.run_until_idle(), 0);
    assert_eq!(log.take(), ["timer", "yielder"]);
}

/// Runs 100 tasks that yield for ever beside `test`.
fn beside_100_yielders<T>(test: impl Future<Output = T>) -> T {
    run(async {
        for _ in 0..100 {
            let busy = async {
                loop {
                    yield_now().await;
                }
            };
            spawn(busy).detach();
        }
        test.await
    })
}

#[test]
fn messages_are_read_beside_a_hundred_tasks_that_are_always_ready() {
    beside_100_yielders(async {
        spawn_blocking(|| std::thread::sleep(Duration::from_millis(20)))
            .await
            .unwrap();
        let handle = Handle::current();
        let notify = Arc::new(AtomicBool::new(false));
        let seen = notify.clone();
        let sender = std::thread::spawn(move || {
            let run = move || async move { seen.store(true, Ordering::Release) };
            handle.spawn_with(run).unwrap();
        });
        sender.join().unwrap();
        while !notify.load(Ordering::Acquire) {
            yield_now().await;
        }
    });
}

#[test]
fn a_sleep_that_is_reset_to_the_past_again_and_again_lets_others_run() {
    in_any_order(|| async {
        lets_others_run("armed, then reset", async || {
            let mut sleep = time::sleep(Duration::from_secs(3600));
            assert!(poll_once(&mut sleep).await.is_none());
            sleep.reset(time::Instant::of_turn());
            sleep.await;
        })
        .await;
        let notify = Notify::new();
        lets_others_run("notified by oneself", async || {
            let mut notified = pin!(notify.notified());
            assert!(poll_once(notified.as_mut()).await.is_none());
            notify.notify_all();
            notified.await;
        })
        .await;
    });
}

#[test]
fn a_handle_that_moves_to_another_runtime_wakes_the_last_task_that_polled_it() {
    within_deadline(|| {
        let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let go = Rc::new(Notify::new());
        let handle: Rc<Cell<Option<JoinHandle<u8>>>> = Rc::default();
        // The first tasks of two runtimes have the same id.
        let first = a.spawn({
            let handle = handle.clone();
            async move {
                yield_now().await;
                let mut taken = handle.take().unwrap();
                assert!(poll_once(&mut taken).await.is_none());
                handle.set(Some(taken));
                pending::<()>().await;
            }
        });
        let ends = a.spawn({
            let go = go.clone();
            async move {
                go.notified().await;
                7
            }
        });
        handle.set(Some(ends));
        a.run_until_idle();
        let last = b.spawn(async move { handle.take().unwrap().await.unwrap() });
        b.run_until_idle();
        go.notify_all();
        a.run_until_idle();
        b.run_until_idle();
        assert!(last.is_finished());
        drop(first);
    });
}

/// Spends the whole budget in each poll, before a future that shares the poll.
fn spend_all(cx: &mut std::task::Context<'_>) {
    while budget::poll_spend(cx, 1).is_ready() {}
}

#[test]
fn a_due_sleep_ends_beside_a_future_that_spends_the_budget_in_each_poll() {
    for first in [Duration::ZERO, Duration::from_millis(5)] {
        run(async {
            let mut sleep = pin!(time::sleep(first));
            let mut polls = 0;
            poll_fn(|cx| {
                spend_all(cx);
                polls += 1;
                assert!(polls < 1_000_000, "the sleep of {first:?} did not end");
                sleep.as_mut().poll(cx)
            })
            .await;
            // So does one that a reset has brought to the past.
            sleep.as_mut().reset(time::Instant::now());
            let mut polls = 0;
            poll_fn(|cx| {
                spend_all(cx);
                polls += 1;
                assert!(polls < 1_000, "the sleep that was reset did not end");
                sleep.as_mut().poll(cx)
            })
            .await;
        });
    }
}
