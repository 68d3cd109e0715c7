//! System calls that fail in each possible way, while a server answers requests.
//!
//! `strace` makes them fail. Without it, these tests are skipped. The server is this test binary, started
//! again to run [`child`].

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a child process talks to its parent"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::skip::skip;
use rustix::process::{Pid, Signal, kill_process};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, signal};

const DEADLINE: Duration = Duration::from_secs(20);

/// Writes a line on standard error for each event.
struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("waterwheel") && *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        eprintln!("logged: {event:?}");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The server process. Returns at once unless the process was started as a server.
#[test]
fn child() {
    if std::env::var_os("FAULTS_CHILD").is_none() {
        return;
    }
    tracing::subscriber::set_global_default(Lines).unwrap();
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let signals = signal::shutdown();
        let (me, address) = (std::process::id(), server.local_address());
        println!("{me} listening on http://{address}");
        server.serve_until(answer, signals).await.unwrap();
    });
}

async fn answer(request: Request<'_>) -> Result<Responded> {
    let body = request.bytes().await?;
    if body.is_empty() {
        return request.respond(StatusCode::OK, "here", ()).await;
    }
    // Pieces use several system calls for writing.
    let mut answer = request.start(StatusCode::OK, ()).await?;
    for piece in body.chunks(20_000) {
        answer.write(piece.to_vec()).await?;
    }
    answer.finish().await
}

/// A server under strace. It ends when it is dropped.
struct Traced {
    strace: Child,
    /// `None` after its end.
    server: Option<Pid>,
    stderr: Option<ChildStderr>,
    address: SocketAddr,
    calls: PathBuf,
}

impl Traced {
    fn start(name: &str, trace: &str, injections: &[String]) -> Self {
        let calls = std::env::temp_dir().join(format!("waterwheel-{}-{name}", std::process::id()));
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", trace, "-o"]).arg(&calls);
        for injection in injections {
            command.args(["-e", &format!("inject={injection}")]);
        }
        command.arg(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "faults::child",
            "--nocapture",
            "--test-threads=1",
        ]);
        command.env("FAULTS_CHILD", "1");
        let mut strace = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(strace.stdout.take().unwrap()).lines();
        let mut lines = lines.map(|line| line.unwrap());
        let line = lines.find(|line| line.contains("http://")).unwrap();
        let (pid, address) = line.split_once(" listening on http://").unwrap();
        let (pid, address) = (pid.rsplit(' ').next().unwrap(), address.parse().unwrap());
        let stderr = strace.stderr.take();
        Self {
            strace,
            server: Pid::from_raw(pid.parse().unwrap()),
            stderr,
            address,
            calls,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Ends the server. Returns the lines that it has logged, and the system calls.
    fn end(mut self) -> (Vec<String>, String) {
        self.kill();
        let lines = BufReader::new(self.stderr.take().unwrap()).lines();
        let lines = lines.map_while(std::result::Result::ok);
        let logged = lines.filter(|line| line.starts_with("logged")).collect();
        (logged, std::fs::read_to_string(&self.calls).unwrap())
    }

    /// Kills the server. The tracer ends with it.
    fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            let _gone = kill_process(server, Signal::KILL);
        }
        drop(self.strace.wait());
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_file(&self.calls));
    }
}

/// Returns true if strace is installed and may trace. Otherwise, reports that the test is skipped.
fn can_trace() -> bool {
    let mut strace = Command::new("strace");
    match strace.args(["-qq", "-e", "trace=none", "true"]).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => skip(String::from_utf8_lossy(&output.stderr).trim()),
        Err(_) => skip("strace is not installed"),
    }
    false
}

/// Sends a request, and reads to the end.
fn ask(mut stream: TcpStream) {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("here"), "{answer:?}");
}

const ERRORS: &[&str] = &[
    "EMFILE",
    "ENFILE",
    "ENOBUFS",
    "ENOMEM",
    "ECONNABORTED",
    "EPROTO",
    "EPERM",
    "ENETDOWN",
    "EHOSTUNREACH",
    "EINTR",
];

/// Once, each second time, and many times in a row. With the pauses between, the last takes a second or more.
const WHEN: &[&str] = &["1", "1+2", "1..6"];

#[test]
fn all_clients_are_served_and_the_server_does_not_spin_after_each_error_of_accept() {
    if !can_trace() {
        return;
    }
    let rows: Vec<_> = ERRORS
        .iter()
        .flat_map(|error| WHEN.iter().map(move |when| (*error, *when)))
        .collect();
    thread::scope(|scope| {
        for part in rows.chunks(8) {
            scope.spawn(move || {
                for (error, when) in part {
                    check_accept(error, when);
                }
            });
        }
    });
}

fn check_accept(error: &str, when: &str) {
    let name = format!("accept-{error}-{when}");
    let injection = format!("accept4:error={error}:when={when}");
    let server = Traced::start(&name, "trace=accept4", &[injection]);
    let start = Instant::now();
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    clients.into_iter().for_each(ask);
    // A later client is served, too.
    ask(server.connect());
    let took = start.elapsed();
    let (logged, calls) = server.end();
    let failed = calls.matches("(INJECTED)").count();
    assert!(failed > 0, "{name}: nothing failed");
    let failed_max = 200.0 * took.as_secs_f64().max(1.0);
    assert!(
        u32::try_from(failed).map(f64::from).unwrap() < failed_max,
        "{name}: {failed} in {took:?}"
    );
    assert!(logged.len() < 20, "{name}: {logged:#?}");
    assert!(took < Duration::from_secs(5), "{name}: {took:?}");
}

#[test]
fn a_second_of_lost_connections_is_survived_without_a_loop() {
    if !can_trace() {
        return;
    }
    // The kernel's accept always fails.
    for error in ["ECONNABORTED", "EPROTO", "EMFILE"] {
        let injection = format!("accept4:error={error}:when=1+1");
        let name = format!("always-{error}");
        let server = Traced::start(&name, "trace=accept4", &[injection]);
        let client = server.connect();
        thread::sleep(Duration::from_millis(1500));
        let (logged, calls) = server.end();
        let failed = calls.matches("(INJECTED)").count();
        assert!((2..300).contains(&failed), "{name}: {failed}");
        assert!(logged.len() < 20, "{name}: {logged:#?}");
        drop(client);
    }
}

#[test]
fn interrupted_calls_lose_no_request() {
    if !can_trace() {
        return;
    }
    // The loader reads a few files before there is a server.
    let injections = [
        "recvfrom,sendto,writev,sendmsg,epoll_wait:error=EINTR:when=1+3".to_owned(),
        "read,write:error=EINTR:when=60+3".to_owned(),
    ];
    let trace = "trace=read,write,writev,sendmsg,recvfrom,sendto,epoll_wait";
    let server = Traced::start("interrupted", trace, &injections);
    let body = "w".repeat(200_000);
    for _ in 0..20 {
        let mut stream = server.connect();
        for _ in 0..5 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .unwrap();
            let (mut answer, mut piece) = (Vec::new(), [0; 512]);
            while !answer.ends_with(b"here") {
                let count = stream.read(&mut piece).unwrap();
                assert!(count > 0);
                answer.extend_from_slice(&piece[..count]);
            }
        }
        let length = body.len();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let echoed = answer.bytes().filter(|byte| *byte == b'w').count();
        assert_eq!(echoed, length);
    }
    let (logged, calls) = server.end();
    assert!(calls.matches("EINTR").count() > 50);
    assert!(logged.is_empty(), "{logged:#?}");
}
