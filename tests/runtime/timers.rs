//! Claims about time: sleeps, timeouts, intervals, the paused clock, and the blocking pool.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::runtime::{Log, OnDrop, run, tcp_pair, within_deadline};
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::time::{
    self, Instant, MissedTicks, interval, sleep, sleep_until, timeout,
};
use waterwheel::runtime::{
    JoinHandle, Notify, Runtime, THREADS_MAX, block_on, join, spawn, spawn_blocking, turn,
    yield_now,
};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs a test with the clock paused.
fn run_paused<F: Future>(test: F) -> F::Output {
    run(async {
        time::pause();
        test.await
    })
}

#[test]
fn a_sleep_takes_as_long_as_asked_by_the_real_clock() {
    let start = std::time::Instant::now();
    run(sleep(ms(3)));
    assert!(start.elapsed() >= ms(3));
}

#[test]
fn sleeps_end_in_order_of_deadline_and_then_of_their_start() {
    run_paused(async {
        let log = Log::new();
        let tasks: Vec<_> = [30, 10, 20, 10, 30, 10]
            .into_iter()
            .enumerate()
            .map(|(number, millis)| {
                let log = log.clone();
                spawn(async move {
                    sleep(ms(millis)).await;
                    log.add((millis, number));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(
            log.take(),
            [(10, 1), (10, 3), (10, 5), (20, 2), (30, 0), (30, 4)]
        );
    });
}

#[test]
fn ten_thousand_equal_deadlines_end_together() {
    run_paused(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..10_000).map(|_| spawn(sleep(HOUR))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(start.elapsed(), HOUR);
    });
}

/// The wheel's own tests count the steps within it.
#[test]
fn a_hundred_thousand_timers_poll_each_task_once_for_its_own_deadline() {
    const TIMERS: u64 = 100_000;
    run_paused(async {
        let start = Instant::now();
        let polls = Rc::new(Cell::new(0));
        let spawn_sleeper = |number: u64| {
            let polls = polls.clone();
            spawn(async move {
                let deadline = start + Duration::from_micros(1 + number * 7_919 % 60_000_000);
                let mut sleep = pin!(sleep_until(deadline));
                poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    sleep.as_mut().poll(cx)
                })
                .await;
                assert_eq!(Instant::now(), deadline);
            })
        };
        let mut sleepers: Vec<_> = (0..TIMERS).map(spawn_sleeper).collect();
        yield_now().await;
        assert_eq!(polls.get(), TIMERS, "each one is armed");
        // Cancelled timers wake no task, and neither do those that are armed beside the others.
        let cancelled: Vec<_> = sleepers.split_off(sleepers.len() / 2);
        cancelled.iter().for_each(JoinHandle::abort);
        sleepers.extend((TIMERS / 2..TIMERS).map(spawn_sleeper));
        yield_now().await;
        assert_eq!(polls.get(), TIMERS + TIMERS / 2);
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
        assert_eq!(polls.get(), TIMERS + TIMERS / 2 + TIMERS);
        assert!(start.elapsed() < Duration::from_secs(60));
    });
}

#[test]
fn the_runtime_does_not_wait_for_a_dropped_sleep() {
    run_paused(async {
        let start = Instant::now();
        {
            let mut dropped = pin!(sleep(HOUR));
            assert!(poll_once(dropped.as_mut()).await.is_none());
            sleep(ms(1)).await;
        }
        let mut boxed = Box::pin(sleep(HOUR));
        assert!(poll_once(boxed.as_mut()).await.is_none());
        drop(boxed);
        sleep(2 * HOUR).await;
        assert_eq!(start.elapsed(), 2 * HOUR + ms(1));
    });
}

#[test]
fn a_sleep_can_be_reset_later_and_earlier_and_after_its_end() {
    run_paused(async {
        let start = Instant::now();
        let mut sleep = sleep(ms(100));
        assert!(poll_once(&mut sleep).await.is_none());
        sleep.reset(start + ms(300));
        (&mut sleep).await;
        assert_eq!(start.elapsed(), ms(300), "later");

        sleep.reset(start + HOUR);
        assert!(poll_once(&mut sleep).await.is_none());
        sleep.reset(start + ms(400));
        (&mut sleep).await;
        assert_eq!(start.elapsed(), ms(400), "earlier");

        sleep.reset(start + ms(500));
        (&mut sleep).await;
        assert_eq!(start.elapsed(), ms(500), "again");
        sleep_until(start).await;
        assert_eq!(start.elapsed(), ms(500), "a deadline that has passed");
    });
}

#[test]
fn a_sleep_wakes_the_task_that_has_polled_it_last() {
    run_paused(async {
        let mut sleep = sleep(ms(10));
        assert!(poll_once(&mut sleep).await.is_none());
        spawn(sleep).await.unwrap();
    });
}

#[test]
fn an_interval_keeps_its_schedule_when_a_tick_is_taken_late() {
    run_paused(async {
        let start = Instant::now();
        let mut interval = interval(ms(10));
        let mut planned = Vec::new();
        for late in [0, 0, 4, 0, 27, 0, 0] {
            let tick = interval.tick().await;
            planned.push((tick.saturating_duration_since(start)).as_millis());
            sleep(ms(late)).await;
        }
        // 27 ms of work follow the tick of 40 ms. So the tick of 50 ms is taken late, at 67 ms, and that of 60 ms is
        // skipped.
        assert_eq!(planned, [0, 10, 20, 30, 40, 50, 70]);
    });
}

#[test]
fn a_timeout_returns_the_value_or_elapsed() {
    run_paused(async {
        let start = Instant::now();
        assert_eq!(timeout(HOUR, async { 7 }).await, Ok(7));
        let elapsed = timeout(HOUR, pending::<()>()).await.unwrap_err();
        assert_eq!(start.elapsed(), HOUR);
        assert_eq!(elapsed.to_string(), "the deadline has passed");
        let error = std::io::Error::from(elapsed);
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let together = timeout(ms(10), async {
            sleep(ms(10)).await;
            "in time"
        });
        assert_eq!(together.await, Ok("in time"));
    });
}

#[test]
fn a_year_of_paused_time_passes_at_once() {
    let real = std::time::Instant::now();
    run_paused(async {
        let start = Instant::now();
        sleep(24 * 365 * HOUR).await;
        assert_eq!(start.elapsed(), 24 * 365 * HOUR);
    });
    assert!(real.elapsed() < HOUR);
}

#[test]
fn advance_fires_the_timers_on_its_way_in_order() {
    run_paused(async {
        let log = Log::new();
        let start = Instant::now();
        let tasks = [300, 100, 200].map(|millis| {
            let log = log.clone();
            spawn(async move {
                sleep(ms(millis)).await;
                log.add((millis, start.elapsed()));
            })
        });
        yield_now().await;
        time::advance(ms(250)).await;
        assert_eq!(log.take(), [(100, ms(100)), (200, ms(200))]);
        assert_eq!(start.elapsed(), ms(250));
        drop(tasks);
    });
}

#[test]
fn ready_tasks_run_before_the_paused_clock_moves() {
    run_paused(async {
        let start = Instant::now();
        let busy = spawn(async move {
            for _ in 0..100 {
                yield_now().await;
            }
            start.elapsed()
        });
        sleep(HOUR).await;
        assert_eq!(busy.await.unwrap(), Duration::ZERO);
    });
}

#[test]
fn the_reactor_is_checked_before_the_paused_clock_moves() {
    run_paused(async {
        let (mut client, mut server) = tcp_pair().await;
        let start = Instant::now();
        let echo = spawn(async move {
            let mut byte = [0];
            while server.read(&mut byte).await.unwrap() == 1 {
                server.write_all(&byte).await.unwrap();
            }
        });
        for _ in 0..100 {
            client.write_all(b"x").await.unwrap();
            timeout(HOUR, client.read_exact(&mut [0]))
                .await
                .unwrap()
                .unwrap();
        }
        drop(client);
        timeout(HOUR, echo).await.unwrap().unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

/// A door that blocks a thread until another thread opens it.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

#[test]
fn the_paused_clock_does_not_move_while_a_blocking_job_runs() {
    run_paused(async {
        let start = Instant::now();
        let door = Door::default();
        let job = spawn_blocking({
            let door = door.clone();
            move || door.pass()
        });
        let sleeper = spawn(sleep(HOUR));
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!sleeper.is_finished());
        assert_eq!(start.elapsed(), Duration::ZERO);
        door.open();
        job.await.unwrap();
        sleeper.await.unwrap();
        assert_eq!(start.elapsed(), HOUR);
    });
}

#[test]
fn a_blocking_job_returns_its_value_or_its_panic() {
    run(async {
        assert_eq!(spawn_blocking(|| 6 * 7).await.unwrap(), 42);
        let error = spawn_blocking(|| panic!("on the pool")).await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: on the pool");
        assert_eq!(spawn_blocking(|| "goes on").await.unwrap(), "goes on");
    });
}

#[test]
fn the_pool_has_at_most_its_maximum_of_threads() {
    run(async {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let door = Door::default();
        let (began, has_begun) = mpsc::channel();
        let jobs: Vec<_> = (0..4 * THREADS_MAX)
            .map(|_| {
                let (running, most) = (running.clone(), most.clone());
                let (door, began) = (door.clone(), began.clone());
                spawn_blocking(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                    began.send(()).unwrap();
                    door.pass();
                    running.fetch_sub(1, Ordering::AcqRel);
                })
            })
            .collect();
        for _ in 0..THREADS_MAX {
            has_begun.recv().unwrap();
        }
        door.open();
        for job in jobs {
            job.await.unwrap();
        }
        assert_eq!(most.load(Ordering::Acquire), THREADS_MAX);
    });
}

#[test]
fn a_blocking_job_dropped_before_it_began_is_skipped() {
    run(async {
        let door = Door::default();
        let busy: Vec<_> = (0..THREADS_MAX)
            .map(|_| {
                let door = door.clone();
                spawn_blocking(move || door.pass())
            })
            .collect();
        let ran = Arc::new(AtomicBool::new(false));
        let skipped = spawn_blocking({
            let ran = ran.clone();
            move || ran.store(true, Ordering::Release)
        });
        drop(skipped);
        door.open();
        for job in busy {
            job.await.unwrap();
        }
        // This job is behind the skipped one in the queue.
        spawn_blocking(|| ()).await.unwrap();
        assert!(!ran.load(Ordering::Acquire));
    });
}

#[test]
fn a_runtime_that_ends_waits_for_the_job_that_runs_and_cancels_the_rest() {
    within_deadline(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let runtime = Runtime::new().unwrap();
        let door = Door::default();
        runtime.block_on(async {
            let (began, has_begun) = mpsc::channel();
            let (ended, inside) = (ended.clone(), door.clone());
            drop(spawn_blocking(|| ()).await);
            let job = spawn_blocking(move || {
                began.send(()).unwrap();
                inside.pass();
                ended.store(true, Ordering::Release);
            });
            has_begun.recv().unwrap();
            drop(job);
        });
        door.open();
        drop(runtime);
        assert!(ended.load(Ordering::Acquire));
    });
}

#[test]
fn a_name_is_resolved_on_the_pool() {
    run(async {
        let addresses = waterwheel::runtime::net::lookup_host("localhost:80").await;
        assert!(
            addresses
                .unwrap()
                .iter()
                .all(|address| address.ip().is_loopback())
        );
        assert!(
            waterwheel::runtime::net::lookup_host("no port")
                .await
                .is_err()
        );
    });
}

#[test]
fn turn_completes_when_the_reactor_has_delivered_an_event() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        assert!(poll_once(server.read(&mut [0])).await.is_none());
        let waiting = spawn(turn());
        yield_now().await;
        client.write_all(b"x").await.unwrap();
        waiting.await.unwrap();
        server.read_exact(&mut [0]).await.unwrap();
    });
}

