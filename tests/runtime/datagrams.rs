//! Claims about datagrams: whole or an error, empty ones, errors that pass, queues that are full.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::support::process::alone;
use crate::support::runtime::run;
use futures_lite::AsyncReadExt;
use futures_lite::future::poll_once;
use rustix::io::Errno;
use waterwheel::runtime::net::{UdpSocket, UnixDatagram, UnixListener};
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{join, spawn, yield_now};

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Two sockets that are connected to each other.
async fn udp_pair() -> (UdpSocket, UdpSocket) {
    let (ours, theirs) = (
        UdpSocket::bind(LOOPBACK).unwrap(),
        UdpSocket::bind(LOOPBACK).unwrap(),
    );
    ours.connect(theirs.local_address().unwrap()).await.unwrap();
    theirs.connect(ours.local_address().unwrap()).await.unwrap();
    (ours, theirs)
}

/// A folder that is removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ww-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_datagram_arrives_whole_with_its_sender() {
    run(async {
        let server = UdpSocket::bind("localhost:0").unwrap();
        let to = server.local_address().unwrap();
        let client = UdpSocket::bind(LOOPBACK).unwrap();
        assert_eq!(client.send_to(b"one", to).await.unwrap(), 3);
        assert_eq!(client.try_send_to(b"two!", to).unwrap(), 4);
        let mut buffer = [0; 16];
        let peeked = server.peek_from(&mut buffer[..2]).await.unwrap();
        assert_eq!(peeked, (2, client.local_address().unwrap()));
        for (bytes, content) in [(3, "one"), (4, "two!")] {
            let received = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(received, (bytes, client.local_address().unwrap()));
            assert_eq!(&buffer[..bytes], content.as_bytes());
        }
        let none = server.try_recv_from(&mut buffer).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn a_datagram_that_is_longer_than_the_buffer_is_an_error_and_the_next_one_arrives() {
    run(async {
        let (ours, theirs) = udp_pair().await;
        for datagram in [&b"exactly8"[..], b"nine char", b"after"] {
            ours.send(datagram).await.unwrap();
        }
        let mut buffer = [0; 8];
        assert_eq!(theirs.recv(&mut buffer).await.unwrap(), 8);
        let error = theirs.recv(&mut buffer).await.unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::MSGSIZE));
        assert_eq!(&buffer, b"nine cha");
        assert_eq!(theirs.recv(&mut buffer).await.unwrap(), 5);
    });
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    run(async {
        let (ours, theirs) = udp_pair().await;
        for datagram in [&b""[..], b"a", b""] {
            assert_eq!(ours.send(datagram).await.unwrap(), datagram.len());
            assert_eq!(theirs.recv(&mut [0; 4]).await.unwrap(), datagram.len());
        }
    });
}

/// The answer of the peer's machine to an earlier datagram (ICMP, port unreachable) is an error of a later call.
#[test]
fn a_socket_works_on_after_its_peer_has_refused_a_datagram() {
    alone(|| {
        run(async {
            let ours = UdpSocket::bind(LOOPBACK).unwrap();
            let gone = net::UdpSocket::bind(LOOPBACK).unwrap();
            let address = gone.local_addr().unwrap();
            drop(gone);
            ours.connect(address).await.unwrap();
            for _ in 0..3 {
                ours.send(b"lost").await.unwrap();
                let error = ours.recv(&mut [0; 8]).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                // The error was reported once. The next call waits.
                assert!(poll_once(ours.recv(&mut [0; 8])).await.is_none());
            }
            let back = net::UdpSocket::bind(address).unwrap();
            ours.send(b"here").await.unwrap();
            back.send_to(b"answer", ours.local_address().unwrap())
                .unwrap();
            assert_eq!(ours.recv(&mut [0; 8]).await.unwrap(), 6);
        });
    });
}

