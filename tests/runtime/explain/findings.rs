//! Claims about the findings of a dump: each with a planted fault, and the nearest innocent form beside it.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use waterwheel::runtime::inspect::{self, Dump, Explain, Finding, named};
use waterwheel::runtime::sync::mpsc::channel;
use waterwheel::runtime::sync::{Mutex, Notify, Semaphore};
use waterwheel::runtime::task::{Builder, JoinHandle};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{Runtime, budget, race, spawn, spawn_blocking, yield_now};

use super::{explained, explained_with, group, start};
use crate::support::process::{alone, in_child};
use crate::support::runtime::{OnDrop, tcp_with_std, within_deadline};

/// Returns the findings of a kind.
fn found<'a>(dump: &'a Dump, kind: &str) -> Vec<&'a Finding> {
    let findings = dump.findings().iter();
    findings.filter(|finding| finding.kind() == kind).collect()
}

/// Checks that a dump has one finding of a kind, which names exactly these tasks.
fn assert_found(dump: &Dump, kind: &str, names: &[&str]) {
    let found = found(dump, kind);
    assert_eq!(found.len(), 1, "{dump}");
    let mut tasks = found[0].tasks().to_vec();
    let ids = names
        .iter()
        .map(|name| group(dump, name).tasks()[0].clone());
    let mut ids: Vec<_> = ids.collect();
    tasks.sort();
    ids.sort();
    assert_eq!(tasks, ids, "{dump}");
}

