//! Claims about connecting: names, several addresses, options, and sockets that lose.

use std::future::Future;
use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::support::process::alone;
use crate::support::programs::reserve_port;
use crate::support::runtime::run;
use futures_lite::future::poll_once;
use waterwheel::runtime::net::{ConnectOptions, Destination, TcpListener, TcpStream};
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{descriptors, spawn, yield_now};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap();
    (listener, address)
}

/// An address at which an attempt neither succeeds nor fails: the queue of the listener is full, so the kernel
/// drops each SYN.
struct Silent {
    address: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl Silent {
    fn new() -> Self {
        let new = || {
            let socket = socket2::Socket::new(
                socket2::Domain::IPV4,
                socket2::Type::STREAM,
                Some(socket2::Protocol::TCP),
            );
            socket.unwrap()
        };
        let listener = new();
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        for _ in 0..16 {
            let client = new();
            client.set_nonblocking(true).unwrap();
            drop(client.connect(&address));
            queued.push(client);
        }
        Self {
            address: address.as_socket().unwrap(),
            _listener: listener,
            _queued: queued,
        }
    }
}

#[test]
fn a_name_and_a_port_connect() {
    run(async {
        let (_listener, address) = listener();
        let port = address.port();
        let text = format!("localhost:{port}");
        for to in [
            Destination::from(&text),
            text.as_str().into(),
            ("localhost", port).into(),
            ("localhost".to_owned(), port).into(),
            ("127.0.0.1", port).into(),
            address.to_string().into(),
            (address.ip(), port).into(),
            address.into(),
            vec![address].into(),
            [address].as_slice().into(),
        ] {
            let stream = TcpStream::connect(to.clone()).await;
            let peer = stream.unwrap_or_else(|error| panic!("{to:?}: {error}"));
            assert_eq!(peer.peer_address().unwrap(), address, "{to:?}");
        }
    });
}

#[test]
fn a_text_that_is_no_destination_is_an_error() {
    run(async {
        for text in [
            "",
            ":",
            "localhost",
            "localhost:",
            "127.0.0.1",
            "localhost:65536",
        ] {
            let error = TcpStream::connect(text).await.unwrap_err();
            assert_eq!(
                error.kind(),
                io::ErrorKind::InvalidInput,
                "{text:?}: {error}"
            );
        }
        let none = TcpStream::connect(Vec::new()).await.unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::InvalidInput);
        // RFC 6761, section 6.4: the top-level name `invalid` never resolves.
        assert!(TcpStream::connect("no-such-host.invalid:80").await.is_err());
    });
}

/// Connects to the last of these addresses. Returns the shortest time of several tries: the machine may be busy.
async fn shortest_time(addresses: &[SocketAddr], enough: Duration) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..8 {
        let start = Instant::now();
        let stream = TcpStream::connect(addresses).await.unwrap();
        shortest = shortest.min(start.elapsed());
        assert_eq!(stream.peer_address().ok().as_ref(), addresses.last());
        if shortest < enough {
            break;
        }
    }
    shortest
}

#[test]
fn a_refused_attempt_makes_the_next_address_due_at_once() {
    run(async {
        let (_listener, address) = listener();
        // Far less than the two delays of 250 ms between attempts that do not fail.
        let enough = Duration::from_millis(240);
        let ((_first, first), (_second, second)) = (reserve_port(), reserve_port());
        let addresses = [first, second, address];
        let time = shortest_time(&addresses, enough).await;
        assert!(time < enough, "{time:?}");
    });
}

#[test]
fn an_address_that_is_silent_delays_the_next_one_by_a_quarter_of_a_second() {
    run(async {
        let silent = Silent::new();
        let (_listener, address) = listener();
        let start = Instant::now();
        let stream = TcpStream::connect(vec![silent.address, address])
            .await
            .unwrap();
        assert_eq!(stream.peer_address().unwrap(), address);
        assert!(
            start.elapsed() >= Duration::from_millis(250),
            "{:?}",
            start.elapsed()
        );
    });
}

/// The attempt at the silent address still runs when the second one fails.
#[test]
fn a_refused_attempt_beside_a_silent_one_makes_the_next_address_due_at_once() {
    run(async {
        let silent = Silent::new();
        let (_listener, address) = listener();
        // Less than two delays.
        let enough = Duration::from_millis(490);
        let (_closed, closed) = reserve_port();
        let addresses = [silent.address, closed, address];
        let time = shortest_time(&addresses, enough).await;
        assert!(
            time >= Duration::from_millis(250) && time < enough,
            "{time:?}"
        );
    });
}

#[test]
fn if_all_addresses_fail_the_last_error_is_returned() {
    run(async {
        let (_closed, closed) = reserve_port();
        let error = TcpStream::connect(vec![closed, closed]).await.unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::CONNREFUSED.raw_os_error())
        );
    });
}

