//! `Builder::transport`, which makes the transport of each accepted connection.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::support::runtime::run;
use crate::support::server::{DEADLINE, without_dates};
use crate::support::system::raise_limit;
use futures_lite::AsyncReadExt;
use waterwheel::http::testing::Torture;
use waterwheel::http::{
    Builder, Io, Limits, Numbers, OnPeerLimit, Request, Responded, Result, Server, StatusCode,
    Stream, TransportInfo,
};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{JoinHandle, join, spawn, spawn_blocking};

/// The name that a client sends in its handshake: four letters.
#[derive(Clone)]
struct Name(String);

/// Reads the name. Fails for `evil`, panics for `oops`.
async fn greet(mut stream: Stream, info: &mut TransportInfo) -> io::Result<Stream> {
    let mut name = [0; 4];
    stream.read_exact(&mut name).await?;
    assert_ne!(&name, b"oops");
    if &name == b"evil" {
        return Err(ErrorKind::PermissionDenied.into());
    }
    if &name == b"prox" {
        info.set_peer_address(Some(([192, 0, 2, 1], 99).into()));
    }
    let name = String::from_utf8_lossy(&name).into_owned();
    info.extensions_mut().insert(Name(name));
    Ok(stream)
}

fn greeting(limits: Limits) -> Builder {
    Server::builder().limits(limits).transport(greet)
}

