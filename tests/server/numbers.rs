//! The counters of a server, and the limits on its connections.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::server::{DEADLINE, without_dates};
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use waterwheel::http::{
    Builder, Error, Limits, OnPeerLimit, Refusal, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::{block_on, spawn, spawn_blocking, time::sleep, time::timeout};

async fn handler(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/slow" => sleep(Duration::from_millis(50)).await,
        "/fail" => return Err(Error::message("on purpose")),
        _ => {}
    }
    let body = request.bytes().await?;
    request.respond(StatusCode::OK, body, ()).await
}

/// Serves while `client` runs on another thread.
fn with_server<T: Send + 'static>(
    builder: Builder,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> (Rc<Server>, T) {
    let server = Rc::new(builder.bind("127.0.0.1:0").unwrap());
    let outcome = block_on(async {
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        });
        let address = server.local_address();
        let outcome = timeout(DEADLINE, spawn_blocking(move || client(address)));
        let outcome = outcome.await.unwrap().unwrap();
        while server.connections() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        serving.abort();
        outcome
    });
    (server, outcome)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends bytes, and reads to the end.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    // A server that turns its client away may have closed already. The answer counts.
    drop(stream.shutdown(std::net::Shutdown::Write));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    without_dates(&answer)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

#[test]
fn everything_is_counted_once() {
    let limits =
        Limits::default().with(|limits| limits.idle_duration_max = Duration::from_millis(30));
    let builder = Server::builder().limits(limits).measure_durations(true);
    let (server, bytes) = with_server(builder, |address| {
        let three = get("/a") + &get("/slow") + &get("/b");
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
        let (malformed, failing) = ("GET\r\n\r\n", get("/fail"));
        let answers = [&three, post, malformed, &failing].map(|request| exchange(address, request));
        // A client that becomes idle, and is closed for that.
        let mut idle = connect(address);
        idle.write_all(get("/c").as_bytes()).unwrap();
        let mut answer = String::new();
        idle.read_to_string(&mut answer).unwrap();
        let sent = three.len() + post.len() + malformed.len() + failing.len() + get("/c").len();
        let dates = 7 * "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len();
        let received = answers.concat().len() + without_dates(&answer).len() + dates;
        (sent as u64, received as u64)
    });
    let numbers = server.numbers();
    assert_eq!((numbers.open, numbers.idle, numbers.in_flight), (0, 0, 0));
    assert_eq!((numbers.accepted, numbers.requests), (5, 6));
    assert_eq!((numbers.bytes_read, numbers.bytes_written), bytes);
    assert_eq!((numbers.handler_failures, numbers.idle_timeouts), (1, 1));
    assert_eq!(numbers.refused, [(Refusal::Method, 1)]);
    let handler_time = numbers.handler_time.clone().unwrap();
    assert_eq!(handler_time.count(), 6);
    assert!(handler_time.sum() >= Duration::from_millis(50));
    assert!(handler_time.quantile(1.0) >= Duration::from_millis(50));
    assert_eq!(numbers.queue_time.clone().unwrap().count(), 6);
    assert_eq!(
        numbers.to_string(),
        "0 open (0 idle, 0 in flight), 6 requests"
    );
}

#[test]
fn requests_that_time_out_are_counted_by_their_reason() {
    let short = Duration::from_millis(30);
    let limits = Limits::default().with(|limits| {
        limits.head_duration_max = short;
        limits.body_stall_duration_max = short;
        limits.handler_duration_max = Some(short);
    });
    let (server, ()) = with_server(Server::builder().limits(limits), |address| {
        for begun in [
            "GET / HT",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
            "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            let mut stream = connect(address);
            stream.write_all(begun.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
        }
    });
    let numbers = server.numbers();
    let mut slow: Vec<_> = numbers.timed_out().collect();
    slow.sort_by_key(|(refusal, _)| format!("{refusal:?}"));
    let expected = [
        Refusal::BodyTooSlow,
        Refusal::HandlerTooSlow,
        Refusal::HeadTooSlow,
    ];
    assert_eq!(slow, expected.map(|refusal| (refusal, 1)));
}

#[test]
fn the_page_has_the_format_of_prometheus() {
    let builder = Server::builder().measure_durations(true);
    let (server, _) = with_server(builder, |address| exchange(address, "GET\r\n\r\n"));
    let page = server.numbers().to_prometheus();
    for line in [
        "# TYPE waterwheel_connections_open gauge",
        "waterwheel_connections_open 0",
        "# TYPE waterwheel_connections_accepted_total counter",
        "waterwheel_connections_accepted_total 1",
        "waterwheel_requests_refused_total{status=\"400\",reason=\"malformed method\"} 1",
        "# TYPE waterwheel_handler_seconds histogram",
        "waterwheel_handler_seconds_bucket{le=\"0.000001\"} 0",
        "waterwheel_handler_seconds_bucket{le=\"+Inf\"} 0",
        "waterwheel_handler_seconds_count 0",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}: {page}");
    }
    // Each line is a comment, or a name, labels if any, and a number.
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(
            value.parse::<f64>().is_ok() && name.starts_with("waterwheel_"),
            "{line}"
        );
    }
    assert!(page.ends_with('\n'));
}

