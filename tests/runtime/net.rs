//! Claims about sockets: edges, ends, many waiters, files, pipes, descriptors, signals.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::net::{self, Shutdown};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::support::process::alone;
use crate::support::runtime::{Counted, run, tcp_pair, tcp_with_std};
use futures_lite::future::poll_once;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use waterwheel::runtime::net::{AsyncFd, ListenOptions, TcpListener, TcpStream};
use waterwheel::runtime::{JoinHandle, descriptors, join, race, spawn, yield_now};

#[test]
fn a_reader_receives_bytes_and_the_end_of_the_stream_from_one_segment() {
    run(async {
        let (mut ours, mut peer) = tcp_with_std().await;
        let mut buffer = [0; 64];
        assert!(poll_once(ours.read(&mut buffer)).await.is_none());
        peer.write_all(b"a request").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ours.read(&mut buffer).await.unwrap(), 9);
        assert_eq!(ours.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(ours.read(&mut buffer).await.unwrap(), 0);
        assert!(ours.is_read_closed());
    });
}

#[test]
fn a_connection_may_end_in_a_reset() {
    run(async {
        let (mut ours, mut peer) = tcp_with_std().await;
        ours.write_all(b"this still comes").await.unwrap();
        ours.reset_on_drop().unwrap();
        drop(ours);
        let mut read = Vec::new();
        let error = peer.read_to_end(&mut read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(read, b"this still comes");
    });
}

#[test]
fn a_task_that_moves_many_bytes_lets_others_run() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 64;
    run(async {
        let (mut ours, mut peer) = tcp_with_std().await;
        let sender = std::thread::spawn(move || peer.write_all(&vec![0; PIECE * PIECES]).unwrap());
        let polls = Rc::new(Cell::new(0));
        let reader = Counted {
            polls: polls.clone(),
            future: Box::pin(async move {
                let mut piece = vec![0; PIECE];
                for _ in 0..PIECES {
                    ours.read_exact(&mut piece).await.unwrap();
                }
            }),
        };
        spawn(reader).await.unwrap();
        sender.join().unwrap();
        // At most 256 KiB, and one read beyond.
        assert!(polls.get() >= 12, "{} polls", polls.get());
    });
}

#[test]
fn a_megabyte_is_echoed() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let sent: Vec<u8> = (0..1 << 20)
            .map(|number: u32| number.to_le_bytes()[1])
            .collect();
        let echo = spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let count = server.read(&mut buffer).await.unwrap();
                if count == 0 {
                    return;
                }
                server.write_all(&buffer[..count]).await.unwrap();
            }
        });
        let mut client = client;
        let (mut reading, mut writing) = client.split();
        let write = async {
            writing.write_all(&sent).await.unwrap();
            writing.close().await.unwrap();
        };
        let read = async {
            let mut received = Vec::new();
            reading.read_to_end(&mut received).await.unwrap();
            received
        };
        let ((), received) = join(write, read).await;
        assert!(received == sent);
        echo.await.unwrap();
    });
}

#[test]
fn vectored_reads_and_writes_use_all_their_buffers() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        let slices = [IoSlice::new(b"wa"), IoSlice::new(b""), IoSlice::new(b"ter")];
        assert_eq!(client.write_vectored(&slices).await.unwrap(), 5);
        client.close().await.unwrap();
        let (mut head, mut tail) = ([0; 2], [0; 8]);
        let mut buffers = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
        assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 5);
        assert_eq!((&head, &tail[..3]), (b"wa", &b"ter"[..]));
        let mut buffers = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
        assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 0);
    });
}

#[test]
fn a_stream_that_is_always_ready_lets_others_run() {
    run(async {
        let (mut ours, mut peer) = tcp_with_std().await;
        peer.write_all(&[0; 10_000]).unwrap();
        let read = Rc::new(Cell::new(0));
        let reader = spawn({
            let read = read.clone();
            async move {
                while read.get() < 10_000 {
                    ours.read_exact(&mut [0]).await.unwrap();
                    read.set(read.get() + 1);
                }
            }
        });
        while read.get() == 0 {
            yield_now().await;
        }
        assert!(read.get() < 10_000, "the task did not let others run");
        reader.await.unwrap();
    });
}