#[test]
fn turn_completes_after_half_a_second_without_an_event() {
    run_paused(async {
        let start = Instant::now();
        turn().await;
        assert_eq!(start.elapsed(), ms(500));
    });
}

#[test]
fn a_destructor_that_a_timeout_runs_may_use_timers() {
    run_paused(async {
        let bell = std::rc::Rc::new(Notify::new());
        let rung = bell.notified();
        let guard = OnDrop({
            let bell = bell.clone();
            move || {
                let bell = bell.clone();
                spawn(async move {
                    sleep(ms(1)).await;
                    bell.notify_all();
                })
                .detach();
            }
        });
        let guarded = async {
            let _guard = guard;
            pending::<()>().await;
        };
        assert!(timeout(ms(1), guarded).await.is_err());
        rung.await;
    });
}

#[test]
fn instants_saturate() {
    assert_eq!(Instant::FAR_FUTURE + HOUR, Instant::FAR_FUTURE);
    assert_eq!(Instant::now() - Instant::FAR_FUTURE, Duration::ZERO);
    let far = block_on(async { poll_once(sleep_until(Instant::FAR_FUTURE)).await });
    assert!(far.is_none());
    run(async {
        let far = sleep_until(Instant::FAR_FUTURE);
        let near = sleep(ms(1));
        assert!(poll_once(join(far, async {})).await.is_none());
        near.await;
    });
}