#[test]
fn no_socket_of_an_attempt_is_left_by_a_winner_an_error_or_a_drop() {
    // Other tests open sockets at the same time, so this one needs a process of its own.
    alone(|| {
        run(async {
            let silent = Silent::new();
            let (_listener, address) = listener();
            let (_closed, closed) = reserve_port();
            let before = descriptors::held();
            for _ in 0..3 {
                let won = TcpStream::connect(vec![silent.address, address])
                    .await
                    .unwrap();
                assert_eq!(descriptors::held(), before + 1);
                drop(won);
                let refused = TcpStream::connect(vec![closed, closed]).await;
                assert!(refused.is_err());
                let many = vec![silent.address, silent.address, silent.address];
                let connect = TcpStream::connect(many);
                assert!(timeout(Duration::from_millis(600), connect).await.is_err());
                assert_eq!(descriptors::held(), before);
            }
        });
    });
}

/// A connect is dropped in each of its states: not polled, resolving, connecting.
#[test]
fn a_connect_that_is_dropped_at_any_await_leaves_the_runtime_usable() {
    run(async {
        let silent = Silent::new();
        drop(TcpStream::connect("localhost:1"));
        assert!(poll_once(TcpStream::connect("localhost:1")).await.is_none());
        assert!(
            poll_once(TcpStream::connect(silent.address))
                .await
                .is_none()
        );
        let mut connect = pin!(TcpStream::connect(silent.address));
        for _ in 0..3 {
            let waits = connect
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(waits.is_pending());
            yield_now().await;
        }
    });
}

#[test]
fn options_of_a_client_reach_its_socket() {
    run(async {
        let (_listener, address) = listener();
        let local = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
        let options = ConnectOptions::new()
            .bind(local)
            .reuse_address(true)
            .nodelay(true)
            .keepalive(Duration::from_secs(70))
            .send_buffer_bytes(40_000)
            .receive_buffer_bytes(50_000)
            .hops_max(5);
        let stream = options.connect(address).await.unwrap();
        assert_eq!(stream.local_address().unwrap().ip(), local.ip());
        assert!(stream.nodelay().unwrap());
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(70)
        );
        assert!(socket.send_buffer_size().unwrap() >= 40_000);
        assert!(socket.recv_buffer_size().unwrap() >= 50_000);
        assert_eq!(socket.ttl_v4().unwrap(), 5);
        assert!(
            !TcpStream::connect(address)
                .await
                .unwrap()
                .nodelay()
                .unwrap()
        );
    });
}

#[test]
fn a_client_that_is_bound_tries_only_peers_of_its_family() {
    run(async {
        let (_listener, address) = listener();
        let options = ConnectOptions::new().bind((Ipv4Addr::LOCALHOST, 0).into());
        let v6 = SocketAddr::from((net::Ipv6Addr::LOCALHOST, address.port()));
        let stream = options.connect(vec![v6, address]).await.unwrap();
        assert_eq!(stream.peer_address().unwrap(), address);
        assert!(options.connect(v6).await.is_err());
    });
}

#[test]
fn many_clients_connect_by_name_at_once() {
    run(async {
        let (listener, address) = listener();
        let clients: Vec<_> = (0..40)
            .map(|_| spawn(TcpStream::connect(format!("localhost:{}", address.port()))))
            .collect();
        for client in clients {
            client.await.unwrap().unwrap();
            listener.accept().await.unwrap();
        }
    });
}

/// The kernel counts whole seconds, and refuses a time of zero.
#[test]
fn a_keepalive_of_less_than_a_second_is_one_of_a_second() {
    run(async {
        let (_listener, address) = listener();
        for after in [Duration::from_millis(500), Duration::ZERO] {
            let options = ConnectOptions::new().keepalive(after);
            let stream = options.connect(address).await.unwrap();
            let socket = socket2::SockRef::from(&stream);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(1));
        }
        let options = ConnectOptions::new().keepalive(Duration::MAX);
        drop(options.connect(address).await);
    });
}

#[test]
fn no_address_at_all_is_an_error() {
    run(async {
        let none = Vec::<SocketAddr>::new();
        let error = TcpStream::connect(none.clone()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let socket = waterwheel::runtime::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(socket.connect(none).await.is_err());
    });
}

/// RFC 4007, section 11: a zone of an address. The text of a socket address has its number.
#[test]
fn a_v6_address_with_a_zone_connects() {
    run(async {
        let Ok(listener) = TcpListener::bind("[::1]:0") else {
            return crate::support::skip::skip("there is no IPv6");
        };
        let port = listener.local_address().unwrap().port();
        for text in [format!("[::1]:{port}"), format!("[::1%1]:{port}")] {
            let stream = TcpStream::connect(&text).await;
            assert_eq!(
                stream.unwrap().peer_address().unwrap().port(),
                port,
                "{text}"
            );
        }
        for host in ["::1", "::1%1"] {
            let stream = TcpStream::connect((host, port)).await;
            assert_eq!(
                stream.unwrap().peer_address().unwrap().port(),
                port,
                "{host}"
            );
        }
        for text in [
            "[::1",
            "[::1]",
            "::1",
            ":80",
            "",
            "a\0b:80",
            "127.0.0.1:65536",
        ] {
            assert!(TcpStream::connect(text).await.is_err(), "{text}");
        }
    });
}