#[test]
fn one_connection_completes_one_of_two_pending_accepts() {
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_address().unwrap();
        let accepts = [(); 2].map(|()| {
            let listener = listener.clone();
            spawn(async move { listener.accept().await.unwrap().1 })
        });
        yield_now().await;
        let first = TcpStream::connect(address).await.unwrap();
        while !accepts.iter().any(JoinHandle::is_finished) {
            yield_now().await;
        }
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(
            accepts.iter().filter(|accept| accept.is_finished()).count(),
            1
        );
        let second = TcpStream::connect(address).await.unwrap();
        let [a, b] = accepts;
        let mut peers = [a.await.unwrap(), b.await.unwrap()];
        let mut clients = [&first, &second].map(|client| client.local_address().unwrap());
        peers.sort_unstable();
        clients.sort_unstable();
        assert_eq!(peers, clients);
    });
}

#[test]
fn an_accept_that_lost_a_race_loses_no_connection() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let clients: Vec<_> = (0..100)
            .map(|_| spawn(TcpStream::connect(address)))
            .collect();
        let mut accepted = Vec::new();
        while accepted.len() < 100 {
            let accept = async { Some(listener.accept().await.unwrap()) };
            let other = async {
                yield_now().await;
                None
            };
            accepted.extend(race(accept, other).await);
        }
        for client in clients {
            client.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_refused_connection_is_an_error_at_once() {
    alone(|| {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().unwrap();
            drop(listener);
            let error = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_and_a_shared_one_is_not() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = TcpListener::bind(taken.local_address().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let shared = ListenOptions::new().reuse_port(true);
    let first = shared.bind("127.0.0.1:0").unwrap();
    shared.bind(first.local_address().unwrap()).unwrap();
}

#[test]
fn defer_accept_holds_a_silent_client_back_and_not_one_that_sends() {
    run(async {
        // A time above zero is rounded up to a second.
        let options = ListenOptions::new().defer_accept(Duration::from_millis(1));
        let listener = options.bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let begun = Instant::now();
        let silent = net::TcpStream::connect(address).unwrap();
        let mut speaking = net::TcpStream::connect(address).unwrap();
        speaking.write_all(b"first bytes").unwrap();
        let (first, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, speaking.local_addr().unwrap());
        assert_eq!(first.try_read(&mut [0; 64]).unwrap(), 11);
        let (_second, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, silent.local_addr().unwrap());
        assert!(begun.elapsed() > Duration::from_millis(900));
    });
}

#[test]
fn closed_waits_for_a_reset_and_not_for_the_end_of_the_stream() {
    run(async {
        let (ours, peer) = tcp_with_std().await;
        let mut closed = pin!(ours.closed());
        assert!(poll_once(closed.as_mut()).await.is_none());
        peer.shutdown(Shutdown::Write).unwrap();
        ours.read_closed().await;
        assert!(
            poll_once(closed.as_mut()).await.is_none(),
            "a FIN is not the end"
        );
        // Closing with unread bytes sends a reset.
        assert_eq!((&ours).write(b"never read").await.unwrap(), 10);
        peer.peek(&mut [0]).unwrap();
        drop(peer);
        closed.await;
    });
}

#[test]
fn a_reader_a_writer_and_two_tasks_that_await_the_end_are_all_woken() {
    run(async {
        let (ours, peer) = tcp_with_std().await;
        let ours = Rc::new(ours);
        let filler = spawn({
            let ours = ours.clone();
            async move { while (&*ours).write(&[0; 16384]).await.is_ok() {} }
        });
        let reader = spawn({
            let ours = ours.clone();
            async move { (&*ours).read(&mut [0]).await }
        });
        let closed = [(); 2].map(|()| {
            let ours = ours.clone();
            spawn(async move { ours.closed().await })
        });
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!filler.is_finished() && !reader.is_finished());
        peer.peek(&mut [0]).unwrap();
        drop(peer);
        filler.await.unwrap();
        assert!(reader.await.unwrap().is_err());
        for closed in closed {
            closed.await.unwrap();
        }
    });
}

#[test]
fn a_stale_event_does_not_reach_the_next_socket_of_its_slot() {
    run(async {
        for _ in 0..100 {
            let (ours, mut peer) = tcp_with_std().await;
            let mut ours = ours;
            assert!(poll_once(ours.read(&mut [0])).await.is_none());
            let (mut next, _next_peer) = tcp_with_std().await;
            // The event is on its way when the socket closes and another one takes its slot and its descriptor.
            peer.write_all(b"x").unwrap();
            drop(ours);
            assert!(poll_once(next.read(&mut [0])).await.is_none());
            yield_now().await;
            yield_now().await;
            assert!(poll_once(next.read(&mut [0])).await.is_none());
        }
    });
}

#[test]
fn sendfile_sends_a_part_of_a_file_and_moves_the_offset() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        let path = std::env::temp_dir().join(format!("waterwheel-{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(b"0123456789").unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        let mut offset = 2;
        assert_eq!(ours.send_file(&file, &mut offset, 4).await.unwrap(), 4);
        assert_eq!(offset, 6);
        assert_eq!(ours.send_file(&file, &mut offset, 100).await.unwrap(), 4);
        assert_eq!(ours.send_file(&file, &mut offset, 100).await.unwrap(), 0);
        ours.shutdown(Shutdown::Write).unwrap();
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "23456789");
    });
}

#[test]
fn a_stream_goes_to_the_standard_library_and_comes_back() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        for _ in 0..3 {
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            client = TcpStream::from_std(client.into_std()).unwrap();
        }
        server.write_all(b"y").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
    });
}

