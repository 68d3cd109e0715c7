//! Events: each kind, with its exact cause.

use std::future::{pending, poll_fn};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use std::{net, thread};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use waterwheel::runtime::inspect::{
    self, CancelCause, EventKind, Recorder, SyscallOp, SyscallResult, TaskOutcome, Trace, WakeCause,
};
use waterwheel::runtime::net::TcpListener;
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::time::{self, sleep};
use waterwheel::runtime::{
    Notify, Runtime, ThreadPool, block_on, race, spawn, spawn_blocking, spawn_detached, task,
    yield_now,
};

/// A runtime that records, and its recorder.
pub(crate) fn recorded() -> (Runtime, Recorder) {
    let options = inspect::Options::default();
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
    (runtime, recorder)
}

fn causes(trace: &Trace, task: task::Id) -> Vec<WakeCause> {
    trace.wakes_of(task).map(|(_, cause)| cause).collect()
}

fn has(trace: &Trace, is_it: impl Fn(&EventKind) -> bool) -> bool {
    trace.events().iter().any(|event| is_it(&event.kind))
}

fn outcome(trace: &Trace, of: task::Id) -> Option<TaskOutcome> {
    trace.events().iter().find_map(|event| match event.kind {
        EventKind::End { task, outcome } if task == of => Some(outcome),
        _ => None,
    })
}

#[test]
fn a_spawn_has_its_parent_its_place_its_name_and_its_size() {
    let (runtime, recorder) = recorded();
    let (outer, inner) = runtime.block_on(async {
        let outer = spawn(async {
            let bytes = [1_u8; 300];
            let inner = task::Builder::new().name("inner").spawn(async move {
                yield_now().await;
                assert_eq!(bytes.len(), 300);
            });
            let id = inner.id();
            inner.await.unwrap();
            id
        });
        (outer.id(), outer.await.unwrap())
    });
    let trace = recorder.trace();
    let [root, outer_info, inner_info] = trace.tasks() else {
        panic!("{:#?}", trace.tasks());
    };
    assert!(root.id.is_root() && root.place.unwrap().file().ends_with("inspect.rs"));
    assert_eq!(outer_info.id, outer);
    assert_eq!(outer_info.parent, Some(root.id));
    assert_eq!(inner_info.id, inner);
    assert_eq!(inner_info.parent, Some(outer));
    assert_eq!(inner_info.name.as_deref(), Some("inner"));
    assert!(inner_info.place.unwrap().file().ends_with("inspect.rs"));
    assert!(inner_info.future_bytes >= 300 && outer_info.future_bytes > 0);
    assert!(has(&trace, |kind| *kind
        == EventKind::Spawn {
            task: inner,
            parent: Some(outer)
        }));
}

#[test]
fn each_wake_has_its_exact_cause() {
    let (runtime, recorder) = recorded();
    runtime.block_on(async {
        let notify = std::rc::Rc::new(Notify::new());
        let waits = spawn({
            let notify = notify.clone();
            async move { notify.notified().await }
        });
        let wakes = spawn(async move {
            yield_now().await;
            notify.notify_all();
        });
        let sleeps = spawn(sleep(Duration::from_millis(1)));
        let job = spawn(async {
            spawn_blocking(|| thread::sleep(Duration::from_millis(5)))
                .await
                .unwrap();
        });
        let ids = [waits.id(), wakes.id(), sleeps.id(), job.id()];
        let joins = spawn(async move {
            waits.await.unwrap();
        });
        let joins_id = joins.id();
        joins.await.unwrap();
        wakes.await.unwrap();
        sleeps.await.unwrap();
        job.await.unwrap();
        let trace = recorder.trace();
        assert_eq!(causes(&trace, ids[0]), [WakeCause::Task(ids[1])]);
        assert_eq!(causes(&trace, ids[1]), [WakeCause::Myself]);
        assert_eq!(causes(&trace, ids[2]), [WakeCause::Timer]);
        assert_eq!(causes(&trace, ids[3]), [WakeCause::Job(1)]);
        assert_eq!(causes(&trace, joins_id), [WakeCause::Join(ids[0])]);
        let root = trace.tasks()[0].id;
        assert_eq!(causes(&trace, root)[0], WakeCause::Other); // by the first `block_on`
    });
}