/// Answers with the facts of the connection.
async fn who(request: Request<'_>) -> Result<Responded> {
    let connection = request.connection();
    let name = connection.get().map_or("nobody", |Name(name)| name);
    let is_proxied = connection.peer_address().unwrap().port() == 99;
    assert_eq!(request.peer_address(), connection.peer_address());
    let body = format!(
        "{name} {is_proxied} {}",
        connection.local_address().unwrap().ip()
    );
    request.respond(StatusCode::OK, body, ()).await
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends a name and a request, and reads to the end.
fn ask(address: SocketAddr, name: &str) -> io::Result<String> {
    let mut stream = connect(address);
    write!(
        stream,
        "{name}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(without_dates(&answer))
}

fn answered(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Waits until the numbers are as wanted.
async fn settled(server: &Server, wanted: impl Fn(&Numbers) -> bool) {
    let until = async {
        while !wanted(&server.numbers()) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let settled = timeout(DEADLINE, until).await;
    assert!(settled.is_ok(), "{:?}", server.numbers());
}

#[test]
fn each_way_to_accept_uses_the_transport() {
    run(async {
        let server = Rc::new(greeting(Limits::default()).bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        // A connection that is accepted and pulled from.
        let client = spawn_blocking(move || ask(address, "anna"));
        let mut connection = server.accept().await.unwrap();
        assert_eq!(connection.peer_address().unwrap().ip(), address.ip());
        let request = connection.next().await.unwrap().unwrap();
        drop(who(request).await.unwrap());
        assert!(connection.next().await.unwrap().is_none());
        drop(connection);
        assert_eq!(
            client.await.unwrap().unwrap(),
            answered("anna false 127.0.0.1")
        );
        // A request that is accepted by a loop of the user's own.
        let client = spawn_blocking(move || ask(address, "bert"));
        server.accept_request(who).await.unwrap();
        assert_eq!(
            client.await.unwrap().unwrap(),
            answered("bert false 127.0.0.1")
        );
        // A request that the server's loop accepts.
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(who).await }
        });
        let client = spawn_blocking(move || ask(address, "prox"));
        assert_eq!(
            client.await.unwrap().unwrap(),
            answered("prox true 127.0.0.1")
        );
        settled(&server, |numbers| numbers.open == 0).await;
        let report = server.shutdown(DEADLINE).await;
        assert_eq!((report.finished, report.cut), (0, 0), "{report}");
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_refusal_is_reported_with_the_peer_that_the_transport_reports() {
    run(async {
        let server = Rc::new(greeting(Limits::default()).bind("127.0.0.1:0").unwrap());
        let peers = Rc::new(RefCell::new(Vec::new()));
        server.on_refusal({
            let peers = peers.clone();
            move |refused| peers.borrow_mut().push(refused.peer.unwrap())
        });
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(who).await }
        });
        for name in ["prox", "anna"] {
            let client = spawn_blocking(move || {
                let mut stream = connect(address);
                write!(stream, "{name}GET / HTTP/1.1\r\n\r\n")?; // no Host
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                io::Result::Ok(answer)
            });
            let answer = timeout(DEADLINE, client).await.unwrap().unwrap().unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        let peers = peers.take();
        assert_eq!(peers.len(), 2);
        assert_eq!(peers[0], ([192, 0, 2, 1], 99).into());
        assert!(peers[1].ip().is_loopback(), "{peers:?}");
        serving.abort();
    });
}

#[test]
fn each_worker_uses_the_transport() {
    let workers = greeting(Limits::default());
    let workers = workers
        .workers(
            2,
            "127.0.0.1:0",
            |server| async move { server.serve(who).await },
        )
        .unwrap();
    for _ in 0..8 {
        let answer = ask(workers.local_address(), "carl").unwrap();
        assert_eq!(answer, answered("carl false 127.0.0.1"));
    }
    workers.stop();
    workers.join().unwrap();
}

#[test]
fn a_handshake_that_fails_or_panics_costs_its_connection_and_counts() {
    run(async {
        let server = Rc::new(greeting(Limits::default()).bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(who).await }
        });
        let clients = spawn_blocking(move || {
            let is_empty = |answer: io::Result<String>| answer.map_or(true, |text| text.is_empty());
            assert!(is_empty(ask(address, "evil")));
            assert!(is_empty(ask(address, "oops")));
            // The end of the stream within a handshake.
            drop(connect(address));
            ask(address, "dora")
        });
        assert_eq!(
            clients.await.unwrap().unwrap(),
            answered("dora false 127.0.0.1")
        );
        settled(&server, |numbers| {
            numbers.open == 0 && numbers.handshakes == 0
        })
        .await;
        assert_eq!(server.numbers().handshakes_failed, 3);
        serving.abort();
    });
}

/// The result of a thousand clients that stall.
struct Stalled {
    /// The most handshakes that were under way.
    most: usize,
    numbers: Numbers,
}

/// Connects a thousand clients that send no byte. Other clients are answered meanwhile.
async fn stall(limits: Limits) -> Stalled {
    raise_limit();
    let server = Rc::new(greeting(limits).bind("127.0.0.1:0").unwrap());
    let address = server.local_address();
    let most = Rc::new(Cell::new(0));
    let serving = spawn({
        let server = server.clone();
        async move { server.serve(who).await }
    });
    let watching = spawn({
        let (server, most) = (server.clone(), most.clone());
        async move {
            loop {
                most.set(most.get().max(server.numbers().handshakes));
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let clients = spawn_blocking(move || (0..1000).map(|_| connect(address)).collect::<Vec<_>>());
    let stalled = clients.await.unwrap();
    settled(&server, |numbers| numbers.accepted == 1000).await;
    for _ in 0..20 {
        let start = Instant::now();
        let answer = spawn_blocking(move || ask(address, "emil")).await.unwrap();
        assert_eq!(answer.unwrap(), answered("emil false 127.0.0.1"));
        let took = start.elapsed();
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    // All of them are closed without an answer.
    let ended = spawn_blocking(move || {
        for mut client in stalled {
            assert_eq!(client.read(&mut [0; 64]).unwrap_or(0), 0);
        }
    });
    ended.await.unwrap();
    settled(&server, |numbers| numbers.open == 0).await;
    serving.abort();
    watching.abort();
    Stalled {
        most: most.get(),
        numbers: server.numbers(),
    }
}

#[test]
fn a_thousand_stalled_handshakes_delay_no_other_client_and_end_at_their_deadline() {
    run(async {
        let limits =
            Limits::default().with(|limits| limits.handshake_duration_max = Duration::from_secs(2));
        let start = Instant::now();
        let Stalled { most, numbers } = stall(limits).await;
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(2), "{took:?}");
        assert!(took < Duration::from_secs(8), "{took:?}");
        assert!(most >= 1000 && most <= limits.handshakes_max, "{most}");
        let expected = (1000, 0, 0);
        assert_eq!(
            (
                numbers.handshakes_timed_out,
                numbers.handshakes_displaced,
                numbers.handshakes_failed
            ),
            expected
        );
    });
}

#[test]
fn handshakes_have_a_limit_and_the_oldest_gives_way() {
    run(async {
        let limits = Limits::default().with(|limits| {
            limits.handshakes_max = 100;
            limits.handshake_duration_max = Duration::from_secs(2);
        });
        let Stalled { most, numbers } = stall(limits).await;
        assert!(most <= 100, "{most}");
        // All other clients were answered, with or without a displaced handshake.
        assert!(numbers.handshakes_displaced >= 900, "{numbers:?}");
        let ended = numbers.handshakes_displaced + numbers.handshakes_timed_out;
        assert_eq!(ended, 1000);
        assert_eq!(numbers.requests, 20);
    });
}

#[test]
fn the_limits_of_connections_count_handshakes() {
    run(async {
        let limits = Limits::default().with(|limits| {
            limits.connections_max = Some(3);
            limits.connections_per_peer_max = Some(2);
        });
        let server = Rc::new(greeting(limits).bind("127.0.0.1:0").unwrap());
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(who).await }
        });
        let address = server.local_address();
        let mut two = [connect(address), connect(address)];
        settled(&server, |numbers| numbers.handshakes == 2).await;
        // One more than its peer may have.
        let third = spawn_blocking(move || ask(address, "fred").unwrap_or_default());
        assert!(!third.await.unwrap().starts_with("HTTP/1.1 200"));
        assert_eq!(server.numbers().turned_away, 1);
        two[0]
            .write_all(b"gildGET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        settled(&server, |numbers| numbers.idle == 1).await;
        drop(two);
        settled(&server, |numbers| numbers.open == 0).await;
        serving.abort();
    });
}

#[test]
fn a_server_that_ends_serves_its_queue_and_stalled_handshakes_give_way() {
    run(async {
        let limits = Limits::default().with(|limits| limits.connections_max = Some(4));
        let server = Rc::new(greeting(limits).bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(who).await }
        });
        let stalled: Vec<_> = (0..4).map(|_| connect(address)).collect();
        settled(&server, |numbers| numbers.handshakes == 4).await;
        let clients: Vec<_> = (0..6)
            .map(|_| spawn_blocking(move || ask(address, "hugo")))
            .collect();
        sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        let answers = async {
            for client in clients {
                let answer = client.await.unwrap().unwrap();
                assert_eq!(answer, answered("hugo false 127.0.0.1"));
            }
        };
        let (report, ()) = join(server.shutdown(DEADLINE), answers).await;
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(
            (report.finished, report.idle, report.cut),
            (6, 4, 0),
            "{report}"
        );
        serving.await.unwrap().unwrap();
        drop(stalled);
    });
}

#[test]
fn a_client_without_room_receives_503_over_its_transport() {
    run(async {
        let limits = Limits::default().with(|limits| limits.connections_max = Some(1));
        let builder = greeting(limits).turn_away_when_full(true);
        let server = Rc::new(builder.bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(who).await }
        });
        let busy = connect(address);
        settled(&server, |numbers| numbers.handshakes == 1).await;
        let told = spawn_blocking(move || ask(address, "ingo")).await.unwrap();
        assert!(told.unwrap().starts_with("HTTP/1.1 503 "));
        drop(busy);
        serving.abort();
    });
}

