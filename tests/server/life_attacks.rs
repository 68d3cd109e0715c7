//! Attacks on the life of a server. Each of them once succeeded, or might.

use std::cell::Cell;
use std::future::{Future, pending};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::alone;
use crate::support::server::{DEADLINE, without_dates};
use crate::support::system::own_ticks;
use waterwheel::http::testing::MemoryStream;
use waterwheel::http::{
    Connection, Error, Handler, Io, Limits, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::{
    block_on, join, spawn, spawn_blocking, time, time::sleep, time::timeout, yield_now,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const LAST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nhere";
const KEPT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere";

async fn handler(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "here", ()).await
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Returns a client whose request has been answered, and the answer.
fn asked(address: SocketAddr) -> (TcpStream, String) {
    let mut stream = connect(address);
    stream.write_all(GET).unwrap();
    let answer = answer(&mut stream);
    (stream, answer)
}

/// Reads one answer whose body is "here".
fn answer(stream: &mut TcpStream) -> String {
    let (mut bytes, mut piece) = (Vec::new(), [0; 512]);
    while !bytes.ends_with(b"here") {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "closed");
        bytes.extend_from_slice(&piece[..count]);
    }
    without_dates(&String::from_utf8(bytes).unwrap())
}

/// Reads to the end. A reset is an error.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    without_dates(&String::from_utf8(bytes).unwrap())
}

/// Polls a future once, in the present turn.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx: &mut Context<'_>| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

fn limited(limits: Limits) -> Server {
    Server::builder()
        .limits(limits)
        .bind("127.0.0.1:0")
        .unwrap()
}

/// Returns a connection whose first request has been pulled and answered. The answer is not sent yet.
async fn pulled_from() -> (Server, TcpStream, Connection) {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let mut client = connect(server.local_address());
    client.write_all(GET).unwrap();
    let mut connection = server.accept().await.unwrap();
    let request = connection.next().await.unwrap().unwrap();
    drop(handler(request).await.unwrap());
    (server, client, connection)
}

#[test]
fn a_request_that_the_reactor_has_not_reported_yet_is_served_before_the_end() {
    block_on(async {
        let (server, mut client, mut connection) = pulled_from().await;
        {
            let mut next = pin!(connection.next());
            assert!(poll_once(next.as_mut()).await.is_none());
            assert_eq!(answer(&mut client), KEPT);
            for _ in 0..10 {
                yield_now().await;
            }
            // All in one turn: a request arrives, the server begins to end, and the connection reads.
            client.write_all(GET).unwrap();
            let mut end = pin!(server.shutdown(DEADLINE));
            assert!(poll_once(end.as_mut()).await.is_none());
            let request = next.await.unwrap().unwrap();
            drop(handler(request).await.unwrap());
        }
        assert!(connection.next().await.unwrap().is_none());
        drop(connection);
        assert_eq!(rest(client), LAST);
    });
}

#[test]
fn a_full_server_whose_connections_are_all_idle_ends_at_once() {
    let start = Instant::now();
    let limits = Limits::default().with(|limits| limits.connections_max = Some(2));
    let server = Server::builder().limits(limits);
    let server = server.stoppable("127.0.0.1:0", || handler).unwrap();
    let idle: Vec<_> = (0..2).map(|_| asked(server.local_address()).0).collect();
    thread::sleep(Duration::from_millis(50));
    server.stopper().stop();
    let report = server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{report}");
    assert_eq!((report.idle, report.cut), (2, 0), "{report}");
    idle.into_iter()
        .for_each(|client| assert_eq!(rest(client), ""));
}

#[test]
fn a_connection_within_its_first_head_is_cut() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let mut client = connect(server.local_address());
        client.write_all(b"GET / HT").unwrap();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        });
        sleep(Duration::from_millis(50)).await;
        assert_eq!(server.numbers().in_flight, 1);
        let report = server.shutdown(Duration::from_millis(1)).await;
        assert_eq!(report.cut, 1);
        assert_eq!(server.connections(), 0);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_wait_for_capacity_that_is_given_up_leaves_no_pressure() {
    let limits = Limits::default().with(|limits| limits.connections_max = Some(1));
    block_on(async {
        let server = Rc::new(limited(limits));
        let address = server.local_address();
        let mut first = connect(address);
        first.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        server.accept_request(handler).await.unwrap();
        let mut second = connect(address);
        let given_up = timeout(Duration::from_millis(50), server.capacity()).await;
        assert!(given_up.is_err());
        first.write_all(b"Host: x\r\n\r\n").unwrap();
        first = spawn_blocking(move || {
            let _whatever = answer(&mut first);
            first
        })
        .await
        .unwrap();
        drop(first);
        while !server.should_accept_request() {
            sleep(Duration::from_millis(5)).await;
        }
        server.accept_request(handler).await.unwrap();
        second.write_all(GET).unwrap();
        let kept = spawn_blocking(move || answer(&mut second)).await.unwrap();
        assert_eq!(kept, KEPT);
    });
}