#[test]
fn a_wake_by_another_thread_is_one() {
    let (runtime, recorder) = recorded();
    let notified = runtime.block_on(async {
        let mut began = false;
        let task = spawn(poll_fn(move |cx| {
            if began {
                return Poll::Ready(());
            }
            began = true;
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
        let id = task.id();
        task.await.unwrap();
        id
    });
    assert_eq!(causes(&recorder.trace(), notified), [WakeCause::Thread]);
}

#[test]
fn a_wait_for_a_socket_has_its_events_its_calls_and_its_wake() {
    let (runtime, recorder) = recorded();
    let (task, fd) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = net::TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let fd = stream.as_fd().as_raw_fd();
        let task = spawn(async move {
            let mut bytes = [0; 100];
            let read = stream.read(&mut bytes).await.unwrap();
            stream.write_all(&bytes[..read]).await.unwrap();
        });
        let id = task.id();
        sleep(Duration::from_millis(1)).await;
        peer.write_all(b"abc").unwrap();
        task.await.unwrap();
        (id, fd)
    });
    let trace = recorder.trace();
    let of_task: Vec<_> = trace
        .events()
        .iter()
        .map(|event| event.kind)
        .filter(|kind| kind.task() == Some(task) || matches!(kind, EventKind::IoReady { .. }))
        .collect();
    let call = |op, result| EventKind::Syscall {
        task: Some(task),
        op,
        fd: Some(fd),
        result,
    };
    let root = trace.tasks()[0].id;
    let writable = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::IoReady {
                readable: false,
                ..
            }
        )
    };
    let seen: Vec<_> = of_task.into_iter().filter(|kind| !writable(kind)).collect();
    let expected = [
        EventKind::Spawn {
            task,
            parent: Some(root),
        },
        EventKind::PollStart { task },
        call(SyscallOp::Read, SyscallResult::WouldBlock),
        EventKind::PollEnd { task, ready: false },
        EventKind::IoReady {
            fd: Some(fd),
            readable: true,
            writable: true,
            closed: false,
        },
        EventKind::Wake {
            task,
            cause: WakeCause::Io(Some(fd)),
        },
        EventKind::PollStart { task },
        call(SyscallOp::Read, SyscallResult::Number(3)),
        call(SyscallOp::Write, SyscallResult::Number(3)),
        // The drop of the socket wakes its reader, which is this task.
        EventKind::Wake {
            task,
            cause: WakeCause::Myself,
        },
        EventKind::End {
            task,
            outcome: TaskOutcome::Value,
        },
        EventKind::PollEnd { task, ready: true },
    ];
    assert_eq!(seen, expected, "{seen:#?}");
    assert!(has(&trace, |kind| matches!(
        kind,
        EventKind::Syscall {
            op: SyscallOp::Accept,
            result: SyscallResult::Number(0),
            ..
        }
    )));
}

#[test]
fn each_end_of_a_task_has_its_outcome_and_each_cancel_its_cause_and_its_place() {
    let (runtime, recorder) = recorded();
    let ids = runtime.block_on(async {
        let value = spawn(async { 1 });
        let panics = spawn(async { panic!("planned") });
        let aborted = spawn(pending::<()>());
        let detached_panics = spawn(async {
            spawn_detached(async { panic!("planned") });
        });
        let ids = [value.id(), panics.id(), aborted.id()];
        yield_now().await;
        aborted.abort();
        let of_set = {
            let mut set = JoinSet::new();
            let of_set = set.spawn(pending::<()>()).id();
            yield_now().await;
            of_set
        };
        let raced = spawn(race(pending::<()>(), yield_now()));
        let timed = spawn(async {
            let late = time::timeout(Duration::from_millis(1), pending::<()>());
            assert!(late.await.is_err());
        });
        let more = [of_set, raced.id(), timed.id()];
        raced.await.unwrap();
        timed.await.unwrap();
        assert!(aborted.await.is_err() && panics.await.is_err());
        detached_panics.await.unwrap();
        [ids[0], ids[1], ids[2], more[0], more[1], more[2]]
    });
    let left = runtime.spawn(pending::<()>());
    let left_id = left.id();
    left.detach();
    runtime.poll();
    drop(runtime);
    let trace = recorder.trace();
    let [value, panics, aborted, of_set, raced, timed] = ids;
    assert_eq!(outcome(&trace, value), Some(TaskOutcome::Value));
    assert_eq!(outcome(&trace, panics), Some(TaskOutcome::Panic));
    let cancelled = [
        (aborted, CancelCause::Abort),
        (of_set, CancelCause::Drop),
        (left_id, CancelCause::Shutdown),
    ];
    for (task, cause) in cancelled {
        assert_eq!(
            outcome(&trace, task),
            Some(TaskOutcome::Cancelled),
            "{cause}"
        );
        assert_eq!(cancels(&trace, task), [cause]);
    }
    for (task, cause) in [
        (raced, CancelCause::RaceLost),
        (timed, CancelCause::Timeout),
    ] {
        assert_eq!(outcome(&trace, task), Some(TaskOutcome::Value), "{cause}");
        assert_eq!(cancels(&trace, task), [cause]);
    }
    let panicked = trace.events().iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::End {
                outcome: TaskOutcome::Panic,
                ..
            }
        )
    });
    assert_eq!(panicked.count(), 2, "the detached one, too");
    for cause in [
        CancelCause::Abort,
        CancelCause::RaceLost,
        CancelCause::Timeout,
    ] {
        let place = trace.events().iter().find_map(|event| match event.kind {
            EventKind::Cancel {
                cause: found,
                place,
                ..
            } if found == cause => place,
            _ => None,
        });
        assert!(
            place.unwrap().file().ends_with("inspect.rs"),
            "{cause}: {place:?}"
        );
    }
}

