//! Clients of each kind: with large bodies, polite, greedy, and slow. Some do not read.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::server::{PAGE_BYTES, Process, time_without_processor};
use crate::PIECE_BYTES;

/// The longest wait for a byte.
const DEADLINE: Duration = Duration::from_secs(10);

/// The time by which a cut that is due has come.
const CUT_WITHIN: Duration = Duration::from_secs(2);

/// A connection and its requests.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(server: &Process) -> Self {
        let stream = server.connect();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream: BufReader::with_capacity(PIECE_BYTES, stream),
        }
    }

    pub(crate) fn ask(&mut self, target: &str) -> Vec<u8> {
        self.send(target);
        self.read_answer()
    }

    pub(crate) fn send(&mut self, target: &str) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        self.write_all(request.as_bytes());
    }

    fn write_all(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// The body of an answer of known length.
    pub(crate) fn read_answer(&mut self) -> Vec<u8> {
        let mut body = vec![0; self.read_head()];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// Reads the head of an answer, which must be 200. Returns its Content-Length, or 0.
    fn read_head(&mut self) -> usize {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let count = self.stream.read_line(&mut head).unwrap();
            assert!(count > 0, "ended after {head:?}");
        }
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head:?}");
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        length.map_or(0, |length| length.parse().unwrap())
    }
}

/// Returns how many requests the server has begun to answer.
pub(crate) fn answered(server: &Process) -> usize {
    let count = Client::new(server).ask("/answered");
    String::from_utf8(count).unwrap().parse().unwrap()
}

/// The framing of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Sized,
    Chunked,
}

/// One piece of a body, on the wire.
fn wire_piece(framing: Framing) -> Vec<u8> {
    let piece = vec![b'x'; PIECE_BYTES];
    match framing {
        Framing::Sized => piece,
        Framing::Chunked => [
            format!("{PIECE_BYTES:x}\r\n").as_bytes(),
            &piece,
            b"\r\n".as_slice(),
        ]
        .concat(),
    }
}

/// Sends so many pieces. The server must have counted them.
pub(crate) fn upload(server: &Process, framing: Framing, pieces: usize) {
    let mut client = Client::new(server);
    let bytes = pieces * PIECE_BYTES;
    let field = match framing {
        Framing::Sized => format!("Content-Length: {bytes}"),
        Framing::Chunked => "Transfer-Encoding: chunked".to_owned(),
    };
    let head = format!("POST /upload HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n");
    client.write_all(head.as_bytes());
    let piece = wire_piece(framing);
    for _ in 0..pieces {
        client.write_all(&piece);
    }
    if framing == Framing::Chunked {
        client.write_all(b"0\r\n\r\n");
    }
    assert_eq!(client.read_answer(), bytes.to_string().as_bytes());
}

/// Downloads so many pieces, and counts their bytes.
pub(crate) fn download(server: &Process, path: &str, framing: Framing, pieces: usize) {
    let mut client = Client::new(server);
    let bytes = pieces * PIECE_BYTES;
    client.send(&format!("{path}?{bytes}"));
    client.read_head();
    let last = if framing == Framing::Chunked { 5 } else { 0 };
    let mut left = pieces * wire_piece(framing).len() + last;
    let mut buffer = vec![0; 4 * PIECE_BYTES];
    while left > 0 {
        let count = client.stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{left} bytes short");
        left -= count;
    }
}

/// A client that has sent many requests at once and reads no answer yet.
pub(crate) struct Pipeliner {
    client: Client,
    requests: Vec<u8>,
    sent: usize,
}

impl Pipeliner {
    /// Sends requests until the kernel accepts no more bytes.
    pub(crate) fn start(server: &Process, target: &str, count: usize) -> Self {
        let client = Client::new(server);
        let requests = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(count);
        let mut stream = client.stream.get_ref();
        stream
            .set_write_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut sent = 0;
        while sent < requests.len() {
            match stream.write(&requests.as_bytes()[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        Self {
            client,
            requests: requests.into_bytes(),
            sent,
        }
    }

    /// Sends the remaining bytes, and reads so many answers.
    pub(crate) fn read_answers(mut self, count: usize) {
        let mut writer = self.client.stream.get_ref().try_clone().unwrap();
        writer.set_write_timeout(Some(DEADLINE)).unwrap();
        let rest = self.requests.split_off(self.sent);
        thread::scope(|scope| {
            scope.spawn(move || writer.write_all(&rest).unwrap());
            (0..count).for_each(|_| assert_eq!(self.client.read_answer().len(), PAGE_BYTES));
        });
    }
}

/// Latencies in their order.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Measures a polite client, which sends a request about once a millisecond and waits for each answer.
    ///
    /// Leaves out the time for which the client or the server, whichever had to wait longer, was ready to run but
    /// had no processor: other processes may load the machine.
    pub(crate) fn of(server: &Process, polite: &mut Client, duration: Duration) -> Self {
        let without_processor = || {
            [
                server.time_without_processor(),
                time_without_processor(Path::new("/proc/thread-self")),
            ]
        };
        let end = Instant::now() + duration;
        let mut latencies = Vec::new();
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
            let before = without_processor();
            let asked = Instant::now();
            polite.ask("/");
            let latency = asked.elapsed();
            let after = without_processor();
            let waits = after
                .iter()
                .zip(before)
                .map(|(after, before)| after.saturating_sub(before));
            latencies.push(latency.saturating_sub(waits.max().unwrap_or_default()));
        }
        Self(latencies)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn p99(&self) -> Duration {
        percentile(&self.0, 99)
    }

    /// Returns the lowest p99 of all windows of half a second. Other work of the machine makes latencies
    /// longer, never shorter, but not all the time.
    pub(crate) fn p99_in_calm(&self) -> Duration {
        let slices = self.0.chunks_exact(400);
        let p99s = slices.map(|slice| percentile(slice, 99));
        p99s.min().unwrap_or(self.p99())
    }

    pub(crate) fn longest(&self) -> Duration {
        percentile(&self.0, 100)
    }
}

/// Returns the value that so many percent do not exceed.
fn percentile(latencies: &[Duration], percent: usize) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    sorted[(sorted.len() - 1) * percent / 100]
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = percentile(&self.0, 50);
        let [p99, calm, longest] = [self.p99(), self.p99_in_calm(), self.longest()];
        write!(
            f,
            "median {median:?}, p99 {p99:?} ({calm:?} in calm), longest {longest:?}"
        )
    }
}