#[test]
fn the_paused_clock_moves_again_after_a_blocking_job_that_no_task_awaits() {
    run_paused(async {
        let door = Door::default();
        let (began, has_begun) = mpsc::channel();
        let job = spawn_blocking({
            let door = door.clone();
            move || {
                began.send(()).unwrap();
                door.pass();
            }
        });
        has_begun.recv().unwrap();
        drop(job);
        let opener = std::thread::spawn(move || door.open());
        sleep(HOUR).await;
        opener.join().unwrap();
    });
}

#[test]
fn the_paused_clock_does_not_outrun_the_value_of_a_blocking_job() {
    run_paused(async {
        for _ in 0..300 {
            let start = Instant::now();
            let job = timeout(HOUR, spawn_blocking(|| ()));
            job.await.expect("in time").unwrap();
            assert_eq!(start.elapsed(), Duration::ZERO);
            sleep(HOUR).await;
        }
    });
}

#[test]
fn a_thread_continues_after_a_job_that_panics_when_dropped() {
    run_paused(async {
        let door = Door::default();
        let (began, has_begun) = mpsc::channel();
        let busy: Vec<_> = (0..THREADS_MAX)
            .map(|_| {
                let (door, began) = (door.clone(), began.clone());
                spawn_blocking(move || {
                    began.send(()).unwrap();
                    door.pass();
                })
            })
            .collect();
        for _ in 0..THREADS_MAX {
            has_begun.recv().unwrap();
        }
        for _ in 0..2 * THREADS_MAX {
            let bomb = OnDrop(|| panic!("dropped"));
            drop(spawn_blocking(move || drop(bomb)));
        }
        door.open();
        for job in busy {
            job.await.unwrap();
        }
        spawn_blocking(|| ()).await.unwrap();
        sleep(HOUR).await;
    });
}

