//! Claims about tasks that wait for a socket, and about sockets that leave their runtime.

use std::cell::Cell;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{self, Shutdown};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::support::process::alone;
use crate::support::runtime::{
    fill, run, soon, tcp_with_std, turns, unix_with_std, within_deadline,
};
use crate::support::seeds::in_any_order;
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::{AsyncFd, TcpListener, TcpStream};
use waterwheel::runtime::{Runtime, race, spawn, spawn_blocking, yield_now};

/// A waker whose clones can be counted.
#[derive(Default)]
struct Bell;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {}
}

/// Polls `future` once, and drops it. The future must wait. Returns the number of wakers that it leaves behind.
fn left_behind<F: Future>(future: F) -> usize {
    let bell = Arc::new(Bell);
    let waker = Waker::from(bell.clone());
    {
        let mut future = pin!(future);
        for _ in 0..2 {
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
    }
    drop(waker);
    Arc::strong_count(&bell) - 1
}

#[test]
fn a_dropped_waiter_leaves_no_waker_behind() {
    in_any_order(|| async {
        let (ours, _peer) = unix_with_std();
        fill(&ours);
        assert_eq!(left_behind(ours.readable()), 0, "readable");
        assert_eq!(left_behind(ours.writable()), 0, "writable");
        assert_eq!(left_behind(ours.closed()), 0, "closed");
        assert_eq!(left_behind(ours.read_closed()), 0, "read_closed");
        let file = fs::File::open("/proc/self/exe").unwrap();
        let mut offset = 0;
        let sending = ours.send_file(&file, &mut offset, 10);
        assert_eq!(left_behind(sending), 0, "send_file");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(left_behind(listener.accept()), 0, "accept");
        assert_eq!(left_behind(listener.pending()), 0, "pending");
        let fd = AsyncFd::new(ours.into_std());
        let reading = fd.read_with(|mut fd| fd.read(&mut [0]));
        assert_eq!(left_behind(reading), 0, "read_with");
        let writing = fd.write_with(|mut fd| fd.write(&[0]));
        assert_eq!(left_behind(writing), 0, "write_with");
    });
}

#[test]
fn a_waiter_dropped_outside_the_runtime_leaves_no_waker_behind() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let (ours, _peer) = runtime.block_on(tcp_with_std());
        let bell = Arc::new(Bell);
        let mut closed = Box::pin(ours.closed());
        runtime.block_on(async {
            let waker = Waker::from(bell.clone());
            let poll = closed.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        });
        assert_eq!(Arc::strong_count(&bell), 2);
        drop(closed);
        runtime.poll();
        assert_eq!(Arc::strong_count(&bell), 1);
    });
}

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn tasks_that_have_waited_for_the_end_of_a_stream_keep_no_memory() {
    alone(|| {
        run(async {
            let (ours, _peer) = tcp_with_std().await;
            let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
            let ours = Rc::new(ours);
            let request = |_| {
                let (ours, listener) = (ours.clone(), listener.clone());
                spawn(async move {
                    race(ours.closed(), yield_now()).await;
                    race(async { drop(listener.accept().await) }, yield_now()).await;
                    // A poll function has no future to drop.
                    assert!(
                        poll_once(std::future::poll_fn(|cx| ours.poll_closed(cx)))
                            .await
                            .is_none()
                    );
                    assert!(poll_once((&*ours).read(&mut [0])).await.is_none());
                })
            };
            for number in 0..20_000 {
                request(number).await.unwrap();
            }
            let before = resident_bytes();
            for number in 0..100_000 {
                request(number).await.unwrap();
            }
            let grown = resident_bytes().saturating_sub(before);
            assert!(grown < 1 << 20, "{grown} bytes more");
        });
    });
}

#[test]
fn two_tasks_that_read_one_descriptor_are_both_woken() {
    in_any_order(|| async {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let reader = Rc::new(AsyncFd::new(reader));
        let tasks = [(); 2].map(|()| {
            let reader = reader.clone();
            spawn(async move { reader.read_with(|mut io| io.read(&mut [0])).await })
        });
        turns(5).await;
        writer.write_all(b"xy").unwrap();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
    });
}

#[test]
fn two_tasks_that_read_one_stream_are_both_woken() {
    in_any_order(|| async {
        let (ours, mut peer) = tcp_with_std().await;
        let ours = Rc::new(ours);
        let tasks = [(); 3].map(|()| {
            let ours = ours.clone();
            spawn(async move { (&*ours).read(&mut [0]).await })
        });
        turns(5).await;
        peer.write_all(b"xyz").unwrap();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
    });
}

#[test]
fn a_task_that_goes_on_reading_is_woken_beside_one_that_waits() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        let ours = Rc::new(ours);
        let read = Rc::new(Cell::new(0));
        let tasks = [(); 2].map(|()| {
            let (ours, read) = (ours.clone(), read.clone());
            spawn(async move {
                while (&*ours).read(&mut [0]).await.unwrap() > 0 {
                    read.set(read.get() + 1);
                }
            })
        });
        for number in 1..=20 {
            peer.write_all(b"x").unwrap();
            soon(async {
                while read.get() < number {
                    yield_now().await;
                }
            })
            .await;
        }
        peer.shutdown(Shutdown::Write).unwrap();
        for task in tasks {
            soon(task).await.unwrap();
        }
    });
}

