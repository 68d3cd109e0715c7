//! All operations that can wait: a future that is dropped leaves no waker, wherever it was dropped.
//!
//! The waits between tasks have a list of their own (`sync/waits.rs`).

use std::any::Any;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::support::process::alone;
use crate::support::runtime::{Bell, fill, tcp_pair, turns};
use crate::support::seeds::{dice, under_seeds};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use waterwheel::runtime::io::{copy, copy_bidirectional, pipe};
use waterwheel::runtime::net::{AsyncFd, TcpListener, UdpSocket, UnixDatagram, UnixStream};
use waterwheel::runtime::process::Command;
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::sync::Semaphore;
use waterwheel::runtime::task::{self, JoinSet};
use waterwheel::runtime::time::{Instant, interval, sleep, timeout};
use waterwheel::runtime::{
    Handle, descriptors, join, join_all, race, select, select_slice, select3, select4, spawn,
    spawn_blocking, try_join,
};

type Wait = Pin<Box<dyn Future<Output = ()>>>;

const HOUR: Duration = Duration::from_secs(3600);

/// Makes a named future that drops its value.
fn wait(name: &'static str, future: impl Future + 'static) -> (&'static str, Wait) {
    (name, Box::pin(async move { drop(future.await) }))
}

/// The sockets that outlive the waits for them: a socket that closes would drop its wakers.
///
/// A poll function cannot be dropped, so its waker stays with the socket. So the waits through a trait of poll functions
/// (`AsyncRead`, `AsyncWrite`, `Stream`) own their sockets.
#[derive(Default)]
struct Kept(Vec<Rc<dyn Any>>);

impl Kept {
    fn keep<T: 'static>(&mut self, socket: T) -> Rc<T> {
        let socket = Rc::new(socket);
        self.0.push(socket.clone());
        socket
    }
}

