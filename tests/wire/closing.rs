//! The end of a connection: the last answer arrives whole, whatever else the client sends (RFC 9112, 9.6).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::runtime::run;
use waterwheel::http::testing::TestClient;
use waterwheel::http::{Builder, Error, Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{self, sleep};
use waterwheel::runtime::{spawn, spawn_blocking};

/// The longest wait of a client.
const DEADLINE: Duration = Duration::from_secs(20);

const MIB: usize = 1024 * 1024;

/// The time for which a client of a full server may take no byte of its last answer. Other work of the machine
/// can stop a client's thread for longer.
const PAUSE_MAX: Duration = Duration::from_millis(1_800);

/// Answers a target `/n` with n bytes. `/n/slow` first waits 900 ms, `/error` fails, and `/abort` cuts the
/// connection. The answer to a POST is its body.
async fn answer(request: Request<'_>) -> Result<Responded> {
    let mut segments = request.path().split('/').skip(1);
    let first = segments.next().unwrap_or_default();
    match first {
        "error" => return Err(Error::message("on purpose")),
        "abort" => return Ok(request.abort()),
        _ => {}
    }
    let body = request.bytes().await?;
    if !body.is_empty() {
        return request.respond(StatusCode::OK, body, ()).await;
    }
    if segments.next() == Some("slow") {
        sleep(Duration::from_millis(900)).await;
    }
    let count = first.parse().unwrap_or(0);
    request.respond(StatusCode::OK, vec![b'x'; count], ()).await
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Reads to the end of the stream. A reset is an error.
fn read_all(stream: &TcpStream) -> io::Result<Vec<u8>> {
    read_all_since(stream, Instant::now()).0
}

/// Reads to the end of the stream. Also returns the longest time between two reads; the first begins at `last`.
fn read_all_since(mut stream: &TcpStream, mut last: Instant) -> (io::Result<Vec<u8>>, Duration) {
    let (mut bytes, mut longest) = (Vec::new(), Duration::ZERO);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut piece);
        longest = longest.max(last.elapsed());
        last = Instant::now();
        match read {
            Ok(0) => return (Ok(bytes), longest),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) => {
                let text = format!("{error} after {} bytes", bytes.len());
                return (Err(io::Error::new(error.kind(), text)), longest);
            }
        }
    }
}

/// Returns the body of the first answer, and the bytes behind it.
fn body_of_first(answers: &[u8]) -> (&[u8], &[u8]) {
    let head = answers.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, rest) = answers.split_at(head.expect("a head") + 4);
    let head = String::from_utf8_lossy(head);
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length");
    rest.split_at(length.trim().parse::<usize>().unwrap().min(rest.len()))
}

fn limited(limits: Limits) -> Builder {
    Server::builder().limits(limits)
}

#[test]
fn a_line_end_behind_an_http10_body_does_not_lose_its_answer() {
    let server = Server::builder()
        .stoppable("127.0.0.1:0", || answer)
        .unwrap();
    let mut client = connect(server.local_address());
    let length = 4 * MIB;
    write!(
        client,
        "POST / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    client.write_all(&vec![b'y'; length]).unwrap();
    // The answer has begun.
    client.peek(&mut [0]).unwrap();
    client.write_all(b"\r\n").unwrap();
    thread::sleep(Duration::from_millis(100));
    let answers = read_all(&client).unwrap();
    assert_eq!(body_of_first(&answers).0.len(), length);
}

#[test]
fn a_request_that_is_pipelined_while_the_server_ends_does_not_lose_the_answer_before_it() {
    let server = Server::builder()
        .stoppable("127.0.0.1:0", || answer)
        .unwrap();
    let mut client = connect(server.local_address());
    write!(client, "GET /{}/slow HTTP/1.1\r\nHost: x\r\n\r\n", 2 * MIB).unwrap();
    thread::sleep(Duration::from_millis(50));
    server.stopper().stop();
    thread::sleep(Duration::from_millis(50));
    write!(client, "GET /10 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(500));
    let answers = read_all(&client).unwrap();
    let (body, behind) = body_of_first(&answers);
    assert_eq!((body.len(), behind), (2 * MIB, &b""[..]));
    let report = server.join().unwrap();
    assert_eq!((report.finished, report.cut), (1, 0), "{report}");
}

#[test]
fn a_client_that_sends_all_before_it_reads_sees_the_413_of_a_large_body() {
    let limits = Limits::default().with(|limits| limits.body_bytes_max = MIB as u64);
    let server = limited(limits).stoppable("127.0.0.1:0", || answer).unwrap();
    for length in [2 * MIB, 6 * MIB, 40 * MIB] {
        let mut client = connect(server.local_address());
        write!(
            client,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        )
        .unwrap();
        client.write_all(&vec![b'y'; length]).unwrap();
        let answers = String::from_utf8(read_all(&client).unwrap()).unwrap();
        assert!(answers.starts_with("HTTP/1.1 413 "), "{length}: {answers}");
    }
}

#[test]
fn a_client_that_reads_its_last_answer_slowly_and_sends_meanwhile_receives_all_of_it() {
    let limits = Limits::default().with(|limits| limits.requests_max = Some(1));
    let server = limited(limits).stoppable("127.0.0.1:0", || answer).unwrap();
    let mut client = connect(server.local_address());
    write!(client, "GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", 4 * MIB).unwrap();
    let start = Instant::now();
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 200_000]);
    loop {
        let count = client.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..count]);
        if start.elapsed() < Duration::from_secs(4) {
            client.write_all(b"\r\n").unwrap();
            thread::sleep(Duration::from_millis(250));
        }
    }
    assert_eq!(body_of_first(&bytes).0.len(), 4 * MIB);
}