#[test]
fn a_transport_can_have_any_type_also_one_that_is_chosen_for_each_connection() {
    let seed = std::sync::atomic::AtomicU64::new(0);
    let server = Server::builder().transport(async move |stream: Stream, _: &mut _| {
        let seed = seed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let io: Box<dyn Io> = match seed % 2 {
            0 => Box::new(stream),
            _ => Box::new(Torture::new(stream, seed)),
        };
        Ok(io)
    });
    let server = server
        .stoppable("127.0.0.1:0", || {
            async |request: Request<'_>| {
                let body = request.bytes().await?;
                request.respond(StatusCode::OK, body, ()).await
            }
        })
        .unwrap();
    for _ in 0..20 {
        let mut client = connect(server.local_address());
        let head =
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 500000\r\n\r\n";
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&vec![b'y'; 500_000]).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(&vec![b'y'; 500_000]), "{}", answer.len());
    }
}

fn serving(server: &Rc<Server>) -> JoinHandle<io::Result<()>> {
    let server = server.clone();
    spawn(async move { server.serve(who).await })
}

#[test]
fn a_peer_that_is_refused_displaces_no_handshake() {
    for on_peer_limit in [OnPeerLimit::Close, OnPeerLimit::TooManyRequests] {
        run(async move {
            let limits = Limits::default().with(|limits| {
                limits.handshakes_max = 2;
                limits.connections_per_peer_max = Some(2);
            });
            let builder = greeting(limits).on_peer_limit(on_peer_limit);
            let server = Rc::new(builder.bind("127.0.0.1:0").unwrap());
            let address = server.local_address();
            let serving = serving(&server);
            let mut honest = connect(address);
            let silent = connect(address);
            settled(&server, |numbers| numbers.handshakes == 2).await;
            let refused: Vec<_> = (0..5).map(|_| connect(address)).collect();
            settled(&server, |numbers| numbers.turned_away == 5).await;
            assert_eq!(server.numbers().handshakes_displaced, 0);
            let told = spawn_blocking(move || {
                honest.write_all(b"mona").unwrap();
                write!(honest, "GET / HTTP/1.0\r\n\r\n").unwrap();
                let mut answer = String::new();
                honest.read_to_string(&mut answer).unwrap();
                answer
            });
            assert!(told.await.unwrap().ends_with("mona false 127.0.0.1"));
            serving.abort();
            drop((silent, refused));
        });
    }
}

