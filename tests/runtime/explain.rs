//! Claims about dumps: the futures within each task that wait, and since when.

#![allow(clippy::print_stdout, reason = "the measurement is for readers")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io::Write as _;
use std::net;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use futures_lite::{AsyncRead, AsyncReadExt, FutureExt as _};
use waterwheel::runtime::inspect::{self, Dump, Explain, Group, Options, named};
use waterwheel::runtime::net::{TcpListener, TcpStream, UdpSocket};
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::sync::{self, CancellationToken, Mutex, Notify, Semaphore};
use waterwheel::runtime::task::{Builder, JoinSet};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{
    Runtime, RuntimeBuilder, budget, join, join_all, process, race, select3, spawn, spawn_blocking,
    try_join, yield_now,
};

use crate::support::process::{alone, in_child};
use crate::support::runtime::{OnDrop, tcp_with_std, within_deadline};

/// Runs a future as a test, in a runtime that records why its tasks wait.
pub(crate) fn explained<T>(future: impl Future<Output = T>) -> T {
    explained_with(Explain::default(), future)
}

pub(crate) fn explained_with<T>(settings: Explain, future: impl Future<Output = T>) -> T {
    within_deadline(|| {
        let runtime = Runtime::builder().explain(settings).build().unwrap();
        runtime.block_on(future)
    })
}

/// Returns the group of the task with this name.
pub(crate) fn group<'a>(dump: &'a Dump, name: &str) -> &'a Group {
    let mut groups = dump.groups().iter();
    let found = groups.find(|group| group.name() == Some(name));
    found.unwrap_or_else(|| panic!("no task `{name}` in:\n{dump}"))
}

/// Spawns a task with this name, and lets it run until it waits.
pub(crate) async fn start(name: &str, future: impl Future<Output = ()> + 'static) {
    Builder::new().name(name).spawn(future).detach();
    yield_now().await;
    yield_now().await;
}

/// Returns the reasons of a task on one line.
fn chain(dump: &Dump, name: &str) -> String {
    let trees: Vec<_> = group(dump, name)
        .tree()
        .iter()
        .map(ToString::to_string)
        .collect();
    trees.join(" + ")
}

/// Returns the line of this file that has this text, for the first time after `from`.
fn line_of(text: &str) -> u32 {
    let lines = include_str!("explain.rs").lines();
    let before = lines.take_while(|line| !line.contains(text)).count();
    u32::try_from(before).unwrap() + 1
}

