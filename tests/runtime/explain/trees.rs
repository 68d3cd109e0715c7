//! Claims about the tree of a task: the futures within it that wait, the lines that made them, and since when.

use std::future::{Future, pending};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::{AsyncReadExt, FutureExt as _};
use waterwheel::runtime::inspect::{self, Dump, named};
use waterwheel::runtime::sync::{self, Notify};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{join, race, select3, yield_now};

use super::{chain, explained, group, secs, start};
use crate::support::runtime::tcp_with_std;

#[test]
fn a_dump_shows_the_futures_within_a_task_with_the_lines_that_made_them() {
    explained(async {
        time::pause();
        let (mut stream, peer) = tcp_with_std().await;
        let fd = stream.as_fd().as_raw_fd();
        let peer_of_stream = peer.local_addr().unwrap();
        let (pause, line) = (sleep(secs(4)), line!());
        let work = async move {
            let mut buffer = [0; 8];
            let read = async { drop(stream.read(&mut buffer).await) };
            _ = timeout(Duration::from_secs(5), race(read, pause)).await;
        };
        start("handler", named("handler", work).detail("GET /slow")).await;
        time::advance(Duration::from_millis(1_800)).await;
        let dump = inspect::dump();
        let read = format!("read fd {fd} of {peer_of_stream}");
        let expected = format!(
            "handler(GET /slow) > timeout(5 s, 3.2 s left) > race > [{read}, sleep(2.2 s left)]"
        );
        let swapped = format!(
            "handler(GET /slow) > timeout(5 s, 3.2 s left) > race > [sleep(2.2 s left), {read}]"
        );
        let found = chain(&dump, "handler");
        assert!(found == expected || found == swapped, "{found}\n{dump}");
        let text = dump.to_string();
        let place = format!("sleep {}:{line}:", file!());
        assert!(text.contains(&place), "{text}");
        let waits = group(&dump, "handler").tree()[0].waits();
        assert_eq!(*waits.end(), Duration::from_millis(1_800), "{dump}");
        drop(peer);
    });
}

#[test]
fn a_race_of_three_shows_three() {
    explained(async {
        start("race", async {
            let bell = Notify::new();
            _ = select3(sleep(secs(1)), bell.notified(), pending::<()>()).await;
        })
        .await;
        let dump = inspect::dump();
        let select = &group(&dump, "race").tree()[0];
        let mut labels: Vec<_> = select.children().iter().map(inspect::Tree::label).collect();
        labels.sort_unstable();
        assert_eq!(labels, ["no waker", "notified", "sleep"], "{dump}");
    });
}

/// Futures of which each has a waker of its own, so that a wake polls one of them.
struct Bundle {
    futures: Vec<Pin<Box<dyn Future<Output = ()>>>>,
    parts: Vec<Arc<PartWaker>>,
}

struct PartWaker {
    is_woken: AtomicBool,
    task: std::sync::Mutex<Option<Waker>>,
}

impl Wake for PartWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
        let task = self.task.lock().unwrap().take();
        task.into_iter().for_each(Waker::wake);
    }
}

impl Bundle {
    fn new(futures: Vec<Pin<Box<dyn Future<Output = ()>>>>) -> Self {
        let part = || PartWaker {
            is_woken: AtomicBool::new(true),
            task: std::sync::Mutex::default(),
        };
        let parts = futures.iter().map(|_| Arc::new(part())).collect();
        Self { futures, parts }
    }
}

impl Future for Bundle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { futures, parts } = &mut *self;
        for (future, part) in futures.iter_mut().zip(parts) {
            part.task.lock().unwrap().replace(cx.waker().clone());
            if part.is_woken.swap(false, Ordering::Relaxed) {
                let waker = Waker::from(part.clone());
                _ = future.as_mut().poll(&mut Context::from_waker(&waker));
            }
        }
        Poll::Pending
    }
}

