//! Claims that the compiler checks: futures of the runtime can be sent to another thread, and so can sockets.
//!
//! A task stays on its thread. But a library may ask for `Send` (hyper-util's connectors, handlers of axum),
//! and one future that is not `Send` spoils all futures that await it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use crate::support::runtime::{run, tcp_pair};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::runtime::net::{
    AsyncFd, ConnectOptions, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
    UnixStream, lookup_host,
};
use waterwheel::runtime::time::{self, Interval, Sleep};
use waterwheel::runtime::{
    ThreadPool, descriptors, fs, io, process, signal, spawn_blocking, yield_now,
};

fn is_send<T: Send>(_: T) {}
fn is_send_sync<T: Send + Sync>() {}

#[test]
fn sockets_and_sleeps_are_send_and_sync() {
    is_send_sync::<TcpStream>();
    is_send_sync::<TcpListener>();
    is_send_sync::<UnixStream>();
    is_send_sync::<UnixListener>();
    is_send_sync::<AsyncFd<std::net::UdpSocket>>();
    is_send_sync::<UdpSocket>();
    is_send_sync::<UnixDatagram>();
    is_send_sync::<io::PipeReader>();
    is_send_sync::<fs::File>();
    is_send_sync::<process::Child>();
    is_send_sync::<Sleep>();
    is_send_sync::<Interval>();
}

/// The futures are made and not polled: this test is about their types.
#[allow(dead_code, reason = "the compiler checks it, and no test runs it")]
#[allow(clippy::too_many_arguments, reason = "one for each type")]
fn futures_are_send(
    mut stream: TcpStream,
    listener: &TcpListener,
    mut unix: UnixStream,
    unix_listener: &UnixListener,
    fd: &AsyncFd<std::net::UdpSocket>,
    udp: &UdpSocket,
    path: &Path,
    address: SocketAddr,
) {
    is_send(TcpStream::connect(address));
    is_send(TcpStream::connect("name:80"));
    is_send(ConnectOptions::new().connect(("name", 80)));
    is_send(UnixStream::connect(path));
    is_send(UnixStream::connect_abstract("name"));
    is_send(listener.accept());
    is_send(listener.pending());
    is_send(unix_listener.accept());
    is_send(stream.readable());
    is_send(stream.writable());
    is_send(stream.closed());
    is_send(stream.read_closed());
    is_send(stream.send_file(std::io::stdin(), &mut 0, 1));
    is_send(stream.read(&mut []));
    is_send(stream.write(&[]));
    is_send(stream.flush());
    is_send(unix.write_all(&[]));
    is_send(fd.read_with(|_| Ok(())));
    is_send(fd.write_with(|_| Ok(())));
    is_send(lookup_host("name:80"));
    is_send(time::sleep(Duration::ZERO));
    is_send(time::timeout(Duration::ZERO, stream.readable()));
    is_send(time::interval(Duration::from_secs(1)).tick());
    is_send(signal::shutdown());
    is_send(signal::shutdown().recv());
    is_send(signal::listen(&[]).unwrap().recv());
    is_send(spawn_blocking(|| ()));
    is_send(fs::read(path));
    is_send(fs::File::open(path));
    is_send(process::Command::new("true").output());
    is_send(io::stdin().read(&mut []));
    is_send(io::stdout().write(&[]));
    is_send(io::PipeWriter::open(path));
    is_send(udp.recv_from(&mut []));
    is_send(udp.send_to(&[], address));
    is_send(udp.connect("name:80"));
    is_send(ThreadPool::new(1).spawn(|| ()));
    is_send(descriptors::freed());
    is_send(yield_now());
}

#[test]
fn a_wait_for_a_freed_descriptor_that_is_dropped_on_another_thread_leaves_no_waker() {
    run(async {
        let waker = std::sync::Arc::new(Flag);
        let std_waker = Waker::from(waker.clone());
        let mut freed = Box::pin(descriptors::freed());
        let waits = freed.as_mut().poll(&mut Context::from_waker(&std_waker));
        assert!(waits.is_pending());
        drop(std_waker);
        thread::spawn(move || drop(freed)).join().unwrap();
        yield_now().await;
        yield_now().await;
        assert_eq!(std::sync::Arc::strong_count(&waker), 1);
    });
}

struct Flag;

impl std::task::Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {}
}

/// A thread outside the runtime may use a socket while it need not wait. It reads what is there, and the task
/// in the runtime still sees each later event.
#[test]
fn a_socket_that_another_thread_reads_from_loses_no_event() {
    run(async {
        let (client, server) = tcp_pair().await;
        let (mut writing, mut reading) = (&client, &server);
        let mut byte = [0];
        writing.write_all(b"a").await.unwrap();
        reading.read_exact(&mut byte).await.unwrap();
        for _ in 0..100 {
            let mut next = pin!(server.readable());
            let waits = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(waits.is_pending());
            writing.write_all(b"bc").await.unwrap();
            next.await.unwrap();
            // The other thread takes a part, and its short read says nothing about this thread's readiness.
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(server.try_read(&mut [0]).unwrap(), 1));
            });
            reading.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, *b"c");
            thread::scope(|scope| {
                scope.spawn(|| assert!(server.try_read(&mut [0]).is_err()));
            });
        }
    });
}