#[test]
fn a_connected_socket_receives_only_from_its_peer() {
    run(async {
        let (ours, theirs) = udp_pair().await;
        let stranger = UdpSocket::bind(LOOPBACK).unwrap();
        let address = theirs.local_address().unwrap();
        stranger.send_to(b"stranger", address).await.unwrap();
        ours.send(b"peer").await.unwrap();
        let mut buffer = [0; 8];
        let received = theirs.recv_from(&mut buffer).await.unwrap();
        assert_eq!(received, (4, ours.local_address().unwrap()));
        assert_eq!(
            theirs.peer_address().unwrap(),
            ours.local_address().unwrap()
        );
    });
}

#[test]
fn a_socket_connects_by_name() {
    run(async {
        let server = UdpSocket::bind(LOOPBACK).unwrap();
        let port = server.local_address().unwrap().port();
        let client = UdpSocket::bind(LOOPBACK).unwrap();
        client.connect(("localhost", port)).await.unwrap();
        assert_eq!(
            client.peer_address().unwrap(),
            server.local_address().unwrap()
        );
    });
}

/// Many datagrams come in one event, and each is received: a short read proves nothing about the next one.
#[test]
fn no_datagram_waits_for_the_event_of_another_one() {
    run(async {
        let (ours, theirs) = udp_pair().await;
        let receive = async {
            let mut numbers = Vec::new();
            let mut buffer = [0; 64];
            while numbers.len() < 100 {
                let bytes = theirs.recv(&mut buffer).await.unwrap();
                numbers.push(buffer[..bytes].to_vec());
            }
            numbers
        };
        let send = async {
            for number in 0..100_u8 {
                ours.send(&[number]).await.unwrap();
                if number % 10 == 0 {
                    yield_now().await;
                }
            }
        };
        let (received, ()) = timeout(Duration::from_secs(60), join(receive, send))
            .await
            .unwrap();
        assert!((0..100).map(|number| vec![number]).eq(received));
    });
}

#[test]
fn a_receive_that_is_dropped_while_it_waits_loses_no_datagram_and_leaves_no_waiter() {
    run(async {
        let (ours, theirs) = udp_pair().await;
        let mut buffer = [0; 8];
        for _ in 0..3 {
            {
                let mut receive = pin!(theirs.recv(&mut buffer));
                let waits = receive
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                assert!(waits.is_pending());
                ours.send(b"kept").await.unwrap();
                theirs.readable().await.unwrap();
            }
            assert_eq!(theirs.recv(&mut buffer).await.unwrap(), 4);
        }
    });
}

#[test]
fn a_task_that_receives_for_ever_lets_others_run() {
    run(async {
        let socket = UdpSocket::bind(LOOPBACK).unwrap();
        socket
            .connect(socket.local_address().unwrap())
            .await
            .unwrap();
        let task = spawn(async move {
            loop {
                socket.send(b"to myself").await.unwrap();
                socket.recv(&mut [0; 16]).await.unwrap();
            }
        });
        for _ in 0..100 {
            yield_now().await;
        }
        task.abort();
    });
}

#[test]
fn a_unix_datagram_arrives_whole_with_the_path_of_its_sender() {
    run(async {
        let folder = Folder::new("datagram");
        let server = UnixDatagram::bind(folder.path("server")).unwrap();
        let client = UnixDatagram::bind(folder.path("client")).unwrap();
        client
            .send_to(b"question", server.path().unwrap())
            .await
            .unwrap();
        let mut buffer = [0; 8];
        let (bytes, from) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(
            (&buffer[..bytes], from.as_pathname()),
            (&b"question"[..], client.path())
        );
        server.send_to_address(b"an answer", &from).await.unwrap();
        let error = client.recv(&mut buffer).await.unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::MSGSIZE));
        let path = server.path().unwrap().to_owned();
        assert!(path.exists());
        drop(server);
        assert!(!path.exists());
    });
}