/// A client that pipelines as fast as possible, until it is dropped.
pub(crate) struct Flood {
    stream: TcpStream,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    pub(crate) fn start(server: &Process) -> Self {
        let stream = server.connect();
        let (writer, reader) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let threads = vec![
            thread::spawn(move || write_for_ever(writer)),
            thread::spawn(move || read_for_ever(reader)),
        ];
        Self { stream, threads }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        drop(self.stream.shutdown(Shutdown::Both));
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn write_for_ever(mut stream: TcpStream) {
    let requests = b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1024);
    while stream.write_all(&requests).is_ok() {}
}

fn read_for_ever(mut stream: TcpStream) {
    let mut buffer = vec![0; PIECE_BYTES];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

/// The part in which a slow client is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slowness {
    Head,
    Body,
    Reading,
}

/// A client that moves a byte at a time.
pub(crate) struct Slow {
    slowness: Slowness,
    stream: TcpStream,
    connected: Instant,
    moved: usize,
}

impl Slow {
    pub(crate) fn new(slowness: Slowness, connect: impl FnOnce() -> TcpStream) -> Self {
        let connected = Instant::now();
        let mut stream = connect();
        let begin: &[u8] = match slowness {
            Slowness::Head => b"",
            Slowness::Body => b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n",
            Slowness::Reading => b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
        };
        stream.write_all(begin).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            slowness,
            stream,
            connected,
            moved: 0,
        }
    }

    /// Sends or reads one byte. Has no effect if the server has cut the connection.
    fn drip(&mut self) {
        const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nX: x";
        let byte = [*HEAD.get(self.moved).unwrap_or(&b'x')];
        match self.slowness {
            Slowness::Head | Slowness::Body => drop(self.stream.write(&byte)),
            Slowness::Reading => drop(self.stream.read(&mut [0])),
        }
        self.moved += 1;
    }

    /// Asserts that the server has not cut the connection before `deadline`.
    fn assert_unhurried(&self, deadline: Duration) {
        let is_early = self.connected.elapsed() < deadline;
        if is_early && self.slowness != Slowness::Reading {
            let peeked = self.stream.peek(&mut [0]);
            assert!(peeked.is_err(), "cut too early: {:?}", self.slowness);
        }
    }

    /// Asserts that the server cuts the connection, and sends the reason if it can.
    pub(crate) fn assert_cut(self) {
        match self.slowness {
            Slowness::Head | Slowness::Body => self.assert_refused(),
            Slowness::Reading => self.assert_reset(),
        }
    }

    fn assert_refused(mut self) {
        let mut answer = [0; 13];
        self.stream.set_nonblocking(false).unwrap();
        self.stream.set_read_timeout(Some(CUT_WITHIN)).unwrap();
        self.stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408 ");
    }

    /// The test must not read, because a client that reads is not cut.
    fn assert_reset(self) {
        let start = Instant::now();
        while start.elapsed() < CUT_WITHIN {
            if let Some(error) = self.stream.take_error().unwrap() {
                return assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("not cut");
    }
}

/// Lets each client move a byte a second, one after the other, until `end`. The server may not cut them before
/// `deadline`.
pub(crate) fn drip(clients: &mut [Slow], deadline: Duration, end: Instant) {
    let second = Duration::from_secs(1);
    let between = second / u32::try_from(clients.len()).unwrap();
    let mut due = Instant::now();
    for turn in 0.. {
        let client = &mut clients[turn % clients.len()];
        client.assert_unhurried(deadline);
        client.drip();
        due += between;
        if due >= end {
            return;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