#[test]
fn connections_beyond_the_limit_wait_and_idle_ones_make_room() {
    let limits = Limits::default().with(|limits| limits.connections_max = Some(2));
    let (server, ()) = with_server(Server::builder().limits(limits), |address| {
        let ask = |stream: &mut TcpStream| {
            stream.write_all(get("/").as_bytes()).unwrap();
            stream.read(&mut [0; 512]).unwrap()
        };
        let mut stay: Vec<_> = (0..2).map(|_| connect(address)).collect();
        assert!(stay.iter_mut().all(|stream| ask(stream) > 0));
        let start = Instant::now();
        let mut third = connect(address);
        assert!(ask(&mut third) > 0);
        assert!(start.elapsed() < Duration::from_millis(500));
        // One of the other clients was idle, and has been closed.
        let has_gone = |mut stream: TcpStream| {
            let wait = Some(Duration::from_millis(50));
            stream.set_read_timeout(wait).unwrap();
            matches!(stream.read(&mut [0]), Ok(0))
        };
        assert!(stay.into_iter().any(has_gone));
    });
    assert!(server.numbers().reclaimed >= 1);
}

#[test]
fn connections_of_one_peer_beyond_its_limit_are_closed() {
    let limits = Limits::default().with(|limits| limits.connections_per_peer_max = Some(2));
    let (server, ()) = with_server(Server::builder().limits(limits), |address| {
        let mut clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
        let answered = clients.iter_mut().filter_map(|stream| {
            drop(stream.write_all(get("/").as_bytes()));
            let mut answer = [0; 512];
            let count = stream.read(&mut answer).unwrap();
            answer[..count].starts_with(b"HTTP/1.1 200 ").then_some(())
        });
        assert_eq!(answered.count(), 2);
        drop(clients);
        // The places are free again.
        while !exchange(address, &get("/")).starts_with("HTTP/1.1 200 OK") {}
    });
    assert!(server.numbers().turned_away >= 1);
}

/// Returns limits of one connection for each address.
fn one_of_each_peer() -> Limits {
    Limits::default().with(|limits| limits.connections_per_peer_max = Some(1))
}

#[test]
fn a_client_beyond_the_limit_of_its_address_receives_429() {
    let many = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/plain; charset=utf-8\r\n\
                content-length: 39\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
                too many connections from this address\n";
    let unavailable = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: 39\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
         too many connections from this address\n";
    let builder = || Server::builder().limits(one_of_each_peer());
    for (builder, expected, refused) in [
        (builder(), many, Some(Refusal::PeerLimit)), // RFC 6585, 4
        (
            builder().on_peer_limit(OnPeerLimit::ServiceUnavailable),
            unavailable,
            // A full server is Refusal::Unavailable.
            Some(Refusal::PeerLimitUnavailable),
        ),
        (builder().on_peer_limit(OnPeerLimit::Close), "", None),
    ] {
        let (server, answers) = with_server(builder, |address| {
            let mut first = connect(address);
            first.write_all(get("/").as_bytes()).unwrap();
            assert!(first.read(&mut [0; 512]).unwrap() > 0);
            // One client sends its request at once, the other one later.
            let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let prompt = exchange_or_reset(address, request);
            let mut slow = connect(address);
            std::thread::sleep(Duration::from_millis(20));
            drop(slow.write_all(request.as_bytes()));
            let mut answer = Vec::new();
            drop(slow.read_to_end(&mut answer));
            let slow = without_dates(&String::from_utf8(answer).unwrap());
            // A connection that ends makes room for another.
            drop(first);
            while !exchange_or_reset(address, request).contains(" 200 OK") {}
            [prompt, slow]
        });
        assert_eq!(answers, [expected, expected]);
        let numbers = server.numbers();
        assert!(numbers.turned_away >= 2);
        let count = refused.map(|refused| (refused, numbers.turned_away));
        assert_eq!(numbers.refused, Vec::from_iter(count));
    }
}

/// Sends bytes, and reads to the end, which may be a reset.
fn exchange_or_reset(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    drop(stream.write_all(request.as_bytes()));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    without_dates(&String::from_utf8(answer).unwrap())
}