/// The reason for which an answer is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http10,
    ConnectionClose,
    /// The client has sent bytes that are not a request.
    Refusal,
    /// Its handler fails.
    Error,
    /// Its handler cuts the connection.
    Abort,
    Shutdown,
    /// Other clients wait for the place of this one.
    Pressure,
    RequestsMax,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    way: Way,
    /// The length of the answer in bytes.
    answer: usize,
    /// The number of extra bytes that the client sends.
    extra: usize,
    /// True if it sends them when the answer has begun to arrive.
    after: bool,
    /// True if it reads the answer after all that.
    late: bool,
}

const WAYS: [Way; 8] = [
    Way::Http10,
    Way::ConnectionClose,
    Way::Refusal,
    Way::Error,
    Way::Abort,
    Way::Shutdown,
    Way::Pressure,
    Way::RequestsMax,
];

/// Returns all rows of one way.
fn rows(way: Way) -> Vec<Row> {
    let mut rows = Vec::new();
    for answer in [10, MIB, 8 * MIB] {
        for extra in [0, 2, 1000, MIB] {
            for after in [false, true] {
                for late in [false, true] {
                    rows.push(Row {
                        way,
                        answer,
                        extra,
                        after,
                        late,
                    });
                }
            }
        }
    }
    rows
}

