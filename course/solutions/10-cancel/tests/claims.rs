//! The claims of stage 10.

use std::cell::Cell;
use std::future::pending;
use std::io::Write;
use std::net;
use std::rc::Rc;
use std::time::{Duration, Instant};

use claims::in_time;
use solution_10::{
    Elapsed, Runtime, TcpListener, TcpStream, block_on, counts, join, race, sleep, spawn,
    system_calls, timeout, yield_now,
};

const LONG: Duration = Duration::from_secs(60);

/// Notes that it was dropped.
#[derive(Clone, Default)]
struct Guard(Rc<Cell<bool>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Returns a guard, and the flag that it sets.
fn guard() -> (Guard, Rc<Cell<bool>>) {
    let flag = Rc::new(Cell::new(false));
    (Guard(flag.clone()), flag)
}

async fn connection() -> (TcpStream, net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = net::TcpStream::connect(listener.local_address().unwrap()).unwrap();
    (listener.accept().await.unwrap(), client)
}

#[test]
fn todo_1_a_sleep_that_is_dropped_leaves_no_timer_behind() {
    in_time(|| {
        block_on(async {
            for _ in 0..1_000 {
                race(sleep(LONG), yield_now()).await;
            }
            assert_eq!(counts().timers, 0);
        });
    });
}

#[test]
fn todo_2_a_socket_that_is_closed_leaves_no_source_behind() {
    in_time(|| {
        block_on(async {
            for _ in 0..20 {
                let (stream, client) = connection().await;
                drop((stream, client));
            }
            assert_eq!(counts().sources, 0);
        });
    });
}

/// A socket with a duplicate stays in epoll when it is closed. Its late events must not reach its successor.
#[test]
fn todo_2_a_late_event_of_a_closed_socket_reaches_no_other_socket() {
    in_time(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().unwrap();
            let connect = || net::TcpStream::connect(address).unwrap();
            let (mut peer, quiet) = (connect(), connect());
            let old = listener.accept().await.unwrap();
            let duplicate = old.duplicate().unwrap();
            drop(old);
            // This one takes the slot of the old one.
            let new = listener.accept().await.unwrap();
            let reader = spawn(async move {
                let mut buffer = [0; 64];
                new.read(&mut buffer).await.unwrap()
            });
            sleep(Duration::from_millis(10)).await;
            let before = system_calls();
            peer.write_all(b"to the old one").unwrap();
            sleep(Duration::from_millis(20)).await;
            assert_eq!(system_calls(), before);
            assert!(!reader.is_finished());
            drop((duplicate, quiet, peer));
            reader.await.unwrap();
        });
    });
}

#[test]
fn todo_3_and_4_an_aborted_task_is_dropped_and_not_polled() {
    in_time(|| {
        block_on(async {
            let (guard, dropped) = guard();
            let polled = Rc::new(Cell::new(0));
            let counting = polled.clone();
            let task = spawn(async move {
                let _guard = guard;
                loop {
                    counting.set(counting.get() + 1);
                    yield_now().await;
                }
            });
            yield_now().await;
            let before = polled.get();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(dropped.get());
            assert!(polled.get() <= before + 1);
        });
    });
}

#[test]
fn todo_3_and_4_a_task_that_has_ended_keeps_its_value_after_an_abort() {
    in_time(|| {
        block_on(async {
            let task = spawn(async { 7 });
            yield_now().await;
            yield_now().await;
            task.abort();
            assert_eq!(task.await.unwrap(), 7);
        });
    });
}

#[test]
fn todo_1_to_4_an_abort_frees_all_that_the_task_holds() {
    in_time(|| {
        block_on(async {
            let (stream, _client) = connection().await;
            let task = spawn(async move {
                let mut buffer = [0; 16];
                let read = async {
                    stream.read(&mut buffer).await.unwrap();
                };
                join(sleep(LONG), read).await;
            });
            sleep(Duration::from_millis(10)).await;
            let all = counts();
            assert_eq!((all.tasks, all.timers, all.sources), (1, 1, 1));
            task.abort();
            assert!(task.await.is_err());
            let all = counts();
            assert_eq!((all.tasks, all.timers, all.sources), (0, 0, 0));
        });
    });
}

#[test]
fn todo_5_and_6_the_end_of_a_runtime_drops_its_tasks_and_their_handles_get_an_error() {
    in_time(|| {
        let runtime = Runtime::new().unwrap();
        let (guard, dropped) = guard();
        let task = runtime.block_on(async {
            let task = spawn(async move {
                let _guard = guard;
                sleep(LONG).await;
            });
            yield_now().await;
            Some(task)
        });
        let task = task.expect("the task was spawned");
        assert!(!dropped.get());
        drop(runtime);
        assert!(dropped.get());
        assert!(task.is_finished());
        assert!(block_on(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn todo_6_a_destructor_may_spawn_while_the_runtime_ends() {
    struct Spawns(Rc<Cell<bool>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let guard = Guard(self.0.clone());
            spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
    }
    in_time(|| {
        let dropped = Rc::new(Cell::new(false));
        let spawns = Spawns(dropped.clone());
        block_on(async {
            spawn(async move {
                let _spawns = spawns;
                pending::<()>().await;
            });
            yield_now().await;
        });
        assert!(dropped.get());
    });
}

#[test]
fn todo_7_a_timeout_drops_the_future_and_returns_an_error() {
    in_time(|| {
        block_on(async {
            let (guard, dropped) = guard();
            let slow = async move {
                let _guard = guard;
                sleep(LONG).await;
            };
            let begin = Instant::now();
            let result = timeout(Duration::from_millis(20), slow).await;
            assert_eq!(result, Err(Elapsed));
            assert!(begin.elapsed() >= Duration::from_millis(20));
            assert!(begin.elapsed() < Duration::from_secs(5));
            assert!(dropped.get());
        });
    });
}

#[test]
fn todo_1_and_7_a_future_that_is_fast_enough_leaves_no_timer_of_its_timeout() {
    in_time(|| {
        block_on(async {
            let fast = async {
                yield_now().await;
                7
            };
            assert_eq!(timeout(LONG, fast).await, Ok(7));
            assert_eq!(counts().timers, 0);
        });
    });
}