#[test]
fn a_dump_shows_the_futures_within_a_task_with_the_lines_that_made_them() {
    explained(async {
        time::pause();
        let (mut stream, peer) = tcp_with_std().await;
        let fd = stream.as_fd().as_raw_fd();
        let peer_of_stream = peer.local_addr().unwrap();
        let work = async move {
            let mut buffer = [0; 8];
            let read = async { drop(stream.read(&mut buffer).await) };
            let pause = sleep(Duration::from_secs(4)); // the line of the pause
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
        let place = format!(
            "sleep tests/runtime/explain.rs:{}:",
            line_of("// the line of the pause")
        );
        assert!(text.contains(&place), "{text}");
        let waits = group(&dump, "handler").tree()[0].waits();
        assert_eq!(*waits.end(), Duration::from_millis(1_800), "{dump}");
        drop(peer);
    });
}

/// Waits for ever in each way, and the text that a dump has for it.
#[test]
fn each_kind_of_wait_has_a_name() {
    type Waits = Vec<(&'static str, Pin<Box<dyn Future<Output = ()>>>)>;
    explained(async {
        time::pause();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let lock = Rc::new(Mutex::new(()));
        let _kept = lock.lock().await;
        let lock_of_task = lock.clone();
        let places = Rc::new(Semaphore::new(0));
        let (full, _receiver) = sync::mpsc::channel(1);
        full.try_send(1).unwrap();
        let (_sender, mut empty) = sync::mpsc::channel::<u8>(1);
        let (_one, once) = sync::oneshot::channel::<u8>();
        let (_level, mut gauge) = sync::watch::channel(1);
        let (_all, mut news) = sync::broadcast::channel::<u8>(1);
        let bell = Rc::new(Notify::new());
        let token = CancellationToken::new();
        let never = spawn(pending::<()>());
        let mut ticks = time::interval(Duration::from_secs(3));
        ticks.tick().await;
        let (go, stop) = mpsc::channel::<()>();
        let job = spawn_blocking(move || _ = stop.recv());
        let mut set = JoinSet::new();
        set.spawn(pending::<()>());
        let (mut reader, _writer) = waterwheel::runtime::io::pipe().unwrap();
        let alarm = [Signal::ALARM, Signal::from_raw(40)];
        let (mut alarm, alarm_line) = (signal::listen(&alarm).unwrap(), line!());
        let mut child = process::Command::new("sleep");
        let mut child = child.arg("60").kill_on_drop(true).spawn().unwrap();
        let child_id = child.id();
        let foreign: Rc<RefCell<Option<Waker>>> = Rc::default();
        let foreign_kept = foreign.clone();
        let rows: Waits = vec![
            (
                "accept fd * on ADDRESS",
                Box::pin(async move { drop(listener.accept().await) }),
            ),
            (
                "receive fd * on *",
                Box::pin(async move { drop(udp.recv(&mut [0; 8]).await) }),
            ),
            (
                "lock(held by task root)",
                Box::pin(async move { drop(lock_of_task.lock().await) }),
            ),
            (
                "permit",
                Box::pin(async move { drop(places.acquire().await) }),
            ),
            ("send", Box::pin(async move { drop(full.send(2).await) })),
            (
                "receive(1 sender)",
                Box::pin(async move { _ = empty.recv().await }),
            ),
            ("receive", Box::pin(async move { _ = once.await })),
            (
                "new value",
                Box::pin(async move { _ = gauge.changed().await }),
            ),
            ("receive", Box::pin(async move { _ = news.recv().await })),
            ("notified", Box::pin(async move { bell.notified().await })),
            (
                "cancellation",
                Box::pin(async move { token.cancelled().await }),
            ),
            ("join(task *)", Box::pin(async move { drop(never.await) })),
            (
                "interval(3 s left)",
                Box::pin(async move { _ = ticks.tick().await }),
            ),
            (
                "blocking job(runs since *)",
                Box::pin(async move { drop(job.await) }),
            ),
            (
                "join_next(1 future)",
                Box::pin(async move { _ = set.join_next().await }),
            ),
            (
                "read fd *",
                Box::pin(async move { drop(reader.read(&mut [0; 8]).await) }),
            ),
            (
                "signal(SIGALRM, signal 40) > read fd *",
                Box::pin(async move { drop(alarm.recv().await) }),
            ),
            (
                "end of process(process CHILD) > read fd *",
                Box::pin(async move { drop(child.wait().await) }),
            ),
            (
                "join > [sleep(1 s left), sleep(2 s left)]",
                Box::pin(async { _ = join(sleep(secs(1)), sleep(secs(2))).await }),
            ),
            (
                "join_all(3 futures) > [sleep(1 s left), sleep(2 s left), sleep(3 s left)]",
                Box::pin(async { _ = join_all([1, 2, 3].map(|time| sleep(secs(time)))).await }),
            ),
            (
                "try_join > [sleep(1 s left), sleep(2 s left)]",
                Box::pin(async {
                    let part = async |time| {
                        sleep(secs(time)).await;
                        Ok::<_, ()>(())
                    };
                    _ = try_join(part(1), part(2)).await;
                }),
            ),
            (
                "a waker of another library",
                Box::pin(poll_fn(move |cx| {
                    foreign.replace(Some(cx.waker().clone()));
                    Poll::Pending
                })),
            ),
            (
                "race > [sleep(1 s left), no waker]",
                Box::pin(race(sleep(secs(1)), pending())),
            ),
            ("part > no waker", Box::pin(named("part", pending()))),
        ];
        let mut expected = Vec::new();
        for (index, (text, future)) in rows.into_iter().enumerate() {
            let name = format!("row {index}");
            start(&name, future).await;
            let text = text.replace("ADDRESS", &address.to_string());
            expected.push((name, text.replace("CHILD", &child_id.to_string())));
        }
        thread::sleep(Duration::from_millis(20)); // the job begins
        yield_now().await;
        let dump = inspect::dump();
        for (name, pattern) in expected {
            let found = chain(&dump, &name);
            assert!(
                matches(&found, &pattern),
                "{name}: {found}, and not {pattern}"
            );
        }
        let groups = dump.groups().iter().flat_map(Group::tree);
        let mut alarms = groups.filter(|tree| tree.label() == "signal");
        let place = alarms.next().unwrap().place().unwrap();
        assert_eq!((place.file(), place.line()), (file!(), alarm_line));
        drop((go, foreign_kept));
    });
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Returns true if a text is like a pattern, in which each star stands for any text.
fn matches(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = if part.is_empty() {
            ""
        } else {
            &rest[at + part.len()..]
        };
    }
    rest.is_empty()
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

/// Enters the part `name`, and polls `future` in it. The part is over when the future is ready.
async fn part<F: Future>(name: &'static str, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let part = inspect::NamedPart::enter(name, String::new, cx);
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() {
            part.waits();
        }
        poll
    })
    .await
}

async fn sleeps(name: &'static str) {
    part(name, sleep(secs(9))).await;
}

/// Polls two futures of which `futures` knows more than a runtime: one that waits, and one that is ready.
async fn beside<T>(waits: impl Future<Output = ()>, ready: impl Future<Output = T>) -> T {
    let (mut waits, mut ready) = (pin!(waits), pin!(ready));
    poll_fn(|cx| {
        assert!(waits.as_mut().poll(cx).is_pending());
        ready.as_mut().poll(cx)
    })
    .await
}

#[test]
fn a_part_that_is_over_leaves_nothing_around_what_comes_after_it() {
    type Row = (
        &'static str,
        Pin<Box<dyn Future<Output = ()>>>,
        &'static str,
    );
    explained(async {
        time::pause();
        let rows: [Row; 7] = [
            ("waits", Box::pin(sleeps("a")), "a > sleep(9 s left)"),
            (
                "after",
                Box::pin(async {
                    part("a", async {}).await;
                    sleep(secs(9)).await;
                }),
                "sleep(9 s left)",
            ),
            (
                "next",
                Box::pin(async {
                    for _ in 0..3 {
                        part("a", async {}).await;
                    }
                    sleeps("a").await;
                }),
                "a > sleep(9 s left)",
            ),
            (
                "other",
                Box::pin(async {
                    part("a", part("b", async {})).await;
                    sleeps("c").await;
                }),
                "c > sleep(9 s left)",
            ),
            (
                "around",
                Box::pin(part("a", async {
                    part("b", async {}).await;
                    sleep(secs(9)).await;
                })),
                "a > sleep(9 s left)",
            ),
            (
                "race",
                Box::pin(async {
                    let first = async {
                        part("a", async {}).await;
                        sleep(secs(9)).await;
                    };
                    join(first, sleep(secs(8))).await;
                }),
                "join > [sleep(8 s left), sleep(9 s left)]",
            ),
            (
                "phase",
                Box::pin(poll_fn(|cx| {
                    let phase = || Some("idle");
                    inspect::poll_in_phase("c", cx, phase, |cx| {
                        _ = inspect::NamedPart::enter("a", String::new, cx);
                        let mut read = pin!(named("read", pending::<()>()));
                        read.as_mut().poll(cx)
                    })
                })),
                "c(idle) > read > no waker",
            ),
        ];
        for (name, future, expected) in rows {
            start(name, future).await;
            let dump = inspect::dump();
            let found = chain(&dump, name);
            let swapped = found.replace(
                "[sleep(9 s left), sleep(8 s left)]",
                "[sleep(8 s left), sleep(9 s left)]",
            );
            assert_eq!(swapped, expected, "{name}: {dump}");
        }
    });
}

#[test]
fn the_time_of_a_part_is_its_own_and_not_that_of_the_one_before() {
    explained(async {
        time::pause();
        let work = async {
            part("request", sleep(secs(5))).await;
            part("request", sleep(secs(9))).await;
        };
        start("work", work).await;
        time::advance(secs(6)).await;
        yield_now().await;
        time::advance(secs(1)).await;
        let dump = inspect::dump();
        assert_eq!(chain(&dump, "work"), "request > sleep(7 s left)", "{dump}");
        let waits = group(&dump, "work").tree()[0].waits();
        assert_eq!(*waits.end(), secs(2), "{dump}");
    });
}

#[test]
fn a_part_that_was_left_as_one_that_waits_can_be_taken_back() {
    explained(async {
        time::pause();
        let work = async {
            let kept = part("kept", sleep(secs(9)));
            let taken = async {
                let over = poll_fn(|cx| {
                    let part = inspect::NamedPart::enter("taken", String::new, cx);
                    _ = pin!(sleep(secs(7))).poll(cx);
                    part.waits();
                    inspect::NamedPart::take_back("taken");
                    // There is no second one, and no other one goes instead.
                    inspect::NamedPart::take_back("taken");
                    Poll::Ready(())
                });
                over.await;
                pending::<()>().await;
            };
            beside(kept, taken).await;
        };
        start("work", work).await;
        let dump = inspect::dump();
        assert_eq!(chain(&dump, "work"), "kept > sleep(9 s left)", "{dump}");
    });
}

#[test]
fn a_long_poll_names_the_part_that_is_entered_last() {
    explained_with(
        Explain::default().poll_max(Duration::from_millis(20)),
        async {
            start("work", async {
                part("first", async {}).await;
                part("second", async {
                    thread::sleep(Duration::from_millis(100));
                })
                .await;
                pending::<()>().await;
            })
            .await;
            let dump = inspect::dump();
            let texts = dump
                .findings()
                .iter()
                .map(|finding| finding.text().to_owned());
            let found: Vec<_> = texts.filter(|text| text.contains("`work`")).collect();
            assert!(found.iter().any(|text| text.contains("second")), "{dump}");
        },
    );
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

#[test]
fn a_socket_that_has_waited_for_its_connection_shows_its_peer_afterwards() {
    explained(async {
        // The queue of one is full, so the kernel answers the next client after an `accept`.
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket
            .bind(&net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        socket.listen(0).unwrap();
        let listener = net::TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let first = net::TcpStream::connect(address).unwrap();
        let client = async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            drop(stream.read(&mut [0; 8]).await);
        };
        start("client", client).await;
        let waits = chain(&inspect::dump(), "client");
        assert!(matches(&waits, "connect > write fd *"), "{waits}");
        let kept = [
            listener.accept().unwrap(),
            spawn_blocking(move || listener.accept().unwrap())
                .await
                .unwrap(),
        ];
        let began = Instant::now();
        loop {
            let reads = chain(&inspect::dump(), "client");
            if reads.starts_with("read fd") {
                assert!(reads.ends_with(&format!(" of {address}")), "{reads}");
                break;
            }
            assert!(began.elapsed() < secs(10), "{reads}");
            sleep(Duration::from_millis(5)).await;
        }
        drop((first, kept));
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
fn ten_thousand_equal_tasks_are_a_dozen_lines_in_less_than_20_ms() {
    explained(async {
        time::pause();
        for _ in 0..10_000 {
            let work = timeout(secs(60), race(sleep(secs(50)), pending()));
            Builder::new()
                .name("equal")
                .spawn(async { _ = work.await })
                .detach();
        }
        start("other", sleep(secs(9))).await;
        let (dump, took) = (0..5)
            .map(|_| {
                let began = Instant::now();
                let dump = inspect::dump();
                drop(dump.to_string());
                drop(dump.to_json());
                (dump, began.elapsed())
            })
            .min_by_key(|(_, took)| *took)
            .unwrap();
        println!("a dump of 10,000 tasks as text and as JSON: {took:?}");
        assert_eq!(dump.groups().len(), 3, "{dump}");
        assert_eq!(
            (group(&dump, "equal").count(), dump.tasks()),
            (10_000, 10_002)
        );
        let lines = dump.to_string().lines().count();
        assert!(lines <= 12, "{lines} lines:\n{dump}");
        // A debug build is about ten times as slow, and other tests run beside this one.
        let limit = if cfg!(debug_assertions) { 400 } else { 20 };
        assert!(took < Duration::from_millis(limit), "{took:?}");
    });
}

#[test]
fn a_dump_of_another_thread_names_the_task_that_holds_the_thread_and_the_innermost_part() {
    explained(async {
        let dumper = inspect::dumper().unwrap();
        let (entered, waits) = mpsc::channel();
        let (go_on, done) = mpsc::channel();
        let watcher = thread::spawn(move || {
            waits.recv().unwrap();
            thread::sleep(Duration::from_millis(30));
            let dump = dumper.dump();
            go_on.send(()).unwrap();
            dump
        });
        let hold = async move {
            sleep(Duration::from_millis(1)).await;
            entered.send(()).unwrap();
            done.recv().unwrap(); // holds the thread
        };
        let part = named("parse", hold); // the line of the part
        let task = timeout(secs(60), part);
        start("quiet", pending()).await;
        Builder::new()
            .name("holder")
            .spawn(task)
            .await
            .unwrap()
            .unwrap();
        let dump = watcher.join().unwrap();
        let holder = group(&dump, "holder");
        assert_eq!(holder.state(), "running");
        let text = dump.to_string();
        let second = text.lines().nth(1).unwrap();
        let place = format!(
            "tests/runtime/explain.rs:{}:",
            line_of("// the line of the part")
        );
        assert!(
            second.contains("`holder` is running since ") && second.contains("`parse`"),
            "{text}"
        );
        assert!(second.contains(&place), "{text}");
        assert_eq!(group(&dump, "quiet").state(), "waiting");
        let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
        assert_eq!(json["running"]["task"], holder.tasks()[0].as_str());
        assert!(json["running"]["since_ns"].as_u64().unwrap() > 20_000_000);
        assert!(
            json["running"]["place"]
                .as_str()
                .unwrap()
                .starts_with(place.as_str())
        );
    });
}

#[test]
fn a_dump_can_be_made_anywhere() {
    let Some(output) = in_child(|| {
        explained(async {
            let dumper = inspect::dumper().unwrap();
            let dumps: Rc<Cell<u32>> = Rc::default();
            let count = {
                let (dumps, dumper) = (dumps.clone(), dumper.clone());
                move || {
                    assert!(dumper.dump().tasks() > 0);
                    assert!(inspect::dump().tasks() > 0);
                    dumps.set(dumps.get() + 1);
                }
            };
            // In the destructor of a task, also while it is aborted.
            let guard = OnDrop(count.clone());
            let task = spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            yield_now().await;
            task.abort();
            yield_now().await;
            assert_eq!(dumps.get(), 1);
            // In a panic hook, while a poll is several futures deep.
            let in_hook = dumper.clone();
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |_| println!("hook: {}", in_hook.dump())));
            let panics = timeout(
                secs(1),
                race(async { panic!("on purpose") }, pending::<()>()),
            );
            assert!(spawn(panics).await.unwrap_err().is_panic());
            panic::set_hook(before);
            // In the clone and in the drop of a waker, and in a destructor at the end of the runtime.
            spawn(async move {
                let _guard = OnDrop(count);
                pending::<()>().await;
            })
            .detach();
            yield_now().await;
            // On a thread that has no runtime.
            assert!(thread::spawn(move || dumper.dump().tasks()).join().unwrap() > 1);
        });
    }) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("hook: runtime 1 after"), "{said}");
    assert!(said.contains("is running since"), "{said}");
}

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

#[test]
fn the_json_has_the_form_of_the_format_and_any_text() {
    explained(async {
        start(
            "a \"name\" \\ \u{7} </script>",
            named("part", sleep(secs(9))).detail("\n\u{2028}ü"),
        )
        .await;
        let dump = inspect::dump();
        let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
        assert_eq!(json["format"], "waterwheel-dump");
        assert_eq!(json["version"], 1);
        let groups = json["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 2);
        let found = groups
            .iter()
            .find(|group| group["name"].is_string())
            .unwrap();
        assert_eq!(found["name"], "a \"name\" \\ \u{7} </script>");
        assert_eq!(
            (&found["count"], &found["state"]),
            (&1.into(), &"waiting".into())
        );
        assert!(
            found["place"]
                .as_str()
                .unwrap()
                .starts_with("tests/runtime/explain.rs:")
        );
        assert_eq!(found["waits_ns"].as_array().unwrap().len(), 2);
        assert!(found["future_bytes"].as_u64().unwrap() > 16);
        let part = &found["tree"][0];
        assert_eq!(
            (&part["label"], &part["detail"]),
            (&"part".into(), &"\n\u{2028}ü".into())
        );
        assert_eq!(part["children"][0]["label"], "sleep");
        let root = groups
            .iter()
            .find(|group| group["tasks"][0] == "root")
            .unwrap();
        assert_eq!(root["state"], "running");
        assert!(!dump.to_json().contains("</"), "{}", dump.to_json());
    });
}

#[test]
fn no_text_of_the_program_acts_on_a_terminal_or_fills_a_dump() {
    explained(async {
        let long: String = "long ".repeat(200_000);
        for name in [
            "\u{1b}[2J\u{9b}31m\nfindings:\n  none\r",
            "\u{202e}txet",
            "",
            "</script>",
            &long,
        ] {
            let part = named("part\u{7}", pending::<()>()).detail(name.to_owned());
            start(name, part).await;
        }
        // A finding names its tasks, too.
        let dump = inspect::dump();
        let text = dump.to_string();
        let acts = |letter: &char| letter.is_control() && *letter != '\n' || *letter == '\u{202e}';
        assert_eq!(text.chars().find(acts), None, "{text:?}");
        assert!(
            text.contains(r"`\u{1b}[2J\u{9b}31m\nfindings:\n  none\r`"),
            "{text}"
        );
        assert!(text.contains(r"part\u{7}(\u{202e}txet)"), "{text}");
        assert!(text.len() < 10_000, "{}", text.len());
        // JSON has the whole texts.
        let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
        let names = json["groups"].as_array().unwrap().iter();
        assert!(names.filter(|group| group["name"] == long.as_str()).count() == 1);
    });
}

/// Waits inside itself at this depth.
async fn descend(depth: u32) {
    match depth {
        0 => sleep(secs(60)).await,
        depth => named("level", Box::pin(descend(depth - 1))).await,
    }
}

#[test]
fn a_future_that_lies_thousands_deep_has_a_short_dump() {
    const DEPTH: u32 = 2_000;
    // The poll itself needs a large stack, the dump must not.
    let deep = thread::Builder::new().stack_size(64 << 20);
    let deep = deep.spawn(|| {
        explained(async {
            start("deep", descend(DEPTH)).await;
            let dumper = inspect::dumper().unwrap();
            let reader = thread::Builder::new().stack_size(256 << 10);
            let reader = reader.spawn(move || {
                let dump = dumper.dump();
                (dump.to_string(), dump.to_json())
            });
            let (text, json) = reader.unwrap().join().unwrap();
            let line = text
                .lines()
                .find(|line| line.contains("level > level"))
                .unwrap();
            assert!(line.contains("level > …(1954 futures) > sleep("), "{line}");
            assert!(line.matches("level").count() < 64, "{line}");
            let _json: serde_json::Value = serde_json::from_str(&json).unwrap();
        });
    });
    deep.unwrap().join().unwrap();
}

#[test]
fn a_runtime_that_was_built_without_it_has_no_dump() {
    within_deadline(|| {
        waterwheel::runtime::block_on(async {
            assert!(inspect::dumper().is_none());
            assert_eq!(inspect::dump().tasks(), 0);
            assert!(inspect::dump().to_string().contains("`explain`"));
            assert_eq!(named("part", async { 7 }).await, 7);
        });
    });
    assert_eq!(inspect::dump().tasks(), 0);
}

/// Each runtime has its own tasks, also if a thread is inside one of them within the other.
#[test]
fn two_runtimes_of_one_thread_are_told_apart() {
    explained(async {
        start("outer", sleep(secs(9))).await;
        let inner = Runtime::builder()
            .explain(Explain::default())
            .build()
            .unwrap();
        let task = inner.spawn(async { sleep(secs(9)).await });
        let outer = inspect::dump();
        assert_eq!(outer.tasks(), 2, "{outer}");
        drop((task, inner));
        assert_eq!(inspect::dump().tasks(), 2);
        assert_eq!(
            chain(&inspect::dump(), "outer").split('(').next(),
            Some("sleep")
        );
    });
}

/// The sizes of futures that are counted in this file are those of the spawn.
#[test]
fn the_memory_of_each_future_is_shown() {
    explained(async {
        let large = async {
            let kept = [7_u8; 10_000];
            sleep(secs(9)).await;
            assert_eq!(kept[9], 7);
        };
        start("large", large).await;
        start("small", async { sleep(secs(9)).await }).await;
        let dump = inspect::dump();
        assert!(group(&dump, "large").future_bytes() > 10_000);
        assert!(group(&dump, "small").future_bytes() < 1_000);
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

#[test]
fn a_socket_that_is_connected_late_shows_its_peer() {
    explained(async {
        let peer = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = peer.local_addr().unwrap();
        let socket = Rc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let own = socket.local_address().unwrap();
        let fd = socket.as_fd().as_raw_fd();
        let listening = socket.clone();
        start(
            "early",
            async move { drop(listening.recv(&mut [0; 8]).await) },
        )
        .await;
        let found = chain(&inspect::dump(), "early");
        assert_eq!(found, format!("receive fd {fd} on {own}"));
        socket.connect(peer).await.unwrap();
        start("late", async move { drop(socket.recv(&mut [0; 8]).await) }).await;
        let found = chain(&inspect::dump(), "late");
        assert_eq!(found, format!("receive fd {fd} of {peer}"));
    });
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

#[test]
fn the_future_of_a_shutdown_names_its_signals_and_the_line_that_made_it() {
    alone(|| {
        explained(async {
            let (shutdown, line) = (signal::shutdown(), line!());
            start("patient", async { drop(shutdown.await) }).await;
            let dump = inspect::dump();
            let found = chain(&dump, "patient");
            assert!(
                matches(&found, "signal(SIGINT, SIGTERM) > read fd *"),
                "{found}"
            );
            let place = group(&dump, "patient").tree()[0].place().unwrap();
            assert_eq!((place.file(), place.line()), (file!(), line));
            assert!(dump.findings().is_empty(), "{dump}");
        });
    });
}

#[test]
fn tasks_that_wait_for_different_signals_are_different_groups() {
    alone(|| {
        explained(async {
            for signal in [Signal::HANGUP, Signal::USER2, Signal::HANGUP] {
                let mut signals = signal::listen(&[signal]).unwrap();
                start("listener", async move { drop(signals.recv().await) }).await;
            }
            let dump = inspect::dump();
            let groups = dump.groups().iter();
            let groups = groups.filter(|group| group.name() == Some("listener"));
            let mut found: Vec<_> = groups
                .map(|group| (group.count(), group.tree()[0].detail().to_owned()))
                .collect();
            found.sort_unstable();
            let one = |count, name: &str| (count, name.to_owned());
            assert_eq!(found, [one(1, "SIGUSR2"), one(2, "SIGHUP")]);
        });
    });
}