/// Returns waits that do not end.
async fn endless_waits(kept: &mut Kept) -> Vec<(&'static str, Wait)> {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (listener, other, incoming) = (kept.keep(listen()), kept.keep(listen()), listen());
    let (mut near, far) = tcp_pair().await;
    kept.keep(far);
    let mut unix = || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        kept.keep(theirs);
        kept.keep(ours)
    };
    let writable = unix();
    fill(&writable);
    let (readable, closed, read_closed) = (unix(), unix(), unix());
    let (mut full, unread) = UnixStream::pair().unwrap();
    kept.keep(unread);
    fill(&full);
    let (copied, both) = (tcp_pair().await, (tcp_pair().await, tcp_pair().await));
    let udp = kept.keep(UdpSocket::bind("127.0.0.1:0").unwrap());
    let (datagram, peer) = UnixDatagram::pair().unwrap();
    kept.keep(peer);
    let datagram = kept.keep(datagram);
    while datagram.try_send(&[0; 512]).is_ok() {}
    let (mut reader, writer) = pipe().unwrap();
    let (full_reader, mut full_pipe) = pipe().unwrap();
    while full_pipe.try_write(&[0; 4096]).is_ok() {}
    let fd = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    fd.set_nonblocking(true).unwrap();
    let fd = kept.keep(AsyncFd::new(fd));
    let mut signals = signal::listen(&[Signal::USER2]).unwrap();
    let mut child = Command::new("sleep")
        .arg("600")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut set = JoinSet::new();
    set.spawn(pending::<()>());
    let mut ticks = interval(HOUR);
    ticks.tick().await;
    let forever = || sleep(HOUR);
    let permits = Rc::new(Semaphore::new(0));
    let remote = Handle::current().spawn_with(pending::<()>).unwrap();
    vec![
        // First, because the sockets of the other waits close after their turn.
        wait("descriptors::freed", descriptors::freed()),
        wait(
            "TcpListener::accept",
            async move { listener.accept().await },
        ),
        wait("TcpListener::pending", async move { other.pending().await }),
        wait("a stream of connections", async move {
            (&incoming).next().await
        }),
        wait("Stream: read", async move { near.read(&mut [0; 8]).await }),
        wait("Stream: write", async move { full.write(&[0; 4096]).await }),
        wait("Stream::writable", async move { writable.writable().await }),
        wait("Stream::readable", async move { readable.readable().await }),
        wait("Stream::closed", async move {
            closed.closed().await;
        }),
        wait("Stream::read_closed", async move {
            read_closed.read_closed().await;
        }),
        wait("copy", async move {
            let (mut from, mut to) = copied;
            copy(&mut from, &mut to).await
        }),
        wait("copy_bidirectional", async move {
            let ((a, _a), (b, _b)) = both;
            copy_bidirectional(a, b).await
        }),
        wait("UdpSocket::recv_from", async move {
            udp.recv_from(&mut [0; 8]).await
        }),
        wait("UnixDatagram::send", async move {
            datagram.send(&[0; 512]).await
        }),
        wait("PipeReader: read", async move {
            let _writer = writer;
            reader.read(&mut [0; 8]).await
        }),
        wait("PipeWriter: write", async move {
            let _reader = full_reader;
            full_pipe.write(&[0; 4096]).await
        }),
        wait("AsyncFd::read_with", async move {
            fd.read_with(|socket| socket.recv(&mut [0; 8])).await
        }),
        wait("signal", async move { signals.recv().await }),
        wait("shutdown", signal::shutdown()),
        wait("Child::wait", async move { child.wait().await }),
        wait("JoinHandle", spawn(pending::<()>())),
        wait("RemoteHandle", remote),
        wait("JoinSet::join_next", async move { set.join_next().await }),
        wait("scope", async {
            task::scope(async |scope| {
                scope.spawn(pending::<()>()).await.unwrap();
            })
            .await;
        }),
        wait("sleep", forever()),
        wait(
            "sleep_until",
            waterwheel::runtime::time::sleep_until(Instant::now() + HOUR),
        ),
        wait("timeout", timeout(HOUR, pending::<()>())),
        wait("Interval::tick", async move { ticks.tick().await }),
        wait("race", race(forever(), forever())),
        wait("select", select(forever(), forever())),
        wait("select3", select3(forever(), forever(), forever())),
        wait(
            "select4",
            select4(forever(), forever(), forever(), forever()),
        ),
        wait("select_slice", async move {
            let mut slice = [Box::pin(forever()), Box::pin(forever())];
            select_slice(&mut slice).await
        }),
        wait("join", join(forever(), forever())),
        wait("join_all", join_all([forever(), forever()])),
        wait(
            "try_join",
            try_join(
                async move {
                    sleep(HOUR).await;
                    Ok::<_, ()>(())
                },
                async move { Ok(permits.acquire_owned().await) },
            ),
        ),
    ]
}

/// Under each seed, the tasks run in another order, and each wait is dropped after another number of polls.
#[test]
fn a_wait_that_is_dropped_after_any_number_of_polls_leaves_no_waker() {
    // The list has dozens of descriptors, a child and a signal.
    alone(|| {
        under_seeds(20, |seed| async move {
            let mut rolls = dice(seed);
            let mut kept = Kept::default();
            for (name, mut wait) in endless_waits(&mut kept).await {
                let bell = Arc::new(Bell);
                let waker = Waker::from(bell.clone());
                for _ in 0..=rolls(3) {
                    let poll = wait.as_mut().poll(&mut Context::from_waker(&waker));
                    assert!(poll.is_pending(), "{name} does not wait");
                    assert!(Arc::strong_count(&bell) > 2, "{name} has no waker");
                    turns(rolls(3)).await;
                }
                drop(wait);
                drop(waker);
                // The executor drops an aborted task of a scope in the next turn, with the waker of its handle.
                turns(2).await;
                assert_eq!(Arc::strong_count(&bell), 1, "{name} leaves a waker");
            }
        });
    });
}

/// The waiter of a job is in the slot of the job until the job ends.
#[test]
fn a_job_keeps_no_waker_of_a_future_that_was_dropped() {
    under_seeds(20, |seed| async move {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let bell = Arc::new(Bell);
        let waker = Waker::from(bell.clone());
        {
            let mut job = pin!(spawn_blocking(move || _ = held.recv()));
            for _ in 0..=seed % 3 {
                let poll = job.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(poll.is_pending());
                turns(1).await;
            }
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&bell), 1);
        drop(release);
    });
}