fn cancels(trace: &Trace, of: task::Id) -> Vec<CancelCause> {
    let of_task = |event: &inspect::Event| match event.kind {
        EventKind::Cancel { task, cause, .. } if task == of => Some(cause),
        _ => None,
    };
    trace.events().iter().filter_map(of_task).collect()
}

#[test]
fn a_wait_a_timer_and_a_job_have_their_events_in_their_order() {
    let (runtime, recorder) = recorded();
    runtime.block_on(async {
        sleep(Duration::from_millis(2)).await;
        spawn_blocking(|| thread::sleep(Duration::from_millis(2)))
            .await
            .unwrap();
        yield_now().await;
    });
    // The end waits for the threads of the pool.
    drop(runtime);
    let trace = recorder.trace();
    let position = |is_it: &dyn Fn(&EventKind) -> bool| {
        let found = trace.events().iter().position(|event| is_it(&event.kind));
        found.unwrap_or_else(|| panic!("{:#?}", trace.events()))
    };
    let park = position(
        &|kind| matches!(kind, EventKind::Park { timeout: Some(timeout) } if *timeout <= Duration::from_millis(2)),
    );
    let unpark = position(&|kind| matches!(kind, EventKind::Unpark { events: 0 }));
    let timer =
        position(&|kind| matches!(kind, EventKind::Timer { lag } if *lag < Duration::from_secs(1)));
    let woken = position(&|kind| {
        matches!(
            kind,
            EventKind::Wake {
                cause: WakeCause::Timer,
                ..
            }
        )
    });
    assert!(park < unpark && unpark < timer && timer + 1 == woken);
    let job = position(&|kind| matches!(kind, EventKind::JobStart { job: 1 }));
    let end = position(&|kind| matches!(kind, EventKind::JobEnd { job: 1 }));
    let at = |position: usize| trace.events()[position].at;
    assert!(job < end && at(end) >= at(job) + Duration::from_millis(2));
    assert!(has(
        &trace,
        |kind| matches!(kind, EventKind::Wake { task, cause: WakeCause::Job(1) } if task.is_root())
    ));
}

#[test]
fn a_full_ring_loses_its_oldest_events_and_counts_them() {
    let options = inspect::Options::default().events(64);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    let mut events = runtime.block_on(async { inspect::recorder().unwrap().subscribe() });
    let trace = runtime.block_on(async {
        let recorder = inspect::recorder().unwrap();
        let old = task::Builder::new().name("old").spawn(pending::<()>());
        let old_id = old.id();
        old.detach();
        for _ in 0..100 {
            yield_now().await;
        }
        let trace = recorder.trace();
        assert_eq!(
            trace.task(old_id).map(|task| task.id),
            None,
            "no event names it"
        );
        spawn(async move {}).await.unwrap();
        recorder.trace()
    });
    assert!(trace.events().len() <= 64 && trace.overflow() > 100);
    let first = trace.events()[0].seq;
    assert!(first >= trace.overflow(), "{first} {}", trace.overflow());
    let read = events.by_ref().count();
    assert!(
        read <= 64 && events.missed() > 100,
        "{read} {}",
        events.missed()
    );
    assert_eq!(events.next(), None);
}

