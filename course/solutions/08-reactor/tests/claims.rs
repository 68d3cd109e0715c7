//! The claims of stage 8.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use claims::in_time;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use solution_08::{Direction, Registration, block_on, join, oneshot, race, sleep, spawn};

/// Two connected sockets that do not block.
fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// Reads until the kernel has no more bytes. Returns their number.
fn read_all(mut socket: &UnixStream, registration: &Registration) -> usize {
    let mut bytes = 0;
    loop {
        match socket.read(&mut [0; 64]) {
            Ok(0) => return bytes,
            Ok(more) => bytes += more,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                registration.clear(Direction::Read);
                return bytes;
            }
        }
    }
}

/// Writes until the kernel takes no more bytes. Returns their number.
fn write_all(mut socket: &UnixStream, registration: &Registration) -> usize {
    let mut bytes = 0;
    loop {
        match socket.write(&[0; 4096]) {
            Ok(more) => bytes += more,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                registration.clear(Direction::Write);
                return bytes;
            }
        }
    }
}

/// This claim is about the kernel, and holds from the start.
#[test]
fn epoll_reports_an_edge_once_although_bytes_are_left() {
    in_time(|| {
        let (reader, mut writer) = pair();
        let mut poll = Poll::new().unwrap();
        let registry = poll.registry();
        registry
            .register(
                &mut SourceFd(&reader.as_raw_fd()),
                Token(1),
                Interest::READABLE,
            )
            .unwrap();
        let mut events = Events::with_capacity(8);
        let mut count = |poll: &mut Poll| {
            poll.poll(&mut events, Some(Duration::from_millis(20)))
                .unwrap();
            events.iter().count()
        };
        writer.write_all(b"two bytes").unwrap();
        assert_eq!(count(&mut poll), 1);
        // All bytes are still there, and epoll is silent.
        assert_eq!(count(&mut poll), 0);
        writer.write_all(b"more").unwrap();
        assert_eq!(count(&mut poll), 1);
    });
}

#[test]
fn todo_3_a_new_socket_counts_as_ready() {
    in_time(|| {
        block_on(async {
            let (socket, _other) = pair();
            let registration = Registration::new(&socket).unwrap();
            registration.ready(Direction::Read).await;
            registration.ready(Direction::Write).await;
        });
    });
}

#[test]
fn todo_1_to_4_a_task_waits_until_bytes_arrive() {
    in_time(|| {
        let begin = Instant::now();
        block_on(async {
            let (socket, mut other) = pair();
            let reader = spawn(async move {
                let registration = Registration::new(&socket).unwrap();
                assert_eq!(read_all(&socket, &registration), 0);
                registration.ready(Direction::Read).await;
                read_all(&socket, &registration)
            });
            sleep(Duration::from_millis(30)).await;
            other.write_all(b"hello").unwrap();
            assert_eq!(reader.await.unwrap(), 5);
        });
        assert!(begin.elapsed() >= Duration::from_millis(30));
    });
}

/// The event comes while no task waits. The source remembers it.
#[test]
fn todo_1_to_4_an_edge_is_remembered() {
    in_time(|| {
        block_on(async {
            let (socket, mut other) = pair();
            let registration = Registration::new(&socket).unwrap();
            assert_eq!(read_all(&socket, &registration), 0);
            other.write_all(b"hello").unwrap();
            sleep(Duration::from_millis(20)).await;
            registration.ready(Direction::Read).await;
            // No byte was read, so the socket is still ready.
            registration.ready(Direction::Read).await;
            assert_eq!(read_all(&socket, &registration), 5);
        });
    });
}

#[test]
fn todo_1_to_4_a_cleared_socket_waits_for_the_next_edge() {
    in_time(|| {
        block_on(async {
            let (socket, mut other) = pair();
            let registration = Registration::new(&socket).unwrap();
            for round in 0..3 {
                read_all(&socket, &registration);
                let waits = race(
                    async {
                        registration.ready(Direction::Read).await;
                        false
                    },
                    async {
                        sleep(Duration::from_millis(10)).await;
                        true
                    },
                );
                assert!(waits.await, "round {round}");
                other.write_all(b"hello").unwrap();
                registration.ready(Direction::Read).await;
            }
        });
    });
}

#[test]
fn todo_1_to_4_a_writer_waits_until_the_peer_reads() {
    in_time(|| {
        block_on(async {
            let (socket, other) = pair();
            let registration = Registration::new(&socket).unwrap();
            let filled = write_all(&socket, &registration);
            assert!(filled > 4096);
            let slow_reader = async {
                sleep(Duration::from_millis(20)).await;
                let registration = Registration::new(&other).unwrap();
                assert_eq!(read_all(&other, &registration), filled);
            };
            join(registration.ready(Direction::Write), slow_reader).await;
            assert!(write_all(&socket, &registration) > 0);
        });
    });
}

/// The end of the stream is no byte. But a read returns at once, so the reader must be woken.
#[test]
fn todo_1_to_4_a_close_makes_the_peer_readable_and_stays() {
    in_time(|| {
        block_on(async {
            let (socket, other) = pair();
            let registration = Registration::new(&socket).unwrap();
            read_all(&socket, &registration);
            let closing = async {
                sleep(Duration::from_millis(10)).await;
                drop(other);
            };
            join(registration.ready(Direction::Read), closing).await;
            registration.clear(Direction::Read);
            registration.ready(Direction::Read).await;
        });
    });
}

#[test]
fn todo_1_to_4_one_task_reads_a_socket_and_another_one_writes_it() {
    in_time(|| {
        block_on(async {
            let (socket, other) = pair();
            let socket = Rc::new(socket);
            let registration = Rc::new(Registration::new(&*socket).unwrap());
            let filled = write_all(&socket, &registration);
            read_all(&socket, &registration);
            let woken = Rc::new(Cell::new(0));
            let [reader, writer] = [Direction::Read, Direction::Write].map(|direction| {
                let (registration, woken) = (registration.clone(), woken.clone());
                spawn(async move {
                    registration.ready(direction).await;
                    woken.set(woken.get() + 1);
                })
            });
            sleep(Duration::from_millis(10)).await;
            assert_eq!(woken.get(), 0);
            (&other).write_all(b"hello").unwrap();
            reader.await.unwrap();
            assert_eq!(woken.get(), 1);
            let of_other = Registration::new(&other).unwrap();
            assert_eq!(read_all(&other, &of_other), filled);
            writer.await.unwrap();
            assert_eq!(woken.get(), 2);
        });
    });
}

#[test]
fn todo_4_another_thread_ends_the_wait_in_epoll() {
    in_time(|| {
        let (sender, receiver) = oneshot();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            sender.send(7);
        });
        let begin = Instant::now();
        assert_eq!(block_on(receiver), 7);
        assert!(begin.elapsed() < Duration::from_secs(5));
        thread.join().unwrap();
    });
}

#[test]
fn todo_4_a_deadline_ends_the_wait_in_epoll() {
    in_time(|| {
        let begin = Instant::now();
        block_on(sleep(Duration::from_millis(30)));
        assert!(begin.elapsed() >= Duration::from_millis(30));
        assert!(begin.elapsed() < Duration::from_secs(5));
    });
}
