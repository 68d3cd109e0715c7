//! Claims about sockets and the kernel: signals, urgent bytes, full queues, resets.

use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net as std_unix;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;
use std::thread;
use std::time::Duration;

use crate::support::process::alone;
use crate::support::runtime::{fill, run, soon, tcp_with_std, unix_with_std};
use crate::support::skip::skip;
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use signal_hook::consts::SIGPIPE;
use waterwheel::runtime::net::{
    AsyncFd, ListenOptions, TcpStream, UnixListener, UnixStream, lookup_host,
};
use waterwheel::runtime::{Runtime, descriptors, spawn, time, yield_now};

/// Calls `write` until the kernel reports that the peer is gone.
async fn until_broken(way: &str, mut write: impl AsyncFnMut() -> io::Result<usize>) {
    for _ in 0..10_000 {
        match write().await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{way}: {error}"),
            Ok(_) => yield_now().await,
        }
    }
    panic!("{way}: writes succeed although the peer is gone");
}

/// Writes in every way to a stream whose peer is gone.
macro_rules! write_in_every_way {
    ($connect:expr, $file:expr) => {{
        let slices = [IoSlice::new(b"sl"), IoSlice::new(b"ices")];
        let mut ours = $connect.await;
        until_broken("write", async || ours.write(b"bytes").await).await;
        let mut ours = $connect.await;
        until_broken("write_vectored", async || {
            ours.write_vectored(&slices).await
        })
        .await;
        let ours = $connect.await;
        until_broken("send_file", async || {
            ours.send_file($file, &mut 0, 10).await
        })
        .await;
        let ours = $connect.await;
        until_broken("write_last", async || {
            poll_fn(|cx| ours.poll_write_last(cx, b"last")).await
        })
        .await;
        let ours = $connect.await;
        until_broken("try_write", async || ours.try_write(b"bytes")).await;
    }};
}