#[test]
fn a_pipe_is_waited_for_in_both_directions() {
    run(async {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let (reader, writer) = (AsyncFd::new(reader), AsyncFd::new(writer));
        let writing = spawn(async move {
            for _ in 0..100 {
                let block = [7; 4096];
                writer
                    .write_with(|io| Ok(rustix::io::write(io, &block)?))
                    .await
                    .unwrap();
            }
        });
        let mut total = 0;
        let mut buffer = [0; 1000];
        loop {
            let read = reader
                .read_with(|io| Ok(rustix::io::read(io, &mut buffer)?))
                .await
                .unwrap();
            if read == 0 {
                break;
            }
            total += read;
        }
        assert_eq!(total, 409_600);
        writing.await.unwrap();
    });
}

#[test]
fn a_regular_file_is_refused_by_the_reactor() {
    run(async {
        let file = AsyncFd::new(std::fs::File::open("/proc/self/comm").unwrap());
        let ready = std::future::poll_fn(|cx| file.poll_readable(cx)).await;
        assert_eq!(ready.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn a_descriptor_that_comes_back_can_be_registered_again() {
    run(async {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let mut reader = AsyncFd::new(reader);
        for _ in 0..3 {
            assert!(
                poll_once(reader.read_with(|mut io| io.read(&mut [0])))
                    .await
                    .is_none()
            );
            reader = AsyncFd::new(reader.into_inner());
        }
        writer.write_all(b"x").unwrap();
        assert_eq!(
            reader.read_with(|mut io| io.read(&mut [0])).await.unwrap(),
            1
        );
    });
}

fn lower_the_limit(files: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(files),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Opens descriptors until the process has no descriptor left.
fn exhaust() -> Vec<std::fs::File> {
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

#[test]
fn an_accept_that_fails_without_descriptors_loses_no_connection() {
    alone(|| {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().unwrap();
            assert!(poll_once(listener.accept()).await.is_none());
            let _clients = [(); 3].map(|()| std::net::TcpStream::connect(address).unwrap());
            lower_the_limit(64);
            let mut files = exhaust();
            for _ in 0..3 {
                let error = listener.accept().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(24), "EMFILE");
            }
            files.truncate(files.len() - 3);
            for _ in 0..3 {
                drop(listener.accept().await.unwrap());
            }
        });
    });
}

#[test]
fn the_descriptors_of_the_process_are_counted() {
    alone(|| {
        lower_the_limit(100);
        assert_eq!(descriptors::limit(), 100);
        let before = descriptors::open().unwrap();
        let files = exhaust();
        assert_eq!(descriptors::open().unwrap(), before + files.len());
        assert!(
            descriptors::open().unwrap() >= 100,
            "some may lie above the limit"
        );
        drop(files);
        assert_eq!(descriptors::open().unwrap(), before);
    });
}

#[test]
fn the_descriptors_are_counted_when_the_process_has_no_descriptor_left() {
    alone(|| {
        lower_the_limit(64);
        let files = exhaust();
        assert_eq!(descriptors::open().unwrap(), 64);
        drop(files);
        let now = descriptors::open().unwrap();
        assert!(now < 64, "{now}");
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(descriptors::open().unwrap(), now + 1);
        drop(file);
    });
}

#[test]
fn freed_completes_when_a_socket_is_closed() {
    run(async {
        let (client, server) = tcp_pair().await;
        let mut freed = pin!(descriptors::freed());
        assert!(poll_once(freed.as_mut()).await.is_none());
        let waiting = spawn(descriptors::freed());
        // A stream belongs to a runtime once it has waited there.
        assert!(poll_once((&server).read(&mut [0])).await.is_none());
        drop(client);
        freed.await;
        waiting.await.unwrap();
        let elsewhere = descriptors::freed();
        std::thread::spawn(move || drop(server)).join().unwrap();
        elsewhere.await;
    });
}

#[test]
fn a_datagram_socket_does_not_stay_ready_after_an_error() {
    alone(|| {
        run(async {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let gone = closed.local_addr().unwrap();
            drop(closed);
            socket.set_nonblocking(true).unwrap();
            socket.connect(gone).unwrap();
            let socket = AsyncFd::new(socket);
            assert!(
                poll_once(socket.read_with(|io| io.recv(&mut [0])))
                    .await
                    .is_none()
            );
            socket.io().send(b"x").unwrap();
            let error = socket.read_with(|io| io.recv(&mut [0])).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            // Now the socket is as it was at the start, without a datagram.
            assert!(
                poll_once(socket.read_with(|io| io.recv(&mut [0])))
                    .await
                    .is_none()
            );
            let revived = std::net::UdpSocket::bind(gone).unwrap();
            revived
                .send_to(b"y", socket.io().local_addr().unwrap())
                .unwrap();
            assert_eq!(socket.read_with(|io| io.recv(&mut [0])).await.unwrap(), 1);
        });
    });
}

#[test]
fn a_borrowed_descriptor_can_be_watched_again() {
    let read_one = |mut io: &UnixStream| io.read(&mut [0]);
    run(async {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        for _ in 0..3 {
            let watched = AsyncFd::new(&reader);
            assert!(
                poll_once(watched.read_with(|io| read_one(io)))
                    .await
                    .is_none()
            );
        }
        writer.write_all(b"x").unwrap();
        let watched = AsyncFd::new(&reader);
        assert_eq!(watched.read_with(|io| read_one(io)).await.unwrap(), 1);
    });
}

#[test]
fn a_peek_that_would_block_uses_up_the_edge() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        assert!(poll_once(ours.readable()).await.is_none());
        peer.write_all(b"x").unwrap();
        ours.readable().await.unwrap();
        assert_eq!(
            ours.try_read(&mut [0]).unwrap(),
            1,
            "a full buffer proves nothing"
        );
        let error = ours.try_peek(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(poll_once(ours.readable()).await.is_none());
    });
}

fn std_pair() -> (net::TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, peer)
}