#[test]
fn two_tasks_that_wait_until_one_stream_is_ready_are_both_woken() {
    in_any_order(|| async {
        let (ours, mut peer) = unix_with_std();
        let filled = fill(&ours);
        let ours = Rc::new(ours);
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let (reader, writer) = (ours.clone(), ours.clone());
            tasks.push(spawn(async move { reader.readable().await }));
            tasks.push(spawn(async move { writer.writable().await }));
        }
        turns(5).await;
        assert!(tasks.iter().all(|task| !task.is_finished()));
        peer.write_all(b"x").unwrap();
        peer.read_exact(&mut vec![0; filled]).unwrap();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
}

#[test]
fn two_tasks_that_wait_for_room_in_one_stream_are_both_woken() {
    in_any_order(|| async {
        let (ours, mut peer) = unix_with_std();
        let filled = fill(&ours);
        let ours = Rc::new(ours);
        let tasks = [(); 2].map(|()| {
            let ours = ours.clone();
            spawn(async move { (&*ours).write(b"x").await })
        });
        turns(5).await;
        peer.read_exact(&mut vec![0; filled]).unwrap();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
    });
}

/// Polls a wait once, so that the stream is registered.
async fn begin_to_wait(stream: &TcpStream) {
    assert!(poll_once(stream.readable()).await.is_none());
    turns(5).await;
}

async fn reads_what_comes(stream: net::TcpStream, peer: &mut net::TcpStream) -> TcpStream {
    let mut stream = TcpStream::from_std(stream).unwrap();
    begin_to_wait(&stream).await;
    peer.write_all(b"x").unwrap();
    assert_eq!(soon(stream.read(&mut [0; 8])).await.unwrap(), 1);
    stream
}

#[test]
fn a_stream_that_leaves_on_another_thread_can_come_back() {
    run(async {
        let (mut ours, mut peer) = tcp_with_std().await;
        for _ in 0..3 {
            begin_to_wait(&ours).await;
            let left = spawn_blocking(move || ours.into_std()).await.unwrap();
            ours = reads_what_comes(left, &mut peer).await;
        }
    });
}

#[test]
fn a_stream_that_leaves_outside_the_runtime_can_come_back() {
    within_deadline(|| {
        let runtime = Runtime::new().unwrap();
        let (mut ours, mut peer) = runtime.block_on(tcp_with_std());
        for _ in 0..3 {
            runtime.block_on(begin_to_wait(&ours));
            let left = ours.into_std();
            ours = runtime.block_on(reads_what_comes(left, &mut peer));
        }
    });
}

#[test]
fn a_stream_that_leaves_for_another_runtime_does_not_wake_the_first() {
    const WAIT: Duration = Duration::from_millis(100);
    within_deadline(|| {
        let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let (ours, mut peer) = first.block_on(tcp_with_std());
        first.block_on(begin_to_wait(&ours));
        let left = thread::scope(|scope| scope.spawn(|| ours.into_std()).join().unwrap());
        let _ours = second.block_on(reads_what_comes(left, &mut peer));
        first.poll();
        peer.write_all(b"more").unwrap();
        let begun = Instant::now();
        first.poll_timeout(WAIT);
        assert!(begun.elapsed() >= WAIT, "woken by what has left");
    });
}

#[test]
fn a_borrowed_descriptor_can_be_watched_again_after_a_watch_that_ended_on_any_thread() {
    let begin = async |watched: &AsyncFd<&UnixStream>| {
        let reading = watched.read_with(|io| (&mut &**io).read(&mut [0]));
        assert!(poll_once(reading).await.is_none());
    };
    within_deadline(|| {
        let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let (reader, mut writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        for runtime in [&first, &first, &second, &first] {
            // The watch ends between two calls of the runtime.
            let watched = AsyncFd::new(&reader);
            runtime.block_on(begin(&watched));
            drop(watched);
            // The watch ends on another thread.
            let watched = AsyncFd::new(&reader);
            runtime.block_on(begin(&watched));
            thread::scope(|scope| drop(scope.spawn(|| drop(watched)).join()));
            // The watch ends inside another runtime.
            let watched = AsyncFd::new(&reader);
            runtime.block_on(begin(&watched));
            Runtime::new().unwrap().block_on(async { drop(watched) });
        }
        let watched = AsyncFd::new(&reader);
        first.block_on(begin(&watched));
        writer.write_all(b"x").unwrap();
        let read = watched.read_with(|io| (&mut &**io).read(&mut [0]));
        assert_eq!(first.block_on(soon(read)).unwrap(), 1);
    });
}

#[test]
fn a_socket_leaves_an_ended_runtime_without_an_error() {
    within_deadline(|| {
        let (reader, _writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let watched = AsyncFd::new(reader);
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let mut read = pin!(watched.read_with(|mut io| io.read(&mut [0])));
            assert!(poll_once(read.as_mut()).await.is_none());
        });
        drop(runtime);
        let reader = watched.into_inner();
        let watched = AsyncFd::new(reader);
        run(async {
            assert!(
                poll_once(watched.read_with(|mut io| io.read(&mut [0])))
                    .await
                    .is_none()
            );
        });
    });
}