#[test]
fn a_combinator_that_polls_only_some_futures_keeps_the_others() {
    explained(async {
        time::pause();
        let bell = Rc::new(Notify::new());
        let rung = bell.clone();
        let bundle = Bundle::new(vec![
            Box::pin(async { sleep(secs(60)).await }),
            Box::pin(async move {
                loop {
                    rung.notified().await;
                }
            }),
            Box::pin(named("third", async { sleep(secs(90)).await })),
        ]);
        start("bundle", bundle).await;
        let labels = |dump: &Dump| {
            let trees = group(dump, "bundle").tree().iter();
            let mut labels: Vec<_> = trees.map(|tree| tree.label().to_owned()).collect();
            labels.sort_unstable();
            labels
        };
        let first = inspect::dump();
        assert_eq!(labels(&first), ["notified", "sleep", "third"], "{first}");
        for _ in 0..3 {
            bell.notify_all();
            yield_now().await;
            yield_now().await;
            let again = inspect::dump();
            assert_eq!(labels(&again), ["notified", "sleep", "third"], "{again}");
        }
    });
}

#[test]
fn a_future_that_is_ready_is_gone_from_the_dump() {
    explained(async {
        time::pause();
        start("steps", async {
            timeout(secs(9), join(sleep(secs(1)), sleep(secs(3))))
                .await
                .unwrap();
            sleep(secs(100)).await;
        })
        .await;
        let chain = || chain(&inspect::dump(), "steps");
        assert_eq!(
            chain(),
            "timeout(9 s, 9 s left) > join > [sleep(1 s left), sleep(3 s left)]"
        );
        time::advance(secs(2)).await;
        assert_eq!(chain(), "timeout(9 s, 7 s left) > join > sleep(1 s left)");
        time::advance(secs(2)).await;
        assert_eq!(chain(), "sleep(99 s left)");
    });
}

#[test]
fn a_future_that_has_panicked_is_gone_from_the_dump() {
    explained(async {
        let work = async {
            let part = named("part", async { panic!("on purpose") });
            let whole = pin!(AssertUnwindSafe(named("whole", part)).catch_unwind());
            assert!(whole.await.is_err());
            sleep(secs(60)).await;
        };
        // The task goes on in the same poll, as a server does with its connection.
        start("survivor", named("connection", work)).await;
        let dump = inspect::dump();
        assert_eq!(chain(&dump, "survivor"), "connection > sleep(60 s left)");
    });
}

/// The next turn of a loop waits with a future of the same place. It is another wait.
#[test]
fn the_time_of_a_wait_is_that_of_its_future_and_not_that_of_its_place() {
    explained(async {
        time::pause();
        let bell = Rc::new(Notify::new());
        let (sender, mut receiver) = sync::mpsc::channel(1);
        let (mut stream, mut peer) = tcp_with_std().await;
        let rung = bell.clone();
        start("rings", async move {
            loop {
                rung.notified().await;
            }
        })
        .await;
        start("receives", async move {
            while receiver.recv().await.is_some() {}
        })
        .await;
        start("reads", async move {
            while stream.read(&mut [0; 8]).await.is_ok_and(|bytes| bytes > 0) {}
        })
        .await;
        start("sleeps", async {
            loop {
                sleep(secs(3)).await;
            }
        })
        .await;
        let bell_of_race = bell.clone();
        start("races", async move {
            loop {
                let pause = async {
                    loop {
                        sleep(secs(3)).await;
                    }
                };
                race(bell_of_race.notified(), pause).await;
            }
        })
        .await;
        time::advance(secs(4)).await;
        let waits = |name: &str| {
            let dump = inspect::dump();
            let waits = group(&dump, name).tree()[0].waits();
            *waits.end()
        };
        for name in ["rings", "receives", "reads", "races"] {
            assert_eq!(waits(name), secs(4), "{name}");
        }
        assert_eq!(waits("sleeps"), secs(1));
        bell.notify_all();
        sender.send(7).await.unwrap();
        peer.write_all(b"x").unwrap();
        while waits("reads") > secs(0) {
            yield_now().await;
        }
        for name in ["rings", "receives", "reads", "races"] {
            assert_eq!(waits(name), secs(0), "{name}");
        }
        drop(peer);
    });
}