#[test]
fn an_answer_of_429_delays_no_other_client_and_takes_no_place() {
    let limits = one_of_each_peer().with(|limits| limits.connections_max = Some(2));
    let (server, (busiest, took)) = with_server(Server::builder().limits(limits), |address| {
        let mut first = connect(address);
        first.write_all(get("/").as_bytes()).unwrap();
        assert!(first.read(&mut [0; 512]).unwrap() > 0);
        let started = Instant::now();
        // These clients neither read their answers nor leave.
        let silent: Vec<_> = (0..200).map(|_| connect(address)).collect();
        let mut other = connect_from([127, 0, 0, 2], address);
        other.write_all(get("/").as_bytes()).unwrap();
        let mut answer = [0; 12];
        other.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        let took = started.elapsed();
        // The server closes all of them soon.
        for mut stream in silent {
            drop(stream.read_to_end(&mut Vec::new()));
        }
        (started.elapsed(), took)
    });
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(busiest < Duration::from_secs(4), "{busiest:?}");
    assert_eq!(server.numbers().turned_away, 200);
    assert_eq!(
        server.numbers().reclaimed,
        0,
        "no idle connection was closed for them"
    );
}

#[test]
fn a_client_that_is_turned_away_is_reported_without_a_request_line() {
    for (fate, status, refusal) in [
        (OnPeerLimit::TooManyRequests, 429, Refusal::PeerLimit),
        (
            OnPeerLimit::ServiceUnavailable,
            503,
            Refusal::PeerLimitUnavailable,
        ),
    ] {
        turn_away_and_report(fate, status, refusal);
    }
}

fn turn_away_and_report(fate: OnPeerLimit, status: u16, expected: Refusal) {
    let server = Server::builder()
        .limits(one_of_each_peer())
        .on_peer_limit(fate);
    let server = Rc::new(server.bind("127.0.0.1:0").unwrap());
    let refusals = Rc::new(RefCell::new(Vec::new()));
    server.on_refusal(|_| unreachable!("another takes its place"));
    server.on_refusal({
        let refusals = refusals.clone();
        move |refused| {
            let peer = refused.peer.unwrap();
            assert!(peer.ip().is_loopback() && peer.port() != 0);
            let line = (refused.method, refused.target, refused.version);
            assert_eq!(line, (None, None, None));
            refusals.borrow_mut().push(refused.refusal);
        }
    });
    let address = server.local_address();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    block_on(async {
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        });
        let asking = spawn_blocking(move || {
            // Its buffers are used for the next connection.
            let alone = exchange_or_reset(address, request);
            assert!(alone.contains(" 200 OK"), "{alone}");
            // The previous connection may still be closing.
            let _first = loop {
                let mut stream = connect(address);
                let mut answer = [0; 512];
                drop(stream.write_all(get("/").as_bytes()));
                let count = stream.read(&mut answer).unwrap_or(0);
                if answer[..count].starts_with(b"HTTP/1.1 200 ") {
                    break stream;
                }
            };
            exchange_or_reset(address, request)
        });
        let answer = timeout(DEADLINE, asking).await.unwrap().unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        serving.abort();
    });
    let refusals = refusals.take();
    assert!(!refusals.is_empty());
    let all_alike = refusals.iter().all(|refusal| *refusal == expected);
    assert!(all_alike, "{refusals:?}");
}

/// Connects from the given address.
fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn a_client_without_room_receives_503_if_that_is_set() {
    let limits = Limits::default().with(|limits| limits.connections_max = Some(1));
    let builder = Server::builder().limits(limits).turn_away_when_full(true);
    let (server, answer) = with_server(builder, |address| {
        let mut busy = connect(address);
        busy.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        // A place becomes free only at the end of the request.
        std::thread::sleep(Duration::from_millis(50));
        let answer = exchange(address, &get("/"));
        busy.write_all(b"Host: x\r\n\r\n").unwrap();
        assert!(busy.read(&mut [0; 512]).unwrap() > 0);
        answer
    });
    assert_eq!(
        answer,
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: 33\r\nretry-after: 1\r\nconnection: close\r\n\r\nthe server takes no requests now\n"
    );
    assert_eq!(server.numbers().turned_away, 1);
}

/// The warnings and errors that a piece of code logs on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            write!(fields, "{field}={value:?} ").unwrap();
        });
        self.0.lock().unwrap().push(fields);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn the_holders_of_descriptors_are_logged_once_at_the_limit() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        block_on(async {
            let server = Server::builder().assumed_descriptors_per_request(1 << 40);
            let server = server.bind("127.0.0.1:0").unwrap();
            let _client = TcpStream::connect(server.local_address()).unwrap();
            // Several rounds at the limit.
            let full = timeout(Duration::from_millis(350), server.capacity()).await;
            assert!(full.is_err());
        });
    });
    let said = log.0.lock().unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    for part in [
        "out of file descriptors",
        "limit=",
        "open=",
        " sockets, ",
        " files, ",
        " pipes, ",
    ] {
        assert!(said[0].contains(part), "{part}: {said:?}");
    }
}