#[test]
fn advance_moves_the_clock_while_a_task_is_busy() {
    run_paused(async {
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let log = Log::new();
        let start = Instant::now();
        for millis in [7, 3] {
            let log = log.clone();
            spawn(async move {
                sleep(ms(millis)).await;
                log.add((millis, start.elapsed()));
            })
            .detach();
        }
        yield_now().await;
        time::advance(ms(10)).await;
        assert_eq!(start.elapsed(), ms(10));
        assert_eq!(log.take(), [(3, ms(3)), (7, ms(7))]);
        busy.abort();
    });
}

#[test]
fn a_reset_to_an_earlier_deadline_wakes_the_task_that_waits() {
    run_paused(async {
        let start = Instant::now();
        let shared = Rc::new(RefCell::new(Box::pin(time::sleep(ms(60_000)))));
        let waiting = spawn({
            let shared = shared.clone();
            poll_fn(move |cx| shared.borrow_mut().as_mut().poll(cx))
        });
        yield_now().await;
        shared.borrow_mut().as_mut().get_mut().reset(start + ms(10));
        waiting.await.unwrap();
        assert_eq!(start.elapsed(), ms(10));
        // The deadline moves later, and then earlier again.
        shared
            .borrow_mut()
            .as_mut()
            .get_mut()
            .reset(start + ms(100));
        let waiting = spawn({
            let shared = shared.clone();
            poll_fn(move |cx| shared.borrow_mut().as_mut().poll(cx))
        });
        yield_now().await;
        shared
            .borrow_mut()
            .as_mut()
            .get_mut()
            .reset(start + ms(200));
        shared.borrow_mut().as_mut().get_mut().reset(start + ms(50));
        waiting.await.unwrap();
        assert_eq!(start.elapsed(), ms(50));
    });
}