#[test]
fn a_task_whose_spawn_was_overwritten_keeps_its_name_and_its_place() {
    let options = inspect::Options::default().events(64);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    runtime.block_on(async {
        let notify = std::rc::Rc::new(Notify::new());
        let old = task::Builder::new().name("old").spawn({
            let notify = notify.clone();
            async move { notify.notified().await }
        });
        for _ in 0..100 {
            yield_now().await;
        }
        notify.notify_all();
        let id = old.id();
        old.await.unwrap();
        let trace = inspect::recorder().unwrap().trace();
        let old = trace.task(id).unwrap();
        assert_eq!(old.name.as_deref(), Some("old"));
        assert!(old.place.unwrap().file().ends_with("inspect.rs") && old.parent.unwrap().is_root());
    });
}

#[test]
fn a_program_that_gives_each_task_a_name_of_its_own_keeps_those_of_the_newest_and_the_living() {
    let options = inspect::Options::default().events(64);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    runtime.block_on(async {
        let old = task::Builder::new()
            .name("old")
            .spawn(std::future::pending::<()>());
        let mut newest = None;
        for number in 0..20_000 {
            let name = format!("request {number}");
            let task = task::Builder::new().name(name).spawn(async {});
            newest = Some(task.id());
            task.await.unwrap();
        }
        old.abort();
        let trace = inspect::recorder().unwrap().trace();
        let name = |id| trace.task(id).unwrap().name.clone();
        assert_eq!(name(newest.unwrap()).as_deref(), Some("request 19999"));
        assert_eq!(name(old.id()).as_deref(), Some("old"));
        let long = task::Builder::new()
            .name("long ".repeat(100_000))
            .spawn(async {});
        let id = long.id();
        long.await.unwrap();
        let trace = inspect::recorder().unwrap().trace();
        let name = trace.task(id).unwrap().name.clone().unwrap();
        assert!(
            name.starts_with("long long") && name.len() < 300,
            "{}",
            name.len()
        );
    });
}

#[test]
fn the_time_in_the_queue_is_from_the_wake_to_the_poll() {
    let (runtime, recorder) = recorded();
    let second = runtime.block_on(async {
        let first = spawn(async { thread::sleep(Duration::from_millis(20)) });
        let second = spawn(async {});
        let id = second.id();
        first.await.unwrap();
        second.await.unwrap();
        id
    });
    let trace = recorder.trace();
    let waited = trace.polls_of(second).next().unwrap().queued.unwrap();
    assert!(waited >= Duration::from_millis(20), "{waited:?}");
    assert!(trace.longest_queued().unwrap().queued.unwrap() >= waited);
    assert!(trace.longest_poll().unwrap().duration >= Duration::from_millis(20));
    let text =
        std::panic::catch_unwind(|| trace.assert_polls_shorter_than(Duration::from_millis(10)));
    let text = *text.unwrap_err().downcast::<String>().unwrap();
    assert!(
        text.contains("inspect.rs") && text.contains("limit is 10ms"),
        "{text}"
    );
    let text = std::panic::catch_unwind(|| trace.assert_wakes_at_most(trace.tasks()[0].id, 0));
    assert!(
        text.unwrap_err()
            .downcast::<String>()
            .unwrap()
            .contains("block_on")
    );
}

#[test]
fn the_json_of_a_trace_can_be_read() {
    let (runtime, recorder) = recorded();
    runtime.block_on(async {
        task::Builder::new()
            .name("a \"name\"\n")
            .spawn(sleep(Duration::from_millis(1)))
            .await
            .unwrap();
        spawn_blocking(|| ()).await.unwrap();
    });
    let trace = recorder.trace();
    let json: serde_json::Value = serde_json::from_str(&trace.to_json()).unwrap();
    assert_eq!(json["format"], "waterwheel-trace");
    assert_eq!(json["clock"], "running");
    assert_eq!(
        json["events"].as_array().unwrap().len(),
        trace.events().len()
    );
    assert_eq!(json["tasks"][0]["id"], "root");
    let named = &json["tasks"][1];
    assert_eq!(named["name"], "a \"name\"\n");
    assert_eq!(named["parent"], "root");
    assert_eq!(
        named["id"].as_str().unwrap(),
        trace.tasks()[1].id.to_string()
    );
    let known = json["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["id"].clone());
    let known: Vec<_> = known.collect();
    for event in json["events"].as_array().unwrap() {
        assert!(event["seq"].is_u64() && event["at"].is_u64() && event["kind"].is_string());
        for id in ["task", "parent", "by"] {
            let id = &event[id];
            assert!(id.is_null() || known.contains(id), "{event}");
        }
    }
}

#[test]
fn two_runtimes_on_two_threads_have_rings_of_their_own() {
    let threads: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                let (runtime, recorder) = recorded();
                for _ in 0..100 {
                    runtime.block_on(async { spawn(yield_now()).await.unwrap() });
                }
                recorder.trace()
            })
        })
        .collect();
    let traces: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let number = |trace: &Trace| {
        trace.tasks()[0]
            .id
            .to_string()
            .split('.')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_ne!(number(&traces[0]), number(&traces[1]));
    for trace in traces {
        let own = number(&trace) + ".";
        assert!(
            trace
                .tasks()
                .iter()
                .all(|task| task.id.to_string().starts_with(&own))
        );
        assert_eq!(trace.tasks().len(), 101);
    }
}