#[test]
fn a_loop_that_is_dropped_while_the_server_ends_does_not_hold_it_up() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let mut accept = Box::pin(server.accept());
        assert!(poll_once(accept.as_mut()).await.is_none());
        let clients: Vec<_> = (0..3).map(|_| connect(server.local_address())).collect();
        let start = Instant::now();
        let (report, ()) = join(server.shutdown(DEADLINE), async { drop(accept) }).await;
        assert!(start.elapsed() < DEADLINE / 2);
        assert_eq!((report.turned_away, report.cut), (3, 0), "{report}");
        drop(clients);
    });
}

#[test]
fn a_second_shutdown_has_no_effect() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let stopper = server.stopper();
        let address = server.local_address();
        let client = spawn_blocking(move || asked(address).0);
        let serving = join(server.serve(handler), async {
            let client = client.await.unwrap();
            stopper.stop();
            stopper.stop();
            client
        });
        let (ended, client) = serving.await;
        ended.unwrap();
        let report = server.report().unwrap();
        assert_eq!((report.idle, report.cut), (1, 0), "{report}");
        assert_eq!(server.shutdown(DEADLINE).await, report);
        server.serve(handler).await.unwrap();
        assert_eq!(server.report(), Some(report));
        // The server stays ended.
        assert!(!stopper.ready());
        stopper.wait();
        stopper.cut();
        drop(client);
    });
}

#[test]
fn a_worker_that_panics_ends_the_others() {
    let workers = Server::builder().workers(3, "127.0.0.1:0", |server| async move {
        let name = thread::current().name().unwrap().to_owned();
        assert_ne!(name, "waterwheel-2", "this one ends");
        server.serve(handler).await
    });
    let workers = workers.unwrap();
    let start = Instant::now();
    let (sender, ended) = std::sync::mpsc::channel();
    thread::spawn(move || sender.send(workers.join()));
    let error = ended.recv_timeout(DEADLINE).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the server's thread panicked");
    assert!(start.elapsed() < DEADLINE);
}

#[test]
fn bytes_of_a_refused_client_are_not_a_request() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let mut client = connect(server.local_address());
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            .unwrap();
        client.write_all(GET).unwrap();
        let mut connection = server.accept().await.unwrap();
        let request = connection.next().await.unwrap().unwrap();
        let answered = request.respond(StatusCode::PAYLOAD_TOO_LARGE, "", ()).await;
        drop(answered.unwrap());
        let mut given_up = 0;
        loop {
            match timeout(Duration::from_millis(50), connection.next()).await {
                Err(_) => given_up += 1,
                Ok(next) => {
                    let next = next.unwrap().map(|request| request.path().to_owned());
                    assert_eq!(next, None);
                    break;
                }
            }
            assert!(given_up < 100, "the connection lingers for two seconds");
            if given_up == 2 {
                // The client has its answer, and leaves.
                drop(client.shutdown(std::net::Shutdown::Both));
            }
        }
    });
}

#[test]
fn a_server_with_a_loop_of_the_users_own_is_ready() {
    let (sender, stopper) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        block_on(async {
            let server = Server::bind("127.0.0.1:0").unwrap();
            sender
                .send((server.stopper(), server.local_address()))
                .unwrap();
            server.accept_request(handler).await.unwrap();
            sleep(Duration::from_millis(50)).await;
        });
    });
    let (stopper, address) = stopper.recv().unwrap();
    let (sender, ready) = std::sync::mpsc::channel();
    thread::spawn(move || sender.send(stopper.ready()));
    let is_ready = ready.recv_timeout(Duration::from_secs(1));
    drop(asked(address));
    thread.join().unwrap();
    assert_eq!(is_ready, Ok(true));
}

#[test]
fn new_clients_do_not_delay_the_end_of_a_server() {
    let limits = Limits::default().with(|limits| {
        limits.connections_max = Some(2);
        limits.shutdown_duration_max = Duration::from_secs(2);
    });
    let server = Server::builder().limits(limits).backlog(16);
    let server = server
        .stoppable("127.0.0.1:0", || {
            async |request: Request<'_>| {
                sleep(Duration::from_millis(20)).await;
                request.respond(StatusCode::OK, "here", ()).await
            }
        })
        .unwrap();
    let address = server.local_address();
    let clients: Vec<_> = (0..8)
        .map(|_| thread::spawn(move || come_again_and_again(address)))
        .collect();
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    server.stopper().stop();
    let report = server.join().unwrap();
    let took = start.elapsed();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    assert!(took < Duration::from_secs(2), "{took:?}, {report}");
    assert_eq!(report.cut, 0, "{report}");
}