#[test]
fn a_reset_on_another_thread_wakes_the_task_that_waits() {
    run(async {
        let shared = Arc::new(Mutex::new(Box::pin(time::sleep(ms(60_000)))));
        let waiting = spawn({
            let shared = shared.clone();
            poll_fn(move |cx| shared.lock().unwrap().as_mut().poll(cx))
        });
        yield_now().await;
        let deadline = Instant::now() + ms(10);
        thread::spawn(move || shared.lock().unwrap().as_mut().get_mut().reset(deadline));
        waiting.await.unwrap();
    });
}

#[test]
fn missed_ticks_are_skipped_completed_at_once_or_shift_the_schedule() {
    // An interval of 10 ms ticks at 0 ms, and its task awaits the next tick at 35 ms.
    let rows = [
        (MissedTicks::Skip, [0, 35, 40, 50, 60]),
        (MissedTicks::Burst, [0, 35, 35, 35, 40]),
        (MissedTicks::Delay, [0, 35, 45, 55, 65]),
    ];
    for (policy, ticks) in rows {
        run_paused(async {
            let start = Instant::now();
            let mut interval = time::interval(ms(10)).missed_ticks(policy);
            for (number, tick) in ticks.into_iter().enumerate() {
                interval.tick().await;
                assert_eq!(start.elapsed(), ms(tick), "{policy:?}, tick {number}");
                if number == 0 {
                    time::advance(ms(35)).await;
                }
            }
        });
    }
}

#[test]
fn ticks_that_are_missed_while_the_thread_is_held_are_skipped() {
    run(async {
        let mut interval = time::interval(ms(10));
        interval.tick().await;
        thread::sleep(ms(105));
        let mut at_once = 0;
        while poll_once(pin!(interval.tick())).await.is_some() {
            at_once += 1;
            assert!(at_once <= 2, "missed ticks come at once");
        }
    });
}

#[test]
fn a_sleep_is_late_by_at_most_a_millisecond_in_the_median() {
    async fn median_delay() -> Duration {
        let mut late = Vec::new();
        for _ in 0..51 {
            let start = std::time::Instant::now();
            time::sleep(ms(1)).await;
            late.push(start.elapsed().checked_sub(ms(1)).expect("never early"));
        }
        late.sort_unstable();
        late[25]
    }
    run(async {
        // A tick, a rounded wait, and the delay of a busy machine. With two roundings, it was 1.1 ms. LOG R15
        let max = Duration::from_micros(900);
        let mut best = Duration::MAX;
        // Other work on the machine delays some rounds.
        for _ in 0..10 {
            best = best.min(median_delay().await);
            if best < max {
                return;
            }
        }
        panic!("{best:?}");
    });
}