#[test]
fn a_stream_that_was_read_before_it_first_waited_receives_later_bytes() {
    run(async {
        for ends_before in [false, true] {
            let (ours, mut peer) = std_pair();
            let mut ours = TcpStream::from_std(ours).unwrap();
            let mut buffer = [0; 64];
            peer.write_all(b"at once").unwrap();
            if ends_before {
                peer.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!(ours.read(&mut buffer).await.unwrap(), 7);
            if !ends_before {
                peer.write_all(b"more").unwrap();
                assert_eq!(ours.read(&mut buffer).await.unwrap(), 4);
                assert!(poll_once(ours.read(&mut buffer)).await.is_none());
                peer.write_all(b"later").unwrap();
                assert_eq!(ours.read(&mut buffer).await.unwrap(), 5);
                peer.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!(ours.read(&mut buffer).await.unwrap(), 0);
            ours.write_all(b"answer").await.unwrap();
        }
    });
}

#[test]
fn each_of_two_tasks_that_read_in_turn_is_woken() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        let ours = Rc::new(ours);
        for number in 0..4_u8 {
            let reader = ours.clone();
            let task = spawn(async move {
                let mut buffer = [0; 8];
                (&*reader).read(&mut buffer).await.unwrap();
                buffer[0]
            });
            yield_now().await;
            peer.write_all(&[number]).unwrap();
            assert_eq!(task.await.unwrap(), number);
        }
    });
}