#[test]
fn a_client_in_the_queue_has_time_for_its_handshake_when_the_server_ends() {
    run(async {
        let builder = Server::builder().transport(async |stream: Stream, info: &mut _| {
            let stream = greet(stream, info).await?;
            sleep(Duration::from_millis(250)).await; // two round trips
            Ok(stream)
        });
        let server = Rc::new(builder.bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        let silent = connect(address);
        let client = spawn_blocking(move || ask(address, "nora"));
        sleep(Duration::from_millis(50)).await;
        let serving = serving(&server);
        let start = Instant::now();
        let (report, told) = join(server.shutdown(DEADLINE), client).await;
        assert_eq!(told.unwrap().unwrap(), answered("nora false 127.0.0.1"));
        assert_eq!(
            (report.finished, report.idle, report.cut),
            (1, 1, 0),
            "{report}"
        );
        // The silent client has delayed the end only briefly.
        assert!(start.elapsed() < Duration::from_secs(2));
        serving.await.unwrap().unwrap();
        drop(silent);
    });
}

#[test]
fn a_report_counts_each_connection_once() {
    run(async {
        let server = greeting(Limits::default()).bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let clients: Vec<_> = (0..4).map(|_| connect(address)).collect();
        // Without a loop, the queue is turned away, and the handshakes stall.
        let report = server.shutdown(Duration::from_millis(300)).await;
        assert_eq!(
            (report.finished, report.idle, report.cut, report.turned_away),
            (0, 0, 0, 4),
            "{report}"
        );
        drop(clients);
    });
}
