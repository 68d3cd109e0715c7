//! What the runtime promises, through its public API.
#![allow(
    clippy::unwrap_used,
    clippy::async_yields_async,
    clippy::option_map_unit_fn,
    clippy::drop_non_drop,
    clippy::format_collect,
    dropping_copy_types,
    reason = "a test may"
)]

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::time::{self, Instant, interval, sleep, sleep_until, timeout};
use waterwheel::runtime::{
    Handle, Runtime, block_on, descriptors, join, race, spawn, spawn_blocking, yield_now,
};

const SECOND: Duration = Duration::from_secs(1);

/// Notes when it is dropped.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Runs what it holds when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_default()
}

mod tasks {
    use super::*;

    #[test]
    fn run_in_the_order_they_were_spawned_and_take_turns() {
        let log = Rc::new(RefCell::new(Vec::new()));
        block_on(async {
            let tasks: Vec<_> = (0..3)
                .map(|task| {
                    let log = log.clone();
                    spawn(async move {
                        for round in 0..2 {
                            log.borrow_mut().push((round, task));
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(
            *log.borrow(),
            [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
        );
    }

    #[test]
    fn one_that_always_wakes_itself_starves_neither_others_nor_the_reactor_nor_the_timers() {
        block_on(async {
            let _busy = spawn(async {
                loop {
                    yield_now().await;
                }
            });
            sleep(Duration::from_millis(5)).await;
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let connect = TcpStream::connect(listener.local_address().unwrap());
            let (accepted, connected) = join(listener.accept(), connect).await;
            accepted.unwrap();
            connected.unwrap();
        });
    }

    #[test]
    fn a_socket_that_is_always_ready_does_not_keep_the_turn() {
        block_on(async {
            let (mut writer, mut reader) = pair().await;
            let bytes = vec![0; 100_000];
            writer.write_all(&bytes).await.unwrap();
            let others_turns = Rc::new(Cell::new(0));
            let other = spawn({
                let turns = others_turns.clone();
                async move {
                    loop {
                        turns.set(turns.get() + 1);
                        yield_now().await;
                    }
                }
            });
            let mut byte = [0];
            for _ in 0..10_000 {
                reader.read_exact(&mut byte).await.unwrap();
            }
            other.abort();
            assert!(others_turns.get() >= 10_000 / 64, "{}", others_turns.get());
        });
    }

    #[test]
    fn a_panic_ends_its_task_only_and_reaches_the_handle() {
        block_on(async {
            let panics = spawn(async { panic!("splash") });
            let fine = spawn(async { 7 });
            let error = panics.await.unwrap_err();
            assert!(
                error.is_panic() && error.to_string().contains("splash"),
                "{error}"
            );
            assert_eq!(fine.await.unwrap(), 7);
        });
    }

    #[test]
    fn a_panic_in_a_destructor_ends_its_task_only() {
        block_on(async {
            let task = spawn(async {
                let _bomb = OnDrop(|| panic!("in drop"));
                yield_now().await;
            });
            assert!(task.await.unwrap_err().is_panic());
            let detached = OnDrop(|| panic!("in drop of a value"));
            spawn(async move { detached }).detach();
            yield_now().await;
            yield_now().await;
        });
    }

    #[test]
    fn the_main_futures_panic_goes_to_the_caller() {
        let panic = catch_unwind(|| block_on(async { panic!("{}", "mine") }));
        assert_eq!(message_of(&*panic.unwrap_err()), "mine");
        assert_eq!(block_on(async { 1 }), 1, "the thread is as before");
    }

    #[test]
    fn an_abort_drops_the_future_whenever_it_comes() {
        block_on(async {
            for yields in 0..3 {
                let dropped = Rc::new(Cell::new(false));
                let guard = Dropped(dropped.clone());
                let task = spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                for _ in 0..yields {
                    yield_now().await;
                }
                task.abort();
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
                assert!(dropped.get());
            }
        });
    }

    #[test]
    fn an_abort_after_the_end_leaves_the_value() {
        block_on(async {
            let task = spawn(async { 7 });
            yield_now().await;
            yield_now().await;
            assert!(task.is_finished());
            task.abort();
            assert_eq!(task.await.unwrap(), 7);
        });
    }

    #[test]
    fn an_abort_from_within_takes_effect_at_the_next_wait() {
        block_on(async {
            let slot = Rc::new(RefCell::new(None));
            let task = spawn({
                let slot = slot.clone();
                async move {
                    slot.borrow_mut()
                        .take()
                        .map(|handle: waterwheel::runtime::JoinHandle<()>| handle.abort());
                    pending::<()>().await;
                }
            });
            *slot.borrow_mut() = Some(task);
            timeout(SECOND, async {
                while Rc::strong_count(&slot) > 1 {
                    yield_now().await;
                }
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn a_wake_while_running_runs_it_again_and_many_wakes_once() {
        block_on(async {
            let polls = Rc::new(Cell::new(0));
            let task = spawn({
                let polls = polls.clone();
                poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    for _ in 0..100 {
                        cx.waker().wake_by_ref();
                    }
                    if polls.get() < 3 {
                        Poll::Pending
                    } else {
                        Poll::Ready(())
                    }
                })
            });
            task.await.unwrap();
            for _ in 0..5 {
                yield_now().await;
            }
            assert_eq!(polls.get(), 3);
        });
    }

    #[test]
    fn a_wake_from_another_thread_is_never_lost() {
        const ROUNDS: usize = 10_000;
        block_on(async {
            let (sender, receiver) =
                mpsc::channel::<(Waker, std::sync::Arc<std::sync::atomic::AtomicBool>)>();
            let waker_thread = thread::spawn(move || {
                for (waker, flag) in receiver {
                    flag.store(true, std::sync::atomic::Ordering::Release);
                    waker.wake();
                }
            });
            for _ in 0..ROUNDS {
                let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
                let mut sent = false;
                poll_fn(|cx| {
                    if !sent {
                        sent = true;
                        sender.send((cx.waker().clone(), flag.clone())).unwrap();
                    }
                    if flag.load(std::sync::atomic::Ordering::Acquire) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
            drop(sender);
            waker_thread.join().unwrap();
        });
    }

    #[test]
    fn a_waker_outlives_its_task_and_its_runtime() {
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        block_on(async {
            let task = spawn({
                let kept = kept.clone();
                poll_fn(move |cx| {
                    *kept.borrow_mut() = Some(cx.waker().clone());
                    Poll::Ready(())
                })
            });
            task.await.unwrap();
            let others = Rc::new(Cell::new(0));
            let _next_tenant = spawn({
                let others = others.clone();
                poll_fn(move |_| {
                    others.set(others.get() + 1);
                    Poll::<()>::Pending
                })
            });
            yield_now().await;
            kept.borrow().as_ref().unwrap().wake_by_ref();
            yield_now().await;
            assert_eq!(
                others.get(),
                1,
                "a stale wake reached the slot's next tenant"
            );
        });
        kept.take().unwrap().wake();
    }

    #[test]
    fn destructors_may_spawn_and_wake() {
        block_on(async {
            let ran = Rc::new(Cell::new(false));
            let task = spawn({
                let ran = ran.clone();
                async move {
                    let _spawner = OnDrop(move || {
                        let ran = ran.clone();
                        spawn(async move { ran.set(true) }).detach();
                    });
                    pending::<()>().await;
                }
            });
            yield_now().await;
            task.abort();
            for _ in 0..3 {
                yield_now().await;
            }
            assert!(ran.get());
            spawn(async {
                let _at_the_end = OnDrop(|| spawn(async {}).detach());
                pending::<()>().await;
            })
            .detach();
            yield_now().await;
        });
    }

    #[test]
    fn the_end_of_the_runtime_ends_them() {
        let dropped = Rc::new(Cell::new(false));
        let guard = Dropped(dropped.clone());
        let handle = block_on(async {
            let handle = spawn(async move {
                let _guard = guard;
                let _socket = TcpListener::bind("127.0.0.1:0").unwrap().accept().await;
                sleep(SECOND).await;
            });
            yield_now().await;
            handle
        });
        assert!(dropped.get() && handle.is_finished());
    }
}

mod loops {
    use super::*;

    #[test]
    fn a_thread_can_wait_for_one_runtime_only() {
        let panic = catch_unwind(|| block_on(async { block_on(async {}) }));
        assert!(message_of(&*panic.unwrap_err()).contains("inside a runtime"));
    }

    #[test]
    fn what_belongs_to_one_runtime_says_so_in_another() {
        let first = Runtime::new().unwrap();
        let second = Runtime::new().unwrap();
        let mut sleep = first.block_on(async {
            let mut sleep = sleep(SECOND);
            futures_lite::future::poll_once(Pin::new(&mut sleep)).await;
            sleep
        });
        let polled = catch_unwind(AssertUnwindSafe(|| second.block_on(Pin::new(&mut sleep))));
        let message = message_of(&*polled.unwrap_err());
        assert!(
            message.contains("Sleep") && message.contains("another runtime"),
            "{message}"
        );
        let outside = catch_unwind(|| drop(spawn(async {})));
        assert!(outside.is_err());
    }

    #[test]
    fn two_runtimes_take_turns_on_one_thread() {
        let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let count = Rc::new(Cell::new(0));
        for runtime in [&first, &second] {
            let count = count.clone();
            runtime
                .spawn(async move {
                    for _ in 0..10 {
                        count.set(count.get() + 1);
                        sleep(Duration::from_millis(1)).await;
                    }
                })
                .detach();
        }
        while first.tasks() + second.tasks() > 0 {
            first.poll_timeout(Duration::from_millis(1));
            second.poll_timeout(Duration::from_millis(1));
        }
        assert_eq!(count.get(), 20);
    }

    #[test]
    fn poll_does_what_is_there_and_does_not_wait() {
        let runtime = Runtime::new().unwrap();
        let task = runtime.spawn(async {
            yield_now().await;
            yield_now().await;
        });
        let _sleeper = runtime.spawn(sleep(3600 * SECOND));
        let start = Instant::now();
        assert!(!runtime.poll());
        assert!(task.is_finished() && start.elapsed() < SECOND);
        assert_eq!(runtime.run_until_idle(), 1);
    }

    #[test]
    fn poll_timeout_is_never_longer_than_asked_even_under_load() {
        let runtime = Runtime::new().unwrap();
        runtime
            .spawn(async {
                loop {
                    yield_now().await;
                }
            })
            .detach();
        for milliseconds in [0, 1, 20] {
            let start = Instant::now();
            runtime.poll_timeout(Duration::from_millis(milliseconds));
            assert!(
                start.elapsed() < Duration::from_millis(milliseconds + 20),
                "{:?}",
                start.elapsed()
            );
        }
    }

    #[test]
    fn poll_timeout_waits_as_long_as_there_is_nothing_and_a_handle_ends_the_wait() {
        let runtime = Runtime::new().unwrap();
        let start = Instant::now();
        runtime.poll_timeout(Duration::from_millis(20));
        assert!(start.elapsed() >= Duration::from_millis(20));
        let handle = runtime.handle();
        let thread = thread::spawn(move || handle.wake());
        runtime.poll_timeout(20 * SECOND);
        assert!(start.elapsed() < 10 * SECOND);
        thread.join().unwrap();
    }

    #[test]
    fn a_handle_spawns_from_elsewhere_until_the_runtime_is_gone() {
        let (sender, receiver) = mpsc::channel();
        let handle = block_on(async {
            let handle = Handle::current();
            let thread = thread::spawn({
                let handle = handle.clone();
                move || handle.spawn_with(move || async move { sender.send(7).unwrap() })
            });
            while receiver.try_recv() != Ok(7) {
                sleep(Duration::from_millis(1)).await;
            }
            thread.join().unwrap().unwrap();
            handle
        });
        assert!(handle.spawn_with(|| async {}).is_err());
        handle.wake();
    }
}

mod timers {
    use super::*;

    #[test]
    fn fire_in_the_order_of_their_deadlines() {
        block_on(async {
            time::pause();
            let log = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = [30, 10, 20, 10]
                .into_iter()
                .enumerate()
                .map(|(index, milliseconds)| {
                    let log = log.clone();
                    spawn(async move {
                        sleep(Duration::from_millis(milliseconds)).await;
                        log.borrow_mut().push(index);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*log.borrow(), [1, 3, 2, 0]);
        });
    }

    #[test]
    fn ten_thousand_equal_deadlines_all_fire() {
        block_on(async {
            time::pause();
            let deadline = Instant::now() + SECOND;
            let tasks: Vec<_> = (0..10_000).map(|_| spawn(sleep_until(deadline))).collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(Instant::now(), deadline);
        });
    }

    #[test]
    fn a_dropped_sleep_wakes_nobody() {
        block_on(async {
            time::pause();
            let polls = Rc::new(Cell::new(0));
            let task = spawn({
                let polls = polls.clone();
                async move {
                    let mut early = Some(sleep(SECOND));
                    let mut late = std::pin::pin!(sleep(3 * SECOND));
                    poll_fn(|cx| {
                        polls.set(polls.get() + 1);
                        if let Some(mut sleep) = early.take() {
                            assert!(Pin::new(&mut sleep).poll(cx).is_pending());
                        }
                        late.as_mut().poll(cx)
                    })
                    .await;
                }
            });
            task.await.unwrap();
            assert_eq!(polls.get(), 2);
        });
    }

    #[test]
    fn a_reset_moves_the_deadline_both_ways() {
        block_on(async {
            time::pause();
            let start = Instant::now();
            let mut sleep = sleep(2 * SECOND);
            futures_lite::future::poll_once(Pin::new(&mut sleep)).await;
            sleep.reset(start + 5 * SECOND);
            Pin::new(&mut sleep).await;
            assert_eq!(start.elapsed(), 5 * SECOND);
            sleep.reset(start + 9 * SECOND);
            futures_lite::future::poll_once(Pin::new(&mut sleep)).await;
            sleep.reset(start + 6 * SECOND);
            sleep.await;
            assert_eq!(start.elapsed(), 6 * SECOND);
        });
    }

    #[test]
    fn an_interval_keeps_its_schedule_and_skips_what_it_missed() {
        block_on(async {
            time::pause();
            let start = Instant::now();
            let mut interval = interval(SECOND);
            assert_eq!(interval.tick().await - start, Duration::ZERO);
            assert_eq!(interval.tick().await - start, SECOND);
            time::advance(Duration::from_millis(2500)).await;
            assert_eq!(interval.tick().await - start, 2 * SECOND);
            assert_eq!(interval.tick().await - start, 4 * SECOND);
        });
    }

    #[test]
    fn a_sleep_can_be_dropped_anywhere() {
        let sleep = block_on(async {
            let mut sleep = sleep(SECOND);
            futures_lite::future::poll_once(Pin::new(&mut sleep)).await;
            let mut elsewhere = self::time::sleep(SECOND);
            futures_lite::future::poll_once(Pin::new(&mut elsewhere)).await;
            thread::spawn(move || drop(elsewhere)).join().unwrap();
            sleep
        });
        drop(sleep);
    }

    #[test]
    fn a_paused_clock_waits_for_blocking_jobs() {
        block_on(async {
            time::pause();
            let job = spawn_blocking(|| thread::sleep(Duration::from_millis(50)));
            timeout(3600 * SECOND, job).await.unwrap().unwrap();
        });
    }
}

mod blocking {
    use super::*;

    #[test]
    fn gives_values_and_panics_back() {
        block_on(async {
            assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
            assert!(
                spawn_blocking(|| panic!("elsewhere"))
                    .await
                    .unwrap_err()
                    .is_panic()
            );
            let name = spawn_blocking(|| thread::current().name().map(str::to_owned)).await;
            assert!(name.unwrap().unwrap().starts_with("waterwheel-blocking-"));
        });
    }

    #[test]
    fn is_bounded_and_skips_what_nobody_wants_any_more() {
        block_on(async {
            let (release, gate) = mpsc::channel::<()>();
            let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
            let running = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let jobs: Vec<_> = (0..waterwheel::runtime::THREADS_MAX)
                .map(|_| {
                    let (gate, running) = (gate.clone(), running.clone());
                    spawn_blocking(move || {
                        running.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        drop(gate.lock().map(|gate| gate.recv()));
                    })
                })
                .collect();
            while running.load(std::sync::atomic::Ordering::SeqCst)
                < waterwheel::runtime::THREADS_MAX
            {
                sleep(Duration::from_millis(1)).await;
            }
            let (sender, receiver) = mpsc::channel();
            let mut unwanted = spawn_blocking(move || sender.send(()));
            assert!(
                futures_lite::future::poll_once(&mut unwanted)
                    .await
                    .is_none(),
                "no thread was free"
            );
            drop(unwanted);
            drop(release);
            for job in jobs {
                job.await.unwrap();
            }
            spawn_blocking(|| ()).await.unwrap();
            assert!(receiver.recv().is_err(), "the job was dropped, not run");
        });
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = TcpStream::connect(listener.local_address().unwrap());
    let (accepted, connected) = join(listener.accept(), connect).await;
    (connected.unwrap(), accepted.unwrap().0)
}

mod sockets {
    use super::*;

    #[test]
    fn bytes_and_their_end_in_one_segment_are_both_seen() {
        block_on(async {
            let (writer, mut reader) = pair().await;
            let mut buffer = [0; 64];
            assert!(
                futures_lite::future::poll_once(reader.read(&mut buffer))
                    .await
                    .is_none()
            );
            let mut writer = writer.into_std();
            writer.write_all(b"last words").unwrap();
            drop(writer);
            let both = async {
                assert_eq!(reader.read(&mut buffer).await.unwrap(), 10);
                assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
            };
            timeout(SECOND, both).await.unwrap();
        });
    }

    #[test]
    fn halves_work_at_once() {
        block_on(async {
            let (mut first, mut second) = pair().await;
            let bytes = vec![7; 3_000_000];
            let (mut reader, mut writer) = first.split();
            let mut back = vec![0; bytes.len()];
            let echo = spawn(async move {
                let mut buffer = vec![0; 65_536];
                loop {
                    let count = second.read(&mut buffer).await.unwrap();
                    if count == 0 {
                        break;
                    }
                    second.write_all(&buffer[..count]).await.unwrap();
                }
            });
            let (written, read) =
                join(writer.write_all(&bytes), reader.read_exact(&mut back)).await;
            written.unwrap();
            read.unwrap();
            assert_eq!(back, bytes);
            drop(first);
            echo.await.unwrap();
        });
    }

    #[test]
    fn closed_means_gone_and_read_closed_means_no_more_bytes() {
        block_on(async {
            let (peer, stream) = pair().await;
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            timeout(SECOND, stream.read_closed()).await.unwrap();
            assert!(
                timeout(Duration::from_millis(20), stream.closed())
                    .await
                    .is_err()
            );
            let (mut peer, mut stream) = pair().await;
            stream.write_all(b"unread").await.unwrap();
            peer.readable().await.unwrap();
            peer.write_all(b"x").await.unwrap();
            drop(peer);
            timeout(SECOND, stream.closed()).await.unwrap();
        });
    }

    #[test]
    fn a_connection_that_nobody_takes_is_refused() {
        block_on(async {
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_address()
                .unwrap();
            let error = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn all_who_wait_for_a_connection_get_one() {
        block_on(async {
            let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
            let accepts: Vec<_> = (0..3)
                .map(|_| {
                    let listener = listener.clone();
                    spawn(async move { listener.accept().await.map(drop) })
                })
                .collect();
            yield_now().await;
            for _ in 0..3 {
                TcpStream::connect(listener.local_address().unwrap())
                    .await
                    .unwrap();
            }
            for accept in accepts {
                accept.await.unwrap().unwrap();
            }
        });
    }

    #[test]
    fn a_closed_sockets_events_do_not_reach_the_next_one_in_its_place() {
        block_on(async {
            for _ in 0..200 {
                let (peer, stream) = pair().await;
                assert!(timeout(Duration::ZERO, stream.readable()).await.is_err());
                let mut peer = peer.into_std();
                peer.write_all(b"x").unwrap(); // an event is under way now …
                drop(stream); // … for a socket that is gone
                let (_quiet, next) = pair().await;
                let ready = futures_lite::future::poll_once(next.readable()).await;
                yield_now().await;
                assert!(ready.is_none());
            }
        });
    }

    #[test]
    fn a_socket_can_be_dropped_on_another_thread_and_its_place_is_free_again() {
        block_on(async {
            let (peer, stream) = pair().await;
            assert!(timeout(Duration::ZERO, stream.readable()).await.is_err());
            let freed = descriptors::freed();
            thread::spawn(move || drop(stream)).join().unwrap();
            timeout(SECOND, freed).await.unwrap();
            drop(peer);
        });
    }

    #[test]
    fn a_file_is_sent_without_passing_through() {
        block_on(async {
            let (mut reader, writer) = pair().await;
            let path = std::env::current_exe().unwrap();
            let file = std::fs::File::open(path).unwrap();
            let mut offset = 0;
            let sent = writer.send_file(&file, &mut offset, 1000).await.unwrap();
            assert_eq!(offset, sent as u64);
            let mut received = vec![0; sent];
            reader.read_exact(&mut received).await.unwrap();
            assert!(received.starts_with(b"\x7fELF"));
        });
    }

    #[test]
    fn what_was_given_away_is_still_open() {
        block_on(async {
            let (writer, reader) = pair().await;
            assert!(timeout(Duration::ZERO, reader.readable()).await.is_err());
            let mut reader = reader.into_std();
            reader.set_nonblocking(false).unwrap();
            (&writer).write_all(b"x").await.unwrap();
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"x");
            let mut again = TcpStream::from_std(reader).unwrap();
            (&writer).write_all(b"y").await.unwrap();
            again.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, *b"y");
        });
    }

    #[test]
    fn open_descriptors_are_the_processes_not_the_runtimes() {
        let before = descriptors::open().unwrap();
        let files: Vec<_> = (0..50)
            .map(|_| std::fs::File::open("/dev/null").unwrap())
            .collect();
        // Other tests of this process open and close as well.
        assert!(descriptors::open().unwrap() + 45 > before + files.len());
        assert!(descriptors::limit() > 50);
    }

    #[test]
    fn a_race_polls_the_first_first() {
        assert_eq!(block_on(race(async { 1 }, async { 2 })), 1);
    }
}
