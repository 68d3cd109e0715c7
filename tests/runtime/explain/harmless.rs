//! Claims about a program that is explained: it runs as without, and pays a bounded price.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Write as _;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use futures_lite::{AsyncRead, AsyncReadExt};
use waterwheel::runtime::inspect::{self, Explain, Options};
use waterwheel::runtime::sync::Notify;
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{Runtime, RuntimeBuilder, budget, join_all, spawn, yield_now};

use super::{explained, explained_with, secs, start};
use crate::support::process::alone;
use crate::support::runtime::{OnDrop, tcp_with_std};

#[test]
fn a_dump_polls_nothing() {
    explained(async {
        let polls: Rc<Cell<u32>> = Rc::default();
        let counted = polls.clone();
        start(
            "counted",
            poll_fn(move |cx| {
                counted.set(counted.get() + 1);
                _ = cx.waker().clone();
                Poll::Pending
            }),
        )
        .await;
        for _ in 0..10 {
            assert!(inspect::dump().tasks() == 2);
        }
        yield_now().await;
        assert_eq!(polls.get(), 1);
    });
}

/// Reads all in one poll of a task, tries five more times, and returns the budget that is left.
async fn budget_after_reads() -> u32 {
    let (mut stream, mut peer) = tcp_with_std().await;
    spawn(async move {
        peer.write_all(b"all").unwrap();
        stream.readable().await.unwrap();
        yield_now().await;
        let left = poll_fn(|cx| {
            let mut buffer = [0; 8];
            let read = Pin::new(&mut stream).poll_read(cx, &mut buffer);
            assert!(matches!(read, Poll::Ready(Ok(3))), "{read:?}");
            for _ in 0..5 {
                let read = Pin::new(&mut stream).poll_read(cx, &mut buffer);
                assert!(read.is_pending());
            }
            let spends = || budget::poll_spend(cx, 1).is_ready();
            let left = std::iter::repeat_with(spends).take_while(|left| *left);
            Poll::Ready(u32::try_from(left.count()).unwrap())
        });
        let left = left.await;
        drop(peer);
        left
    })
    .await
    .unwrap()
}

#[test]
fn a_runtime_that_is_watched_gives_a_task_the_same_budget() {
    let builders = [
        Runtime::builder(),
        Runtime::builder().explain(Explain::default()),
        Runtime::builder().inspect(Options::default()),
    ];
    let left = builders.map(|builder| {
        let runtime = builder.build().unwrap();
        runtime.block_on(budget_after_reads())
    });
    assert!(
        left[0] > 0 && left.iter().all(|other| *other == left[0]),
        "{left:?}"
    );
}

#[test]
fn the_cost_of_a_future_does_not_grow_with_the_number_of_its_siblings() {
    // The first poll of all of them. The times are those of one thread, so the ratio bears a busy machine.
    let first_poll = |futures: u64| {
        explained(async move {
            let parts = (0..futures).map(|_| timeout(secs(50), sleep(secs(60))));
            let mut all = pin!(join_all(parts));
            let began = Instant::now();
            assert!(poll_once(all.as_mut()).await.is_none());
            began.elapsed()
        })
    };
    let fastest = |futures| (0..3).map(|_| first_poll(futures)).min().unwrap();
    let (few, many) = (fastest(500), fastest(16_000));
    // 32 times as many. A search among the siblings made it 500 times as slow.
    assert!(many < 150 * few, "{few:?} and {many:?}");
}

#[test]
fn a_poll_that_never_ends_keeps_a_bounded_number_of_reasons() {
    explained_with(Explain::default().poll_max(secs(60)), async {
        let futures = || {
            let dump = inspect::dump();
            let root = dump
                .groups()
                .iter()
                .find(|group| group.state() == "running");
            root.unwrap().tree().len()
        };
        let bell = Notify::new();
        // As the loop of a game, which looks for news and goes on.
        for _ in 0..10 {
            _ = poll_once(bell.notified()).await;
        }
        assert_eq!(futures(), 10);
        for _ in 0..100_000 {
            _ = poll_once(bell.notified()).await;
        }
        let found = futures();
        assert!((1..70_000).contains(&found), "{found}");
    });
}

type AtEndOfThread = OnDrop<Box<dyn FnMut()>>;

thread_local! {
    /// A runtime that the destructors of a thread still use.
    static OF_THREAD: RefCell<Option<AtEndOfThread>> = const { RefCell::new(None) };
}

#[test]
fn an_inspected_runtime_can_be_used_while_its_thread_ends() {
    // A panic in a destructor of a thread aborts the process.
    alone(|| {
        let settings: [fn() -> RuntimeBuilder; 3] = [
            Runtime::builder,
            || Runtime::builder().explain(Explain::default()),
            || Runtime::builder().inspect(inspect::Options::default()),
        ];
        for builder in settings {
            let (sender, receiver) = mpsc::channel();
            let thread = thread::spawn(move || {
                // First, so that it is the last one that the thread drops.
                OF_THREAD.set(None);
                let runtime = builder().build().unwrap();
                let work = async |text| {
                    let (stream, _peer) = tcp_with_std().await;
                    let name = format!("{text} {}", inspect::dump().tasks());
                    spawn(async move {
                        let (mut stream, mut bytes) = (stream, [0; 8]);
                        let read = stream.read(&mut bytes);
                        _ = timeout(Duration::from_millis(2), read).await;
                        name
                    })
                    .await
                    .unwrap()
                };
                runtime.block_on(work("before"));
                let at_end = move || sender.send(runtime.block_on(work("after"))).unwrap();
                OF_THREAD.set(Some(OnDrop(Box::new(at_end))));
            });
            thread.join().unwrap();
            assert!(receiver.recv().unwrap().starts_with("after "));
        }
    });
}