fn assert_none(dump: &Dump, kind: &str) {
    assert!(found(dump, kind).is_empty(), "{dump}");
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_task_that_keeps_no_waker_is_found() {
    explained(async {
        start("lost", poll_fn(|_| Poll::Pending)).await;
        let dump = inspect::dump();
        assert_found(&dump, "lost waker", &["lost"]);
        let place = found(&dump, "lost waker")[0].place().unwrap();
        assert!(place.file().ends_with("explain/mod.rs"), "{place}");
    });
}

/// The sentence names the closest part that the program has named, and reads well with a place in it.
#[test]
fn a_finding_is_a_sentence_that_names_the_part_of_the_task() {
    explained_with(Explain::default().poll_max(millis(30)), async {
        let lost = named("a wait without a waker", poll_fn(|_| Poll::<()>::Pending));
        start("lost", lost).await;
        let bell = Rc::new(Notify::new());
        let rung = bell.clone();
        start("ready", async move { rung.notified().await }).await;
        bell.notify_all();
        thread::sleep(millis(80)); // this poll holds the thread
        let dump = inspect::dump();
        for (kind, words) in [
            (
                "lost waker",
                ", waits in `a wait without a waker`, and no waker exists: ",
            ),
            ("starved task", ", has been in the queue for "),
        ] {
            let text = found(&dump, kind)[0].to_string();
            assert!(text.contains(words), "{text}");
        }
    });
}

#[test]
fn a_task_whose_waker_was_dropped_without_a_wake_is_found() {
    explained(async {
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let place = kept.clone();
        start(
            "kept",
            poll_fn(move |cx| {
                place.replace(Some(cx.waker().clone()));
                Poll::Pending
            }),
        )
        .await;
        assert_none(&inspect::dump(), "lost waker");
        kept.replace(None);
        assert_found(&inspect::dump(), "lost waker", &["kept"]);
    });
}

#[test]
fn a_task_that_something_can_wake_is_not_lost() {
    explained(async {
        time::pause();
        let (mut stream, peer) = tcp_with_std().await;
        start("reads", async move { drop(stream.read(&mut [0; 8]).await) }).await;
        start("sleeps", sleep(Duration::from_secs(9))).await;
        let other = spawn(sleep(Duration::from_secs(9)));
        start("joins", async move { other.await.unwrap() }).await;
        let bell = Rc::new(Notify::new());
        let rung = bell.clone();
        start("waits", async move { rung.notified().await }).await;
        let (go, stop) = mpsc::channel::<()>();
        let job = spawn_blocking(move || _ = stop.recv());
        start("job", async move { job.await.unwrap() }).await;
        // Woken, and not polled yet.
        start("queued", yield_now()).await;
        Builder::new().name("new").spawn(pending::<()>()).detach();
        assert_none(&inspect::dump(), "lost waker");
        drop((peer, go, bell));
    });
}

#[test]
fn no_dump_of_another_thread_takes_the_begin_of_a_poll_for_a_lost_waker() {
    explained(async {
        let dumper = inspect::dumper().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let reads = is_over.clone();
        let reader = thread::spawn(move || {
            while !reads.load(Ordering::Relaxed) {
                assert_none(&dumper.dump(), "lost waker");
            }
        });
        let bell = Rc::new(Notify::new());
        let rung = bell.clone();
        let listens = async move {
            loop {
                rung.notified().await;
            }
        };
        start("listens", listens).await;
        let began = std::time::Instant::now();
        while began.elapsed() < millis(300) && !reader.is_finished() {
            bell.notify_all();
            yield_now().await;
        }
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
}

#[test]
fn a_future_of_block_on_that_has_panicked_is_no_task_any_more() {
    let settings = Explain::default();
    let runtime = Runtime::builder().explain(settings).build().unwrap();
    let dumper = runtime.block_on(async { inspect::dumper() }).unwrap();
    let panics = AssertUnwindSafe(|| runtime.block_on(async { panic!("on purpose") }));
    assert!(catch_unwind(panics).is_err());
    let dump = dumper.dump();
    assert!(dump.tasks() == 0 && dump.findings().is_empty(), "{dump}");
}

/// Wakes its task in each poll, for this many polls, and then waits with a waker in other hands.
async fn spin(polls: u32) {
    let mut left = polls;
    let kept = Rc::new(Cell::new(None));
    poll_fn(move |cx| {
        kept.set(Some(cx.waker().clone()));
        left = left.saturating_sub(1);
        if left > 0 {
            cx.waker().wake_by_ref();
        }
        if left == 0 && polls == u32::MAX {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[test]
fn a_task_that_wakes_itself_in_each_poll_is_found() {
    explained(async {
        start("spins", spin(u32::MAX)).await;
        start("spins for a while", spin(500)).await;
        start("yields", async {
            loop {
                yield_now().await;
            }
        })
        .await;
        start("works", async {
            loop {
                poll_fn(|cx| budget::poll_spend(cx, 1)).await;
            }
        })
        .await;
        for _ in 0..2_000 {
            yield_now().await;
        }
        assert_found(&inspect::dump(), "self-wake storm", &["spins"]);
    });
}

#[test]
fn a_poll_that_holds_the_thread_is_found_while_it_does_and_later() {
    let settings = || Explain::default().poll_max(millis(40));
    let Some(output) = in_child(|| {
        explained_with(settings(), async {
            let dumper = inspect::dumper().unwrap();
            let work = named("resize", async move {
                let before = dumper.dump();
                let other = thread::spawn(move || {
                    thread::sleep(millis(120));
                    dumper.dump()
                });
                let dump = other.join().unwrap(); // holds the thread
                (before, dump)
            });
            let task = Builder::new().name("holder").spawn(work);
            let (before, dump) = task.await.unwrap();
            assert_none(&before, "long poll");
            assert_eq!(found(&dump, "long poll").len(), 1, "{dump}");
            let text = found(&dump, "long poll")[0].text().to_owned();
            assert!(
                text.contains("`holder`") && text.contains("has held the thread for"),
                "{text}"
            );
            assert!(
                text.contains("in `resize` of tests/runtime/explain/findings.rs:"),
                "{text}"
            );
            // A shorter poll is not reported, and the long one is remembered.
            start("short", async { thread::sleep(millis(2)) }).await;
            let later = inspect::dump();
            assert_eq!(found(&later, "long poll").len(), 1, "{later}");
            assert!(
                found(&later, "long poll")[0]
                    .text()
                    .contains(" held the thread for "),
                "{later}"
            );
        });
    }) else {
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{errors}{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let reports = errors
        .lines()
        .filter(|line| line.contains("held the thread"))
        .count();
    assert_eq!(reports, 1, "{errors}");
}

#[test]
fn a_task_that_is_ready_for_long_and_not_polled_is_found() {
    explained_with(Explain::default().poll_max(millis(30)), async {
        let bell = Rc::new(Notify::new());
        let rung = bell.clone();
        start("ready", async move {
            loop {
                rung.notified().await;
            }
        })
        .await;
        bell.notify_all();
        assert_none(&inspect::dump(), "starved task");
        thread::sleep(millis(80)); // this poll holds the thread
        assert_found(&inspect::dump(), "starved task", &["ready"]);
        yield_now().await;
        yield_now().await;
        assert_none(&inspect::dump(), "starved task");
    });
}

#[test]
fn two_tasks_that_wait_for_the_locks_of_each_other_are_found() {
    explained(async {
        let locks = Rc::new((Mutex::new(()), Mutex::new(())));
        let (first, second) = (locks.clone(), locks.clone());
        start("first", async move {
            let _kept = first.0.lock().await;
            yield_now().await;
            let _other = first.1.lock().await;
        })
        .await;
        let _ = &second;
        let kept = locks.1.try_lock();
        assert!(kept.is_none() || kept.is_some());
        drop(kept);
        start("innocent", async move { _ = second.0.lock().await }).await;
        yield_now().await;
        assert_none(&inspect::dump(), "wait cycle");
    });
    explained(async {
        let locks = Rc::new((Mutex::new(()), Mutex::new(())));
        let (first, second, third) = (locks.clone(), locks.clone(), locks.clone());
        let cross = Rc::new(Notify::new());
        let crossed = cross.clone();
        start("first", async move {
            let _kept = first.0.lock().await;
            crossed.notified().await;
            let _other = first.1.lock().await;
        })
        .await;
        start("second", async move {
            let _kept = second.1.lock().await;
            let _other = second.0.lock().await;
        })
        .await;
        start("behind", async move { _ = third.0.lock().await }).await;
        // The first task waits for the bell, so it is free.
        assert_none(&inspect::dump(), "wait cycle");
        cross.notify_one();
        yield_now().await;
        yield_now().await;
        let dump = inspect::dump();
        assert_found(&dump, "wait cycle", &["first", "second"]);
        let text = found(&dump, "wait cycle")[0].text();
        assert!(
            text.contains("waits for a lock at tests/runtime/explain/findings.rs:"),
            "{text}"
        );
    });
}

#[test]
fn a_task_that_locks_twice_is_found_and_one_with_a_timeout_is_not() {
    explained(async {
        let lock = Rc::new(Mutex::new(()));
        start("twice", {
            let lock = lock.clone();
            async move {
                let _kept = lock.lock().await;
                let _again = lock.lock().await;
            }
        })
        .await;
        assert_found(&inspect::dump(), "wait cycle", &["twice"]);
    });
    explained(async {
        let lock = Rc::new(Mutex::new(()));
        start("twice", {
            let lock = lock.clone();
            async move {
                let _kept = lock.lock().await;
                let _again = timeout(Duration::from_secs(60), lock.lock()).await;
            }
        })
        .await;
        start("behind", async move { _ = lock.lock().await }).await;
        assert_none(&inspect::dump(), "wait cycle");
    });
}

#[test]
fn tasks_that_wait_for_the_ends_of_each_other_are_found() {
    explained(async {
        let handles: Rc<RefCell<Vec<JoinHandle<()>>>> = Rc::default();
        for name in ["first", "second"] {
            let handles_of_task = handles.clone();
            let task = async move {
                yield_now().await;
                let other = handles_of_task.borrow_mut().remove(0);
                _ = other.await;
            };
            let handle = Builder::new().name(name).spawn(task);
            handles.borrow_mut().insert(0, handle);
        }
        // A chain of joins that ends at a sleep is no cycle.
        let end = spawn(sleep(Duration::from_secs(60)));
        start("innocent", async move { end.await.unwrap() }).await;
        yield_now().await;
        yield_now().await;
        assert_found(&inspect::dump(), "wait cycle", &["first", "second"]);
    });
}

#[test]
fn tasks_that_wait_for_room_in_the_channels_of_each_other_are_found() {
    for is_planted in [true, false] {
        explained(async {
            time::pause();
            let (to_first, mut of_first) = channel(1);
            let (to_second, mut of_second) = channel(1);
            start("first", async move {
                // Each task uses its receiver once, and so has it.
                () = race(async { _ = of_first.recv().await }, sleep(millis(1))).await;
                for _ in 0..2 {
                    to_second.send(1).await.unwrap();
                }
                pending::<()>().await;
            })
            .await;
            start("second", async move {
                () = race(async { _ = of_second.recv().await }, sleep(millis(1))).await;
                if !is_planted {
                    while of_second.recv().await.is_some() {}
                }
                for _ in 0..3 {
                    to_first.send(1).await.unwrap();
                }
                pending::<()>().await;
            })
            .await;
            time::advance(millis(5)).await;
            let dump = inspect::dump();
            if is_planted {
                assert_found(&dump, "wait cycle", &["first", "second"]);
                let text = found(&dump, "wait cycle")[0].text();
                assert!(text.contains("room in a channel"), "{text}");
            } else {
                assert_none(&dump, "wait cycle");
            }
        });
    }
}

#[test]
fn tasks_that_wait_for_messages_of_each_other_are_found() {
    for is_planted in [true, false] {
        explained(async {
            let (to_first, mut of_first) = channel(1);
            let (to_second, mut of_second) = channel(1);
            // A sender that no task has used yet may be anywhere.
            let third = (!is_planted).then(|| to_first.clone());
            start("first", async move {
                to_second.send(1).await.unwrap();
                while of_first.recv().await.is_some() {}
                drop(to_second);
            })
            .await;
            start("second", async move {
                to_first.send(1).await.unwrap();
                while of_second.recv().await.is_some() {}
                drop(to_first);
            })
            .await;
            yield_now().await;
            let dump = inspect::dump();
            if is_planted {
                assert_found(&dump, "wait cycle", &["first", "second"]);
            } else {
                assert_none(&dump, "wait cycle");
            }
            drop(third);
        });
    }
}

#[test]
fn a_thing_that_may_have_moved_to_another_task_is_no_part_of_a_cycle() {
    // A sender that the task has used, and has given to a task of its own.
    explained(async {
        start("parent", async {
            let (sender, mut receiver) = channel(4);
            sender.send(1).await.unwrap();
            spawn(async move {
                sleep(Duration::from_secs(60)).await;
                drop(sender);
            })
            .detach();
            while receiver.recv().await.is_some() {}
        })
        .await;
        assert_none(&inspect::dump(), "wait cycle");
    });
    // A receiver, in the same way.
    explained(async {
        start("parent", async {
            let (sender, mut receiver) = channel(1);
            sender.send(1).await.unwrap();
            receiver.recv().await.unwrap();
            spawn(async move {
                sleep(Duration::from_secs(60)).await;
                drop(receiver);
            })
            .detach();
            while sender.send(2).await.is_ok() {}
        })
        .await;
        assert_none(&inspect::dump(), "wait cycle");
    });
    // A permit that can move, beside one that cannot.
    explained(async {
        start("parent", async {
            let places = Rc::new(Semaphore::new(2));
            let moved = places.clone().acquire_owned().await;
            spawn(async move {
                sleep(Duration::from_secs(60)).await;
                drop(moved);
            })
            .detach();
            let _own = places.acquire().await;
            let _next = places.acquire().await;
        })
        .await;
        assert_none(&inspect::dump(), "wait cycle");
    });
    // One that has not moved, although the task has spawned others before.
    explained(async {
        start("parent", async {
            let (sender, mut receiver) = channel(4);
            sender.send(1).await.unwrap();
            spawn(sleep(Duration::from_secs(60))).detach();
            sender.send(2).await.unwrap();
            while receiver.recv().await.is_some() {}
        })
        .await;
        assert_found(&inspect::dump(), "wait cycle", &["parent"]);
    });
}

#[test]
fn a_part_of_the_program_that_is_called_shutdown_is_no_server() {
    explained(async {
        start("main", named("shutdown", sleep(Duration::from_secs(60)))).await;
        start("link", named("connection", sleep(Duration::from_secs(60)))).await;
        assert_none(&inspect::dump(), "shutdown waits");
    });
}

#[test]
fn a_runtime_that_ends_with_ten_thousand_tasks_names_a_few() {
    within_deadline(|| {
        let settings = Explain::default();
        let runtime = Runtime::builder().explain(settings).build().unwrap();
        let dump: Rc<RefCell<Option<Dump>>> = Rc::default();
        let dumper = runtime.block_on(async { inspect::dumper() }).unwrap();
        let place = dump.clone();
        let guard = OnDrop(move || _ = place.borrow_mut().get_or_insert_with(|| dumper.dump()));
        runtime.block_on(async {
            spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
            .detach();
            for number in 0..10_000 {
                let task = Builder::new().name(format!("task {number}"));
                task.spawn(pending::<()>()).detach();
            }
            yield_now().await;
        });
        drop(runtime);
        let dump = dump.take().unwrap();
        let found = found(&dump, "shutdown waits");
        let text = found[0].text();
        assert!(text.len() < 2_000, "{}", text.len());
        assert!(text.contains(" more task"), "{text}");
    });
}

#[test]
fn a_runtime_that_ends_has_no_task_that_is_lost_or_starved() {
    within_deadline(|| {
        let settings = Explain::default().poll_max(millis(20));
        let runtime = Runtime::builder().explain(settings).build().unwrap();
        let dumper = runtime.block_on(async { inspect::dumper() }).unwrap();
        let dump: Rc<RefCell<Option<Dump>>> = Rc::default();
        let place = dump.clone();
        let guard = OnDrop(move || {
            // The watchdog sees the queue twice.
            thread::sleep(millis(150));
            *place.borrow_mut() = Some(dumper.dump());
        });
        runtime.block_on(async move {
            // The sleep drops before the guard, so no waker is left when the dump is made.
            start("drops", async move {
                let _guard = guard;
                sleep(Duration::from_secs(60)).await;
            })
            .await;
            Builder::new().name("queued").spawn(async {}).detach();
        });
        drop(runtime);
        let dump = dump.take().unwrap();
        let kinds: Vec<_> = dump.findings().iter().map(Finding::kind).collect();
        assert_eq!(kinds, ["shutdown waits"], "{dump}");
        let text = dump.findings()[0].text();
        assert!(text.contains("`drops`"), "{dump}");
    });
}

#[test]
fn a_long_poll_that_is_over_is_not_that_of_a_later_poll() {
    explained_with(Explain::default().poll_max(millis(20)), async {
        thread::sleep(millis(80));
        yield_now().await;
        let dump = inspect::dump();
        let text = found(&dump, "long poll")[0].text();
        assert!(text.contains("held the thread for"), "{dump}");
    });
}

#[test]
fn a_process_that_was_stopped_has_no_long_poll() {
    alone(|| {
        explained_with(Explain::default().poll_max(millis(700)), async {
            let process = std::process::id();
            let script =
                format!("sleep 0.1; kill -STOP {process}; sleep 1.5; kill -CONT {process}");
            let mut stopper = std::process::Command::new("sh")
                .args(["-c", &script])
                .spawn()
                .unwrap();
            let begin = std::time::Instant::now();
            while begin.elapsed() < millis(1_700) {
                thread::sleep(millis(5)); // the poll, most of which the process does not run
            }
            stopper.wait().unwrap();
            thread::sleep(millis(100));
            let dump = inspect::dump();
            assert_none(&dump, "long poll");
            thread::sleep(millis(800));
            assert_eq!(found(&inspect::dump(), "long poll").len(), 1);
        });
    });
}

#[test]
fn a_place_whose_tasks_never_end_is_found() {
    explained(async {
        time::pause();
        // Tasks that end make room for others.
        for round in 0..20 {
            for _ in 0..100 {
                spawn(sleep(millis(round % 3))).detach();
            }
            time::advance(millis(3)).await;
        }
        assert_none(&inspect::dump(), "growth");
        for _ in 0..600 {
            spawn(sleep(Duration::from_secs(3_600))).detach(); // the leak
        }
        let dump = inspect::dump();
        let growth = found(&dump, "growth");
        assert_eq!(growth.len(), 1, "{dump}");
        let line = include_str!("findings.rs").lines();
        let line = line
            .take_while(|line| !line.contains("// the leak"))
            .count()
            + 1;
        assert_eq!(growth[0].place().unwrap().line() as usize, line);
        assert!(growth[0].text().starts_with("600 tasks"), "{dump}");
        // The same tasks later: their number stays.
        time::advance(Duration::from_secs(120)).await;
        assert_none(&inspect::dump(), "growth");
    });
}

#[test]
fn a_shutdown_that_waits_for_a_job_names_the_job() {
    within_deadline(|| {
        let runtime = Runtime::builder()
            .explain(Explain::default())
            .build()
            .unwrap();
        let dumper = runtime.block_on(async { inspect::dumper() }).unwrap();
        let (go, stop) = mpsc::channel::<()>();
        runtime.block_on(async move {
            Builder::new()
                .name("export")
                .spawn(async move {
                    spawn_blocking(move || _ = stop.recv()).await.unwrap(); // the line of the job
                })
                .detach();
            yield_now().await;
            thread::sleep(millis(20)); // the job begins
        });
        assert_none(&dumper.dump(), "shutdown waits");
        let watcher = thread::spawn(move || {
            thread::sleep(millis(50));
            let dump = dumper.dump();
            drop(go);
            dump
        });
        drop(runtime);
        let dump = watcher.join().unwrap();
        let found = found(&dump, "shutdown waits");
        assert_eq!(found.len(), 1, "{dump}");
        assert!(
            found[0]
                .text()
                .contains("a blocking job of tests/runtime/explain/findings.rs:"),
            "{dump}"
        );
    });
}

#[test]
fn a_signal_writes_a_dump_while_a_poll_holds_the_thread() {
    let settings = || {
        Explain::default()
            .poll_max(Duration::from_secs(60))
            .dump_on_sigusr1(true)
    };
    let Some(output) = in_child(|| {
        explained_with(settings(), async {
            start("quiet", sleep(Duration::from_secs(60))).await;
            let hold = async {
                let process = rustix::process::getpid();
                rustix::process::kill_process(process, rustix::process::Signal::USR1).unwrap();
                thread::sleep(millis(400));
            };
            Builder::new().name("holder").spawn(hold).await.unwrap();
        });
    }) else {
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("`holder` has been running for "),
        "{errors}"
    );
    assert!(errors.contains("`quiet`, spawned at "), "{errors}");
}