/// A waker that counts its wakes.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls a read that has to wait.
fn begin_to_read(mut stream: &TcpStream, cx: &mut Context<'_>) {
    let read = Pin::new(&mut stream).poll_read(cx, &mut [0; 8]);
    assert!(read.is_pending());
}

#[test]
fn an_event_wakes_the_last_waker_with_which_a_task_has_read() {
    #[derive(Clone, Copy)]
    enum With {
        TheTasks,
        Another,
    }
    use With::{Another, TheTasks};
    run(async {
        for (order, rings) in [
            (&[TheTasks, Another][..], true),
            (&[Another, TheTasks], false),
            (&[TheTasks, Another, TheTasks], false),
            (&[TheTasks, TheTasks, Another, Another], true),
        ] {
            let (ours, mut peer) = tcp_with_std().await;
            let bell = Arc::new(Bell::default());
            let other = Waker::from(bell.clone());
            let ours = Rc::new(ours);
            let task = spawn({
                let mut begun = false;
                let ours = ours.clone();
                poll_fn(move |cx| {
                    if std::mem::replace(&mut begun, true) {
                        return Pin::new(&mut &*ours).poll_read(cx, &mut [0; 8]);
                    }
                    for with in order {
                        match with {
                            TheTasks => begin_to_read(&ours, cx),
                            Another => begin_to_read(&ours, &mut Context::from_waker(&other)),
                        }
                    }
                    Poll::Pending
                })
            });
            yield_now().await;
            peer.write_all(b"x").unwrap();
            if rings {
                while bell.0.load(Ordering::Relaxed) == 0 {
                    yield_now().await;
                }
            } else {
                assert_eq!(task.await.unwrap().unwrap(), 1);
            }
        }
    });
}

#[test]
fn bytes_that_come_between_two_reads_of_one_poll_wake_the_reader() {
    run(async {
        let (ours, mut peer) = tcp_with_std().await;
        let mut polls = 0;
        let task = spawn(poll_fn(move |cx| {
            polls += 1;
            if polls == 1 {
                begin_to_read(&ours, cx);
                peer.write_all(b"between").unwrap();
            }
            Pin::new(&mut &ours).poll_read(cx, &mut [0; 8])
        }));
        assert_eq!(task.await.unwrap().unwrap(), 7);
    });
}

#[test]
fn a_stream_with_the_id_of_a_closed_one_waits_for_its_own_events() {
    run(async {
        let (first, _first_peer) = std_pair();
        let (second, mut second_peer) = std_pair();
        let mut first = Some(TcpStream::from_std(first).unwrap());
        let second = TcpStream::from_std(second).unwrap();
        let task = spawn(poll_fn(move |cx| {
            if let Some(first) = first.take() {
                begin_to_read(&first, cx);
                drop(first);
                // Registers the stream without a reader.
                assert!(second.poll_closed(cx).is_pending());
            }
            Pin::new(&mut &second).poll_read(cx, &mut [0; 8])
        }));
        yield_now().await;
        second_peer.write_all(b"second").unwrap();
        assert_eq!(task.await.unwrap().unwrap(), 6);
    });
}

#[test]
fn a_reader_is_woken_when_another_task_closes_its_stream() {
    run(async {
        let (ours, _peer) = tcp_with_std().await;
        let ours = Rc::new(ours);
        let task = spawn({
            let ours = Rc::downgrade(&ours);
            poll_fn(move |cx| {
                let Some(ours) = ours.upgrade() else {
                    return Poll::Ready(());
                };
                begin_to_read(&ours, cx);
                Poll::Pending
            })
        });
        yield_now().await;
        drop(ours);
        task.await.unwrap();
    });
}