#[test]
fn a_unix_datagram_has_a_path_or_an_abstract_name_or_no_name() {
    run(async {
        let name = format!("ww-datagram-{}", std::process::id());
        let server = UnixDatagram::bind_abstract(&name).unwrap();
        let taken = UnixDatagram::bind_abstract(&name).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        let client = UnixDatagram::unbound().unwrap();
        client.connect_abstract(&name).unwrap();
        client.send(b"a").await.unwrap();
        let (_, from) = server.recv_from(&mut [0; 4]).await.unwrap();
        assert!(from.is_unnamed());
        let unanswerable = server.send_to_address(b"b", &from).await.unwrap_err();
        assert_eq!(unanswerable.kind(), io::ErrorKind::InvalidInput);
        let own = UnixDatagram::bind_abstract(format!("{name}-2")).unwrap();
        own.connect_abstract(&name).unwrap();
        own.send(b"c").await.unwrap();
        let (_, from) = server.recv_from(&mut [0; 4]).await.unwrap();
        server.send_to_address(b"d", &from).await.unwrap();
        own.readable().await.unwrap();
    });
}

#[test]
fn a_dead_socket_file_is_replaced_and_a_living_one_is_not() {
    alone(|| {
        let folder = Folder::new("dead-datagram");
        let path = folder.path("mill");
        drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
        let living = UnixDatagram::bind(&path).unwrap();
        assert_eq!(
            UnixDatagram::bind(&path).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(living);
        std::fs::write(&path, "not a socket").unwrap();
        assert_eq!(
            UnixDatagram::bind(&path).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    });
}

/// The kernel reports no event for room in the queue of a peer to which a socket is not connected.
#[test]
fn a_sender_waits_until_the_queue_of_the_peer_has_room() {
    run(async {
        let folder = Folder::new("full-datagram");
        let server = UnixDatagram::bind(folder.path("server")).unwrap();
        for connected in [true, false] {
            let client = UnixDatagram::unbound().unwrap();
            client.connect(folder.path("server")).unwrap();
            while client.try_send(b"fill").is_ok() {}
            let client = if connected {
                client
            } else {
                UnixDatagram::unbound().unwrap()
            };
            let send = async {
                for _ in 0..20 {
                    if connected {
                        client.send(b"more").await.unwrap();
                    } else {
                        client
                            .send_to(b"more", server.path().unwrap())
                            .await
                            .unwrap();
                    }
                }
            };
            let receive = async {
                let mut more = 0;
                let mut buffer = [0; 8];
                while more < 20 {
                    server.recv(&mut buffer).await.unwrap();
                    more += u32::from(buffer.starts_with(b"more"));
                    yield_now().await;
                }
            };
            let both = join(send, receive);
            timeout(Duration::from_secs(60), both).await.unwrap();
        }
    });
}

#[test]
fn a_datagram_socket_moves_between_runtimes() {
    let std = run(async {
        let (ours, theirs) = udp_pair().await;
        assert!(poll_once(theirs.recv(&mut [0; 4])).await.is_none());
        drop(ours);
        theirs.into_std()
    });
    run(async {
        let again = UdpSocket::from_std(std).unwrap();
        assert!(poll_once(again.recv(&mut [0; 4])).await.is_none());
        let address: SocketAddr = again.local_address().unwrap();
        assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    });
}

#[test]
fn a_path_that_is_too_long_is_an_error_of_each_call_and_makes_no_file() {
    run(async {
        let path = std::env::temp_dir().join("x".repeat(200));
        let error = UnixDatagram::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let socket = UnixDatagram::unbound().unwrap();
        assert!(socket.connect(&path).is_err());
        assert!(socket.send_to(b"a", &path).await.is_err());
        assert!(UnixDatagram::bind_abstract([b'x'; 200]).is_err());
        assert!(!path.exists());
    });
}

/// The kernel accepts a path that fills `sun_path` to the last byte, without a zero byte at its end (`unix(7)`). The
/// address that it returns is one byte longer than the structure. `std::os::unix::net::SocketAddr` cannot be made of
/// such a path.
#[test]
fn a_peer_with_the_longest_path_costs_no_datagram_and_no_connection() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, sendto, socket};
    run(async {
        let folder = Folder::new("longest");
        let longest = |first: &str| {
            let path = folder.path(first).into_os_string().into_string().unwrap();
            format!("{path:x<108}")
        };
        let peer = |first: &str, kind| {
            let peer = socket(AddressFamily::UNIX, kind, None).unwrap();
            bind(&peer, &SocketAddrUnix::new(longest(first)).unwrap()).unwrap();
            peer
        };
        let server = UnixDatagram::bind(folder.path("server")).unwrap();
        let to = SocketAddrUnix::new(server.path().unwrap()).unwrap();
        let client = peer("d", SocketType::DGRAM);
        let mut buffer = [0; 8];
        for datagram in [&b"one"[..], b"two", b"three", b"four"] {
            sendto(&client, datagram, rustix::net::SendFlags::empty(), &to).unwrap();
        }
        assert_eq!(server.peek_from(&mut buffer).await.unwrap().0, 3);
        let (bytes, from) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..bytes], from.is_unnamed()), (&b"one"[..], true));
        let (bytes, _) = server.try_recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..bytes], b"two");
        let polled = poll_fn(|cx| server.poll_recv_from(cx, &mut buffer)).await;
        assert_eq!(polled.unwrap().0, 5);
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 4);

        let listener = UnixListener::bind(folder.path("listener")).unwrap();
        let client = peer("s", SocketType::STREAM);
        let to = SocketAddrUnix::new(listener.path().unwrap()).unwrap();
        connect(&client, &to).unwrap();
        rustix::io::write(&client, b"stream").unwrap();
        let mut stream = listener.accept().await.unwrap();
        assert!(!format!("{stream:?}").is_empty()); // it has the address of the peer
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 6);
    });
}