#[test]
fn no_way_of_writing_raises_a_signal() {
    alone(|| {
        let raised = Arc::new(AtomicUsize::new(0));
        let tcp = || async {
            let (ours, mut peer) = tcp_with_std().await;
            ours.try_write(b"never read").unwrap();
            peer.read_exact(&mut [0]).unwrap();
            // The peer closes with unread bytes, so the kernel sends a reset.
            drop(peer);
            ours
        };
        let unix = || async {
            let (ours, peer) = std_unix::UnixStream::pair().unwrap();
            drop(peer);
            UnixStream::from_std(ours).unwrap()
        };
        let file = File::open("/proc/self/exe").unwrap();
        for counts in [false, true] {
            if counts {
                // Rust's start-up has made the process ignore the signal. This handler stands for the default action,
                // which would end the process.
                signal_hook::flag::register_usize(SIGPIPE, raised.clone(), 1).unwrap();
            }
            run(async {
                write_in_every_way!(tcp(), &file);
                write_in_every_way!(unix(), &file);
            });
        }
        assert_eq!(raised.load(Ordering::Relaxed), 0);
        // The counter works, and the thread does not block the signal afterwards.
        signal_hook::low_level::raise(SIGPIPE).unwrap();
        assert_eq!(raised.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_write_of_more_slices_than_one_call_takes_is_a_short_write() {
    run(async {
        let (mut ours, mut peer) = tcp_with_std().await;
        let slices = vec![IoSlice::new(b"x"); 3000];
        let mut written = 0;
        while written < 3000 {
            written += soon(ours.write_vectored(&slices[written..])).await.unwrap();
        }
        peer.read_exact(&mut [0; 3000]).unwrap();
    });
}

#[test]
fn a_reader_receives_the_bytes_behind_an_urgent_byte() {
    run(async {
        for registered in [false, true] {
            let (mut ours, mut peer) = tcp_with_std().await;
            let mut buffer = [0; 64];
            if registered {
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            }
            for _ in 0..3 {
                peer.write_all(b"abc").unwrap();
                send(&peer, b"!", SendFlags::OOB).unwrap();
                peer.write_all(b"de").unwrap();
                let mut read = Vec::new();
                while read.len() < 5 {
                    let count = soon(ours.read(&mut buffer)).await.unwrap();
                    read.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(read, b"abcde");
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            }
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(soon(ours.read(&mut buffer)).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_reader_receives_the_bytes_behind_bytes_with_descriptors() {
    run(async {
        for registered in [false, true] {
            let (ours, mut peer) = std_unix::UnixStream::pair().unwrap();
            let mut ours = UnixStream::from_std(ours).unwrap();
            let mut buffer = [0; 64];
            if registered {
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            }
            for _ in 0..3 {
                let attached = [peer.as_fd()];
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                assert!(ancillary.push(SendAncillaryMessage::ScmRights(&attached)));
                let bytes = [IoSlice::new(b"ab")];
                sendmsg(&peer, &bytes, &mut ancillary, SendFlags::empty()).unwrap();
                peer.write_all(b"cd").unwrap();
                let mut read = Vec::new();
                while read.len() < 4 {
                    let count = soon(ours.read(&mut buffer)).await.unwrap();
                    read.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(read, b"abcd");
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
            }
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(soon(ours.read(&mut buffer)).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_reader_receives_the_bytes_behind_an_urgent_byte_of_a_unix_stream() {
    run(async {
        let (ours, mut peer) = std_unix::UnixStream::pair().unwrap();
        let mut ours = UnixStream::from_std(ours).unwrap();
        let mut buffer = [0; 64];
        assert!(poll_once(ours.read(&mut buffer)).await.is_none());
        peer.write_all(b"abc").unwrap();
        if send(&peer, b"!", SendFlags::OOB).is_err() {
            return skip("this kernel knows of no urgent bytes on Unix sockets");
        }
        peer.write_all(b"de").unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"de") {
            let count = soon(ours.read(&mut buffer)).await.unwrap();
            read.extend_from_slice(&buffer[..count]);
        }
        assert!(poll_once(ours.read(&mut buffer)).await.is_none());
    });
}

/// Returns a stream whose peer has reset it.
async fn reset() -> TcpStream {
    let (ours, mut peer) = tcp_with_std().await;
    ours.try_write(b"never read").unwrap();
    peer.read_exact(&mut [0]).unwrap();
    drop(peer);
    soon(ours.closed()).await;
    ours
}

#[test]
fn closing_a_stream_that_the_peer_has_reset_succeeds() {
    run(async {
        let mut ours = reset().await;
        // The kernel reports the reset once. From then on, the socket is not connected.
        ours.read(&mut [0]).await.unwrap_err();
        ours.close().await.unwrap();
        ours.close().await.unwrap();
        let (_, mut half) = ours.split();
        half.close().await.unwrap();
        // `shutdown` returns the error, as the standard library does.
        let error = ours.shutdown(Shutdown::Write).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    });
}

#[test]
fn a_stream_without_unread_bytes_is_not_readable() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        for _ in 0..3 {
            peer.write_all(b"exact").unwrap();
            soon(ours.readable()).await.unwrap();
            // It stays readable until its bytes are read.
            soon(ours.readable()).await.unwrap();
            assert_eq!(ours.try_read(&mut [0; 5]).unwrap(), 5);
            assert!(poll_once(ours.readable()).await.is_none());
            assert!(
                poll_once(poll_fn(|cx| ours.poll_readable(cx)))
                    .await
                    .is_none()
            );
        }
        soon(ours.writable()).await.unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(ours.try_read(&mut [0; 5]).unwrap(), 1);
        drop(peer);
        soon(ours.readable()).await.unwrap();
        assert_eq!(ours.try_read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_full_stream_is_not_writable() {
    run(async {
        let (ours, mut peer) = unix_with_std();
        for _ in 0..3 {
            soon(ours.writable()).await.unwrap();
            let filled = fill(&ours);
            assert!(poll_once(ours.writable()).await.is_none());
            let mut writable = pin!(ours.writable());
            assert!(poll_once(writable.as_mut()).await.is_none());
            peer.read_exact(&mut vec![0; filled]).unwrap();
            soon(writable).await.unwrap();
        }
    });
}

#[test]
fn a_connection_with_little_room_becomes_writable_again() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        for _ in 0..3 {
            let mut filled = 0;
            // The kernel would take more bytes, but no longer reports the socket as writable.
            while poll_once(ours.writable()).await.is_some() {
                filled += ours.try_write(&[0; 4096]).unwrap();
            }
            let drain = thread::spawn(move || {
                peer.read_exact(&mut vec![0; filled]).unwrap();
                peer
            });
            soon(ours.writable()).await.unwrap();
            peer = drain.join().unwrap();
        }
    });
}

#[test]
fn a_full_connection_becomes_writable_again() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        for _ in 0..3 {
            let filled = fill(&ours);
            let drain = thread::spawn(move || {
                peer.read_exact(&mut vec![0; filled]).unwrap();
                peer
            });
            soon(ours.writable()).await.unwrap();
            assert!(ours.try_write(b"x").is_ok());
            peer = drain.join().unwrap();
            peer.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn a_descriptor_without_unread_bytes_is_not_readable() {
    run(async {
        let (reader, mut writer) = std_unix::UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let reader = AsyncFd::new(reader);
        let readable = || poll_fn(|cx| reader.poll_readable(cx));
        assert!(poll_once(readable()).await.is_none());
        writer.write_all(b"x").unwrap();
        soon(readable()).await.unwrap();
        (&mut reader.io()).read_exact(&mut [0]).unwrap();
        assert!(poll_once(readable()).await.is_none());
        writer.write_all(b"x").unwrap();
        soon(readable()).await.unwrap();
    });
}

/// Counts the process's descriptors when its thread ends.
struct AtTheEnd;

thread_local! {
    static COUNTED: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        assert!(descriptors::open().unwrap() > 0);
        assert!(descriptors::holders().total() > 0);
        _ = descriptors::held();
        _ = descriptors::limit();
    }
}

#[test]
fn descriptors_can_be_counted_while_a_thread_ends() {
    // A panic in the destructor of a thread-local ends the process.
    alone(|| {
        for before in [true, false] {
            let thread = thread::spawn(move || {
                if before {
                    COUNTED.set(Some(AtTheEnd));
                }
                descriptors::open().unwrap();
                COUNTED.set(Some(AtTheEnd));
            });
            thread.join().unwrap();
        }
    });
}

/// A socket that lives, with its runtime, in a thread-local.
struct Kept {
    runtime: Runtime,
    stream: TcpStream,
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

impl Drop for Kept {
    fn drop(&mut self) {
        assert!(
            self.runtime
                .block_on(poll_once((&self.stream).read(&mut [0])))
                .is_none()
        );
    }
}

#[test]
fn a_socket_and_its_runtime_may_end_with_their_thread() {
    alone(|| {
        let thread = thread::spawn(|| {
            KEPT.set(None);
            descriptors::open().unwrap();
            let runtime = Runtime::new().unwrap();
            let (stream, peer) = runtime.block_on(tcp_with_std());
            runtime.block_on(async { assert!(poll_once(stream.closed()).await.is_none()) });
            KEPT.set(Some(Kept { runtime, stream }));
            peer
        });
        drop(thread.join().unwrap());
    });
}

/// Returns a listener with a queue of one, clients that fill the queue, and the name of the listener.
fn full_queue(name: &str) -> (UnixListener, Vec<UnixStream>, String) {
    let name = format!("waterwheel-{name}-{}", std::process::id());
    let listener = ListenOptions::new()
        .backlog(0)
        .bind_abstract(&name)
        .unwrap();
    (listener, Vec::new(), name)
}

#[test]
fn a_client_waits_for_room_in_a_full_queue() {
    run(async {
        time::pause();
        let (listener, mut clients, name) = full_queue("full");
        let connect = || UnixStream::connect_abstract(name.clone());
        while let Some(client) = poll_once(connect()).await {
            clients.push(client.unwrap());
            assert!(clients.len() < 100, "the queue is not full");
        }
        let late = spawn(UnixStream::connect_abstract(name.clone()));
        let given_up = time::timeout(Duration::from_secs(60), connect()).await;
        assert!(given_up.is_err());
        assert!(!late.is_finished());
        for _ in 0..=clients.len() {
            listener.accept().await.unwrap();
        }
        late.await.unwrap().unwrap();
    });
}

#[test]
fn connecting_again_and_again_lets_others_run() {
    run(async {
        let name = format!("waterwheel-again-{}", std::process::id());
        let listener = ListenOptions::new().bind_abstract(&name).unwrap();
        let connected = Rc::new(RefCell::new(Vec::new()));
        let task = spawn({
            let connected = connected.clone();
            async move {
                for _ in 0..500 {
                    let client = UnixStream::connect_abstract(&name).await.unwrap();
                    connected.borrow_mut().push(client);
                }
            }
        });
        while connected.borrow().is_empty() {
            yield_now().await;
        }
        assert!(
            connected.borrow().len() < 500,
            "the task did not let others run"
        );
        task.await.unwrap();
        drop(listener);
    });
}

/// Checks that a task which only awaits this leaf lets others run within a bounded number of awaits.
async fn yields(mut leaf: impl AsyncFnMut() + 'static) {
    let task = spawn(async move {
        for _ in 0..10_000 {
            leaf().await;
        }
    });
    yield_now().await;
    yield_now().await;
    assert!(!task.is_finished(), "the task did not let others run");
    task.await.unwrap();
}

#[test]
fn every_wait_that_ends_at_once_lets_others_run() {
    run(async {
        yields(async || {
            lookup_host("127.0.0.1:80").await.unwrap();
        })
        .await;
        let (ours, peer) = tcp_with_std().await;
        drop(peer);
        soon(ours.read_closed()).await;
        let ours = Rc::new(ours);
        let stream = ours.clone();
        yields(async move || stream.read_closed().await).await;
        let stream = ours.clone();
        yields(async move || stream.readable().await.unwrap()).await;
        let stream = ours.clone();
        yields(async move || stream.writable().await.unwrap()).await;
        let stream = ours.clone();
        yields(async move || {
            let mut stream = &*stream;
            poll_fn(|cx: &mut Context<'_>| Pin::new(&mut stream).poll_close(cx))
                .await
                .unwrap();
        })
        .await;
        yields(async || {
            UnixStream::connect("/nowhere").await.unwrap_err();
        })
        .await;
    });
}