#[test]
fn a_deadline_set_after_time_outside_the_runtime_is_not_in_the_past() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(yield_now());
        thread::sleep(ms(60));
        let real = Instant::now();
        // Each way into the runtime reads the clock.
        let fresh = |entered: Instant| entered + ms(30) >= real;
        assert!(runtime.block_on(async { fresh(Instant::of_turn()) }));
        thread::sleep(ms(60));
        let real = Instant::now();
        let seen = runtime.spawn(async move { Instant::of_turn() + ms(30) >= real });
        runtime.poll();
        assert!(runtime.block_on(seen).unwrap());
    });
}

#[test]
fn a_turn_that_pauses_the_clock_continues_with_the_paused_time() {
    run(async {
        thread::sleep(ms(3));
        time::pause();
        assert_eq!(Instant::of_turn(), Instant::now());
    });
}

#[test]
fn advance_sees_the_same_times_whenever_the_clock_was_paused() {
    for real in [0, 1, 2, 3] {
        run(async {
            thread::sleep(ms(real));
            time::pause();
            let start = Instant::now();
            // A distant timer. Its slot in the wheel begins at another time in each run.
            let other = spawn(time::sleep(ms(90)));
            let sleeper = spawn(async move {
                let begun = start.elapsed();
                time::sleep(ms(3)).await;
                yield_now().await;
                yield_now().await;
                let slept = start.elapsed();
                (begun, slept)
            });
            time::advance(ms(100)).await;
            assert_eq!(sleeper.await.unwrap(), (ms(0), ms(3)), "after {real} ms");
            other.await.unwrap();
            assert_eq!(start.elapsed(), ms(100));
        });
    }
}

#[test]
fn a_paused_clock_does_not_move_to_the_far_future() {
    run_paused(async {
        let start = Instant::now();
        let never = timeout(Duration::MAX, pending::<()>());
        assert!(poll_once(pin!(never)).await.is_none());
        let mut never = pin!(sleep(Duration::MAX));
        assert!(poll_once(never.as_mut()).await.is_none());
        // The runtime waits for a job. Meanwhile the clock does not move, and no turn spins.
        spawn_blocking(|| thread::sleep(ms(20))).await.unwrap();
        assert_eq!(start.elapsed(), ms(0));
        sleep(ms(5)).await;
        assert_eq!(start.elapsed(), ms(5));
    });
}

#[test]
fn a_paused_clock_fires_in_the_order_of_the_nanoseconds_and_stops_at_each() {
    run_paused(async {
        let start = Instant::now();
        let log = Log::new();
        // All within one tick of the running clock, and not in order.
        let tasks: Vec<_> = [900, 20, 7, 20, 31_000, 1]
            .into_iter()
            .map(|nanos| {
                let log = log.clone();
                spawn(async move {
                    time::sleep_until(start + Duration::from_nanos(nanos)).await;
                    log.add((nanos, start.elapsed().as_nanos()));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let expected = [1, 7, 20, 20, 900, 31_000].map(|nanos| (nanos, u128::from(nanos)));
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn timers_from_before_the_pause_fire_in_their_order() {
    run(async {
        let log = Log::new();
        let tasks: Vec<_> = [5_000, 60, 1_000_000_000, 70, 60]
            .into_iter()
            .map(|millis| {
                let log = log.clone();
                spawn(async move {
                    time::sleep(ms(millis)).await;
                    log.add(millis);
                })
            })
            .collect();
        let far = spawn(time::sleep_until(Instant::FAR_FUTURE));
        yield_now().await;
        time::pause();
        time::pause();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.take(), [60, 60, 70, 5_000, 1_000_000_000]);
        assert!(!far.is_finished());
    });
}