#[test]
fn an_error_wakes_the_readers_of_a_socket_and_takes_no_datagram_from_them() {
    alone(|| {
        run(async {
            let peer = net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let peer_address = peer.local_addr().unwrap();
            let socket = std::rc::Rc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            socket.connect(peer_address).await.unwrap();
            drop(peer);
            let readers = [(); 3].map(|()| {
                let socket = socket.clone();
                spawn(async move {
                    let mut buffer = [0; 4];
                    let mut errors = 0;
                    loop {
                        match socket.recv(&mut buffer).await {
                            Ok(bytes) => return (bytes, errors),
                            Err(error) => {
                                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                                errors += 1;
                            }
                        }
                    }
                })
            });
            yield_now().await;
            assert_eq!(socket.send(b"lost").await.unwrap(), 4);
            waterwheel::runtime::time::sleep(Duration::from_millis(5)).await;
            let peer = net::UdpSocket::bind(peer_address).unwrap();
            for bytes in [&b"1"[..], b"", b"333"] {
                peer.send_to(bytes, socket.local_address().unwrap())
                    .unwrap();
            }
            let (mut bytes, mut errors) = (0, 0);
            for reader in readers {
                let ended = timeout(Duration::from_secs(10), reader).await;
                let (own_bytes, own_errors) = ended.expect("each has its datagram").unwrap();
                bytes += own_bytes;
                errors += own_errors;
            }
            assert_eq!((bytes, errors), (4, 1));
        });
    });
}

#[test]
fn an_empty_datagram_fits_into_an_empty_buffer() {
    run(async {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.send(b"").await.unwrap();
        theirs.send(b"a").await.unwrap();
        assert_eq!(ours.recv(&mut []).await.unwrap(), 0);
        let error = ours.recv(&mut []).await.unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::MSGSIZE));
        assert!(poll_once(pin!(ours.recv(&mut []))).await.is_none());
    });
}

#[test]
fn a_sender_that_waits_for_room_is_woken_by_the_end_of_its_peer() {
    run(async {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        while ours.try_send(b"full").is_ok() {}
        let waiting = spawn(async move { ours.send(b"late").await });
        yield_now().await;
        drop(theirs);
        let ended = timeout(Duration::from_secs(10), waiting).await;
        assert!(ended.expect("it is woken").unwrap().is_err());
    });
}
