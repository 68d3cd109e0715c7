//! Claims about the text of a wait: its kind, and the thing that the task waits for.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::net;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::AsyncReadExt;
use waterwheel::runtime::inspect::{self, Group, named};
use waterwheel::runtime::net::{TcpListener, TcpStream, UdpSocket};
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::sync::{self, CancellationToken, Mutex, Notify, Semaphore};
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::time::{self, sleep};
use waterwheel::runtime::{
    join, join_all, process, race, spawn, spawn_blocking, try_join, yield_now,
};

use super::{chain, explained, group, secs, start};
use crate::support::process::alone;

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
                "blocking job(running for *)",
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