/// Sends a request on each of many connections, until no connection is accepted.
fn come_again_and_again(address: SocketAddr) {
    while let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // The server may end at any point.
        drop(stream.write_all(GET));
        if let Err(error) = stream.read(&mut [0; 512]) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn the_reserve_is_taken_back_when_the_wait_for_capacity_is_given_up() {
    // The reserves of all servers of this process count.
    alone(|| {
        let limits = Limits::default().with(|limits| limits.connections_max = Some(1));
        let server = Server::builder().limits(limits).turn_away_when_full(true);
        let server = server.bind("127.0.0.1:0").unwrap();
        block_on(async {
            let mut busy = connect(server.local_address());
            busy.write_all(b"GET / HTTP/1.1\r\n").unwrap();
            server.accept_request(handler).await.unwrap();
            let refused = connect(server.local_address());
            let before = reserves();
            let given_up = timeout(Duration::from_millis(50), server.capacity()).await;
            assert!(given_up.is_err());
            assert_eq!(server.numbers().turned_away, 1);
            assert_eq!(reserves(), before);
            let told = spawn_blocking(move || rest(refused)).await.unwrap();
            assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
        });
    });
}

/// Returns how many descriptors of this process are open on `/dev/null`, as a reserve is.
fn reserves() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let paths = descriptors.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| std::fs::read_link(path).is_ok_and(|target| target.ends_with("null")))
        .count()
}

#[test]
fn a_client_above_the_limit_of_its_peer_is_not_counted_as_finished() {
    let limits = Limits::default().with(|limits| limits.connections_per_peer_max = Some(1));
    block_on(async {
        let server = limited(limits);
        let mut first = connect(server.local_address());
        server.accept_request(handler).await.unwrap();
        first.write_all(GET).unwrap();
        let others = [(); 2].map(|()| connect(server.local_address()));
        let (report, ended) = join(server.shutdown(DEADLINE), server.serve(handler)).await;
        ended.unwrap();
        assert_eq!((report.finished, report.turned_away), (1, 2), "{report}");
        drop(others);
        assert_eq!(rest(first), LAST);
    });
}

/// Returns a server of connections in memory. Its clients have three seconds for a head.
fn impatient() -> Server {
    let limits = Limits::default().with(|limits| limits.head_duration_max = Duration::from_secs(3));
    Server::builder().limits(limits).without_listener()
}

/// Returns true if a pulled connection without input ends within a minute.
async fn times_out(server: &Server) {
    let (_client, far) = MemoryStream::pair();
    let mut connection = server.connection(far, None);
    let over = timeout(Duration::from_secs(60), connection.next()).await;
    assert!(matches!(over, Ok(Ok(None))), "still waiting");
}

#[test]
fn a_wait_that_another_task_continues_has_its_deadline() {
    block_on(async {
        time::pause();
        let (_client, far) = MemoryStream::pair();
        let mut connection = impatient().connection(far, None);
        let next = async move { connection.next().await.unwrap().is_none() };
        let mut next = Box::pin(next);
        let first = spawn(async move {
            assert_eq!(poll_once(next.as_mut()).await, None);
            [next]
        });
        let [next] = first.await.unwrap();
        let over = timeout(Duration::from_secs(60), next).await;
        assert!(matches!(over, Ok(true)), "still waiting");
    });
}

#[test]
fn a_server_that_outlives_its_runtime_keeps_its_deadlines() {
    let server = impatient();
    block_on(async {
        let (_client, far) = MemoryStream::pair();
        let mut connection = server.connection(far, None);
        assert!(poll_once(pin!(connection.next())).await.is_none());
        // Now the runtime ends, and with it the timer of the waiting connections.
    });
    block_on(async {
        time::pause();
        times_out(&server).await;
        times_out(&server).await;
    });
}

/// The next connection uses the same buffers, whatever the last client asked.
#[test]
fn a_refusal_does_not_depend_on_the_method_of_another_client() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let mut first = connect(address);
        first
            .write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        server.accept_request(handler).await.unwrap();
        let first = spawn_blocking(|| rest(first)).await.unwrap();
        assert!(first.ends_with("\r\n\r\n"), "{first}");
        let mut second = connect(address);
        second.write_all(GET).unwrap();
        let second = spawn_blocking(|| rest(second));
        let (report, second) = join(server.shutdown(DEADLINE), second).await;
        assert_eq!(report.turned_away, 1, "{report}");
        assert!(
            second
                .unwrap()
                .ends_with("\r\n\r\nthe server takes no requests now\n")
        );
    });
}