impl Row {
    fn request(self) -> String {
        let Self { answer, .. } = self;
        let get = |target: &str| format!("GET /{answer}{target} HTTP/1.1\r\nHost: x\r\n\r\n");
        match self.way {
            Way::Http10 => format!("GET /{answer} HTTP/1.0\r\n\r\n"),
            Way::ConnectionClose => {
                format!("GET /{answer} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            }
            Way::Refusal => get("") + "GET / HTTP/1.1\r\n\r\n", // no Host
            Way::Error => get("") + "GET /error HTTP/1.1\r\nHost: x\r\n\r\n",
            Way::Abort => get("") + "GET /abort HTTP/1.1\r\nHost: x\r\n\r\n",
            Way::Shutdown | Way::Pressure => get("/slow"),
            Way::RequestsMax => get(""),
        }
    }

    /// Returns the start of the bytes behind the answer.
    fn behind(self) -> &'static [u8] {
        match self.way {
            Way::Refusal => b"HTTP/1.1 400 ",
            Way::Error => b"HTTP/1.1 500 ",
            _ => b"",
        }
    }

    /// Plays the client.
    fn play(self, address: SocketAddr) -> io::Result<()> {
        let client = connect(address);
        (&client).write_all(self.request().as_bytes())?;
        let start = Instant::now();
        let (answers, paused) = if self.late {
            self.send_extra(&client)?;
            // A full server may cut a client that takes no byte for 2 s. The client reads well before that.
            let pause = if self.way == Way::Pressure {
                300
            } else {
                1_300
            };
            thread::sleep(Duration::from_millis(pause));
            read_all_since(&client, start)
        } else {
            let reader = client.try_clone()?;
            let reader = thread::spawn(move || read_all_since(&reader, start));
            self.send_extra(&client)?;
            reader.join().unwrap()
        };
        match answers {
            Err(error) if self.way == Way::Pressure && paused > PAUSE_MAX => {
                eprintln!("{self:?}: read after {paused:?}, so it could be cut: {error}");
                Ok(())
            }
            answers => self.check(&answers?),
        }
    }

    fn send_extra(self, mut client: &TcpStream) -> io::Result<()> {
        if self.after && self.extra > 0 {
            client.peek(&mut [0])?;
        }
        match client.write_all(&vec![b'z'; self.extra]) {
            // A server that has closed may report that. Its answer counts.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            sent => sent,
        }
    }

    fn check(self, answers: &[u8]) -> io::Result<()> {
        if answers.is_empty() {
            return Err(io::Error::other("no answer"));
        }
        let (body, mut behind) = body_of_first(answers);
        // The server may have room again when it reaches the extra bytes. Then these are a request that is
        // refused.
        let refused = [400, 408, 501].map(|status| format!("HTTP/1.1 {status} "));
        let refused = refused
            .iter()
            .any(|line| behind.starts_with(line.as_bytes()));
        if self.way == Way::Pressure && refused {
            behind = b"";
        }
        let whole = body.len() == self.answer && behind.starts_with(self.behind());
        if !whole || (self.behind().is_empty() != behind.is_empty()) {
            return Err(io::Error::other(format!(
                "{} bytes, and {} behind them: {:?}",
                body.len(),
                behind.len(),
                String::from_utf8_lossy(&behind[..behind.len().min(60)])
            )));
        }
        Ok(())
    }
}

/// Plays all rows of one way at once. Returns the rows that failed.
fn play(way: Way) -> Vec<String> {
    let rows = rows(way);
    let limits = Limits::default().with(|limits| {
        limits.connections_max = (way == Way::Pressure).then_some(rows.len());
        limits.requests_max = (way == Way::RequestsMax).then_some(1);
        limits.shutdown_duration_max = DEADLINE;
    });
    let server = limited(limits).stoppable("127.0.0.1:0", || answer).unwrap();
    let address = server.local_address();
    let clients: Vec<_> = rows
        .into_iter()
        .map(|row| (row, thread::spawn(move || row.play(address))))
        .collect();
    // By then, all clients are connected, and the slow answers have not begun.
    thread::sleep(Duration::from_millis(600));
    let mut waiting = Vec::new();
    match way {
        Way::Shutdown => server.stopper().stop(),
        Way::Pressure => waiting.extend((0..60).map(|_| connect(address))),
        _ => {}
    }
    let failed = clients.into_iter().filter_map(|(row, client)| {
        let error = client.join().unwrap().err()?;
        Some(format!("{row:?}: {error}"))
    });
    let failed = failed.collect();
    for client in waiting {
        drop(client.shutdown(Shutdown::Both));
    }
    server.stopper().cut();
    failed
}

#[test]
fn every_last_answer_arrives_whole() {
    let failed: Vec<_> = WAYS.into_iter().flat_map(play).collect();
    assert!(failed.is_empty(), "{} rows: {failed:#?}", failed.len());
}

/// Returns a server of connections in memory, each of which has one request.
fn brief() -> Server {
    let limits = Limits::default().with(|limits| limits.requests_max = Some(1));
    limited(limits).without_listener()
}

/// Returns a client whose only request has been answered, and that has not closed its write half.
async fn answered(server: &Server) -> TestClient {
    let mut client = TestClient::of(server, answer);
    assert_eq!(client.get("/10").await.body.len(), 10);
    // The end arrives at once.
    assert_eq!(client.read_to_end().await, b"");
    client
}

/// Returns the seconds until the server has closed all connections. The client does `act` each 4 seconds.
async fn lingering(server: &Server, mut act: impl AsyncFnMut()) -> u64 {
    let start = time::Instant::now();
    while server.numbers().open > 0 {
        assert_eq!(server.numbers().lingering, 1);
        assert_eq!(server.numbers().in_flight, 0);
        let next = time::Instant::now() + Duration::from_secs(4);
        while server.numbers().open > 0 && time::Instant::now() < next {
            sleep(Duration::from_millis(100)).await;
        }
        act().await;
    }
    (time::Instant::now() - start).as_secs()
}

#[test]
fn a_connection_lingers_as_long_as_bytes_come_within_the_limits() {
    run(async {
        time::pause();
        let server = brief();
        let silent = answered(&server).await;
        assert_eq!(lingering(&server, async || {}).await, 5);
        drop(silent);
        let mut pouring = answered(&server).await;
        let pours = lingering(&server, async || pouring.send("more").await);
        assert_eq!(pours.await, 30);
        // A client that closes its write half has finished.
        let mut ending = answered(&server).await;
        ending.end();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(server.numbers().open, 0);
    });
}

#[test]
fn a_server_that_ends_waits_a_second_for_a_silent_client_and_counts_it_as_finished() {
    run(async {
        time::pause();
        let server = brief();
        let before = answered(&server).await;
        let start = time::Instant::now();
        let report = server.shutdown(DEADLINE).await;
        assert_eq!((time::Instant::now() - start).as_secs(), 1);
        assert_eq!((report.finished, report.cut), (1, 0), "{report}");
        drop(before);
        // The same if the shutdown has less than that second.
        let server = brief();
        let before = answered(&server).await;
        let report = server.shutdown(Duration::from_millis(10)).await;
        assert_eq!((report.finished, report.cut), (1, 0), "{report}");
        drop(before);
    });
}

#[test]
fn a_connection_that_lingers_gives_way_before_an_idle_one() {
    run(async {
        let limits = Limits::default().with(|limits| limits.connections_max = Some(2));
        let server = Rc::new(limited(limits).bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(answer).await }
        });
        let clients = spawn_blocking(move || {
            let mut idle = connect(address);
            write!(idle, "GET /10 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            assert!(idle.read(&mut [0; 512]).unwrap() > 0);
            let mut last = connect(address);
            let fields = "Host: x\r\nConnection: close\r\nContent-Length: 2\r\n";
            write!(last, "POST / HTTP/1.1\r\n{fields}\r\nab").unwrap();
            assert!(read_all(&last).unwrap().ends_with(b"ab"));
            (idle, last)
        });
        let (mut idle, last) = clients.await.unwrap();
        assert_eq!(server.numbers().lingering, 1);
        // No byte has arrived on it for a moment.
        sleep(Duration::from_millis(300)).await;
        let newcomer = spawn_blocking(move || {
            let start = Instant::now();
            let mut client = connect(address);
            write!(client, "GET /10 HTTP/1.0\r\n\r\n").unwrap();
            assert!(read_all(&client).unwrap().ends_with(b"xxxxxxxxxx"));
            let took = start.elapsed();
            assert!(took < Duration::from_secs(1), "{took:?}");
            // The idle connection has not been closed.
            write!(idle, "GET /10 HTTP/1.0\r\n\r\n").unwrap();
            assert!(read_all(&idle).unwrap().ends_with(b"xxxxxxxxxx"));
        });
        newcomer.await.unwrap();
        assert_eq!(server.numbers().reclaimed, 1);
        drop(last);
        serving.abort();
    });
}