#[test]
fn a_runtime_inside_another_one_reports_to_its_own_ring() {
    let (outer, outer_recorder) = recorded();
    let (inner, inner_recorder) = recorded();
    let silent = Runtime::new().unwrap();
    let outer_task = outer.block_on(async move {
        let task = spawn(async move {
            let inner_task = inner.spawn(pending::<()>());
            silent.spawn(pending::<()>()).detach();
            let id = inner_task.id();
            inner_task.detach();
            drop((inner, silent)); // the task ends inside the inner runtime
            yield_now().await;
            id
        });
        (task.id(), task.await.unwrap())
    });
    let (outer_task, inner_task) = outer_task;
    let (outer, inner) = (outer_recorder.trace(), inner_recorder.trace());
    assert_eq!(outcome(&inner, inner_task), Some(TaskOutcome::Cancelled));
    assert_eq!(cancels(&inner, inner_task), [CancelCause::Shutdown]);
    assert!(outer.task(inner_task).is_none() && inner.task(outer_task).is_none());
    // The activity of the outer runtime goes on behind the inner one.
    assert_eq!(causes(&outer, outer_task), [WakeCause::Myself]);
}

#[test]
fn a_panic_of_the_root_ends_its_poll() {
    let (runtime, recorder) = recorded();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async { panic!("planned") });
    }));
    assert!(failed.is_err());
    runtime.block_on(async {});
    let trace = recorder.trace();
    let of_root = |kind: &EventKind| match kind {
        EventKind::PollStart { .. } => Some(1),
        EventKind::PollEnd { .. } => Some(-1),
        _ => None,
    };
    let steps: Vec<i32> = trace
        .events()
        .iter()
        .filter_map(|event| of_root(&event.kind))
        .collect();
    assert_eq!(steps, [1, -1, 1, -1, 1, -1]);
}

#[test]
fn a_reader_on_another_thread_sees_whole_events_in_their_order() {
    let options = inspect::Options::default().events(64);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
    let done = AtomicBool::new(false);
    let (read, missed) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut events = recorder.subscribe();
            let (mut read, mut last) = (0_u64, None);
            while !done.load(Ordering::Relaxed) {
                for event in events.by_ref() {
                    assert!(
                        last.is_none_or(|last| last < (event.seq, event.at)),
                        "{event:?} after {last:?}"
                    );
                    last = Some((event.seq, event.at));
                    let of_root = event.kind.task().is_none_or(task::Id::is_root);
                    assert!(of_root, "{event:?}");
                    read += 1;
                }
                assert!(recorder.trace().events().len() <= 64);
            }
            (read, events.missed())
        });
        for _ in 0..200 {
            runtime.block_on(async {
                for _ in 0..500 {
                    yield_now().await;
                }
            });
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(read > 0, "{missed} missed");
}

#[test]
fn a_copy_that_the_runtime_overtakes_has_no_hole() {
    let options = inspect::Options::default().events(64);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let trace = recorder.trace();
                        let seqs: Vec<_> = trace.events().iter().map(|event| event.seq).collect();
                        assert!(seqs.is_sorted_by(|one, next| one + 1 == *next), "{seqs:?}");
                        let first = seqs.first().map_or(trace.overflow(), |first| *first);
                        assert_eq!(trace.overflow(), first);
                    }
                })
            })
            .collect();
        runtime.block_on(async {
            for _ in 0..100_000 {
                yield_now().await;
            }
        });
        is_over.store(true, Ordering::Relaxed);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_library_can_record_why_it_drops_a_future() {
    let (runtime, recorder) = recorded();
    runtime.block_on(async { inspect::cancelled(CancelCause::ClientGone) });
    inspect::cancelled(CancelCause::ClientGone); // outside, no effect
    let trace = recorder.trace();
    let of_client = trace.events().iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::Cancel {
                cause: CancelCause::ClientGone,
                place: Some(_),
                ..
            }
        )
    });
    assert_eq!(of_client.count(), 1);
}