/// A read stops at an urgent byte, although more bytes have come behind it.
#[test]
fn bytes_after_an_urgent_byte_do_not_make_an_end_spin() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let (mut client, ()) = join(async { asked_in_turn(address).await }, async {
            server.accept_request(handler).await.unwrap();
        })
        .await;
        socket2::SockRef::from(&client)
            .send_out_of_band(b"!")
            .unwrap();
        client.write_all(b"\r\n").unwrap();
        sleep(Duration::from_millis(50)).await;
        let before = own_ticks();
        server.shutdown(Duration::from_millis(500)).await;
        let ticks = own_ticks() - before;
        assert!(ticks < 15, "{ticks} ticks of 10 ms");
    });
}

/// Old clients send a line end behind a body. It is unread when the connection closes, so the close is a
/// reset. The answer has to be sent before.
#[test]
fn a_line_end_behind_the_last_body_does_not_cost_the_answer() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let mut client = connect(server.local_address());
        let asks =
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhere";
        client.write_all(asks).unwrap();
        let accepted = server.accept_request(async |request: Request<'_>| {
            let body = request.bytes().await?;
            sleep(Duration::from_millis(50)).await;
            request.respond(StatusCode::OK, body, ()).await
        });
        accepted.await.unwrap();
        let mut late = client.try_clone().unwrap();
        spawn(async move {
            sleep(Duration::from_millis(20)).await;
            late.write_all(b"\r\n").unwrap();
        })
        .detach();
        let seen = spawn_blocking(move || answer(&mut client)).await.unwrap();
        assert_eq!(seen, LAST);
    });
}

/// Returns a client whose first request is answered while the loop turns.
async fn asked_in_turn(address: SocketAddr) -> TcpStream {
    spawn_blocking(move || asked(address).0).await.unwrap()
}

#[test]
fn serve_continues_behind_the_requests_that_were_pulled() {
    block_on(async {
        let (_server, mut client, connection) = pulled_from().await;
        client.write_all(LAST_GET).unwrap();
        timeout(DEADLINE, connection.serve(handler)).await.unwrap();
        assert_eq!(rest(client), [KEPT, LAST].concat());
    });
}

#[test]
fn a_request_that_crosses_the_last_answer_does_not_lose_the_answer() {
    // More than a client's kernel accepts without a read.
    const BYTES: usize = 200_000;
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let mut client = connect(server.local_address());
        client.write_all(GET).unwrap();
        let accepted = server.accept_request(async |request: Request<'_>| {
            let last = [("connection", "close")];
            let body = "x".repeat(BYTES);
            request.respond(StatusCode::OK, body, last).await
        });
        accepted.await.unwrap();
        let written = async {
            while server.numbers().bytes_written < BYTES as u64 {
                yield_now().await;
            }
        };
        timeout(DEADLINE, written).await.unwrap();
        client.write_all(GET).unwrap(); // RFC 9112, 9.6
        let answer = spawn_blocking(move || rest(client)).await.unwrap();
        assert!(answer.ends_with(&"x".repeat(BYTES)));
    });
}

/// A transport with one request to read. It panics in its second write.
#[derive(Default)]
struct Fragile {
    is_read: Cell<bool>,
    writes: Cell<u32>,
}

impl Io for Fragile {
    fn poll_read(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.is_read.replace(true) {
            return Poll::Pending;
        }
        buffer[..GET.len()].copy_from_slice(GET);
        Poll::Ready(Ok(GET.len()))
    }

    fn poll_write(&self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        match self.writes.get() {
            1 => Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum())),
            2..10 => panic!("a transport panics"),
            _ => Poll::Pending, // so that a loop is a failure, and no hang
        }
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_end(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn has_input(&self) -> bool {
        false
    }

    fn poll_closed(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// Panics when its future is dropped. One piece of its answer has left, and another one is queued.
struct EndsBadly;

impl Handler for EndsBadly {
    fn call(&self, request: Request<'_>) -> impl Future<Output = Result<Responded>> {
        let answer = Box::pin(async {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("out").await?;
            body.flush().await?;
            body.write("queued").await?;
            pending().await
        });
        Dropped(answer)
    }
}

struct Dropped<F>(F);

impl<F: Future<Output = Result<Responded>> + Unpin> Future for Dropped<F> {
    type Output = Result<Responded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Responded>> {
        assert!(Pin::new(&mut self.0).poll(cx).is_pending());
        Poll::Ready(Err(Error::message("given up")))
    }
}

impl<F> Drop for Dropped<F> {
    fn drop(&mut self) {
        assert!(thread::panicking(), "a destructor panics");
    }
}

#[test]
fn a_transport_that_panics_ends_its_connection_beside_any_handler() {
    block_on(async {
        let server = Server::builder().without_listener();
        let connection = server.connection(Fragile::default(), None);
        let task = spawn(connection.serve(EndsBadly));
        let ended = timeout(DEADLINE, task).await.unwrap();
        assert!(ended.unwrap_err().is_panic());
    });
}