#[test]
fn bytes_for_a_tunnel_are_not_discarded_as_after_a_last_answer() {
    run(async {
        // The answers before it do not fit into the stream, so the switch has to wait for them.
        let limits = Limits::default().with(|limits| limits.requests_max = Some(2));
        let server = limited(limits).without_listener();
        let mut client = TestClient::of(&server, async |request: Request<'_>| {
            if request.path() == "/first" {
                return request
                    .respond(StatusCode::OK, vec![b'x'; 15_000], ())
                    .await;
            }
            sleep(Duration::from_millis(20)).await;
            let (responded, upgrade) = request.upgrade("echo", ()).await?;
            spawn(async {
                let mut stream = upgrade.await?;
                let mut all = Vec::new();
                futures_lite::AsyncReadExt::read_to_end(&mut stream, &mut all).await?;
                futures_lite::AsyncWriteExt::write_all(&mut stream, &all).await?;
                futures_lite::AsyncWriteExt::close(&mut stream).await
            })
            .detach();
            Ok(responded)
        });
        client.send("GET /first HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client
            .send("GET /second HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            .await;
        sleep(Duration::from_millis(5)).await;
        client.send("for the tunnel").await;
        client.end();
        assert_eq!(client.answer().await.body.len(), 15_000);
        assert_eq!(
            client.answer().await.status,
            StatusCode::SWITCHING_PROTOCOLS
        );
        assert_eq!(client.read_to_end().await, b"for the tunnel");
    });
}