/// Returns the lines of the aborts of a task, each with its file.
fn aborts(trace: &Trace, of: task::Id) -> Vec<String> {
    let of_task = |event: &inspect::Event| match event.kind {
        EventKind::Cancel {
            task,
            cause: CancelCause::Abort,
            place,
        } if task == of => Some(place?.to_string()),
        _ => None,
    };
    trace.events().iter().filter_map(of_task).collect()
}

#[test]
fn an_abort_from_outside_has_its_event_and_its_place() {
    let (runtime, recorder) = recorded();
    let tasks: [_; 4] = std::array::from_fn(|_| runtime.spawn(pending::<()>()));
    let ids = [0, 1, 2, 3].map(|task: usize| tasks[task].id());
    runtime.poll();
    let begin = line!();
    tasks[0].abort(); // between two calls of the runtime
    tasks[1].abort_handle().abort();
    let on_another_thread = tasks[2].abort_handle();
    thread::spawn(move || on_another_thread.abort()) // on another thread
        .join()
        .unwrap();
    block_on(async { tasks[3].abort() }); // within another runtime
    tasks[0].abort(); // again, without an effect
    runtime.block_on(async {
        for task in tasks {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    });
    let trace = recorder.trace();
    for (task, line) in ids.into_iter().zip([1, 2, 4, 7]) {
        let place = format!("tests/runtime/inspect.rs:{}:", begin + line);
        let found = aborts(&trace, task);
        assert!(
            found.len() == 1 && found[0].starts_with(&place),
            "{place} {found:?}"
        );
        assert_eq!(outcome(&trace, task), Some(TaskOutcome::Cancelled));
    }
}

#[test]
fn a_job_of_a_thread_pool_has_its_events() {
    let (runtime, recorder) = recorded();
    let pool = ThreadPool::new(1);
    let task = runtime.block_on(async {
        pool.execute(|| panic!("planned")); // its end is an event, too
        let job = pool.spawn(|| thread::sleep(Duration::from_millis(2)));
        let task = spawn(async { job.await.unwrap() });
        let id = task.id();
        task.await.unwrap();
        id
    });
    drop(pool);
    pool_outside();
    let trace = recorder.trace();
    let jobs: Vec<_> = trace
        .events()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::JobStart { job } => Some((job, "start")),
            EventKind::JobEnd { job } => Some((job, "end")),
            _ => None,
        })
        .collect();
    assert_eq!(jobs, [(1, "start"), (1, "end"), (2, "start"), (2, "end")]);
    assert_eq!(causes(&trace, task), [WakeCause::Job(2)]);
}

/// A pool that no runtime uses reports to no runtime.
fn pool_outside() {
    let pool = ThreadPool::new(1);
    pool.execute(|| ());
}

#[test]
fn events_of_other_threads_stand_where_they_happened() {
    let (runtime, recorder) = recorded();
    runtime.block_on(async {
        let (runs, wait_until_it_runs) = std::sync::mpsc::channel();
        let job = spawn_blocking(move || runs.send(()).unwrap());
        wait_until_it_runs.recv().unwrap();
        // The job ends, and this thread writes events of its own before it collects those of the job.
        thread::sleep(Duration::from_millis(10));
        for _ in 0..3 {
            spawn(async {}).await.unwrap();
        }
        job.await.unwrap();
    });
    drop(runtime);
    let trace = recorder.trace();
    let times: Vec<_> = trace.events().iter().map(|event| event.at).collect();
    assert!(times.is_sorted(), "{times:?}");
    let position = |is_it: &dyn Fn(&EventKind) -> bool| {
        let found = trace.events().iter().position(|event| is_it(&event.kind));
        found.unwrap_or_else(|| panic!("{:#?}", trace.events()))
    };
    let start = position(&|kind| matches!(kind, EventKind::JobStart { .. }));
    let end = position(&|kind| matches!(kind, EventKind::JobEnd { .. }));
    let spawn = position(&|kind| matches!(kind, EventKind::Spawn { .. }));
    assert!(start < end && end < spawn);
}
