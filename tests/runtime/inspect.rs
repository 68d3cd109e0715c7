//! Events: each kind, with its exact cause.

use std::future::poll_fn;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd};
use std::task::Poll;
use std::time::Duration;
use std::{net, thread};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use waterwheel::runtime::inspect::{
    self, EventKind, Outcome, Recorder, SyscallOp, SyscallResult, Trace, WakeCause,
};
use waterwheel::runtime::net::TcpListener;
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{Notify, Runtime, spawn, spawn_blocking, task, yield_now};

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

fn outcome(trace: &Trace, of: task::Id) -> Option<Outcome> {
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
                .unwrap()
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
            outcome: Outcome::Value,
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
