//! The lines that a server logs, word for word, and those on stderr if a program has no subscriber.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::server::DEADLINE;
use crate::support::tls::configs;
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use waterwheel::http::tls::{TlsConfig, TlsReloader};
use waterwheel::http::web::middleware::{at_most, request_ids};
use waterwheel::http::{
    Builder, ClientError, Error, ErrorAnswer, Handler, Limits, Request, Responded, Result, Server,
    StatusCode,
};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{block_on, join, spawn_blocking};

/// Keeps the lines of this thread: the level, the message, and the fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("waterwheel_http")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let (mut message, mut fields) = (String::new(), String::new());
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" {
                write!(message, "{value:?}").unwrap();
            } else {
                write!(fields, " {field}={value:?}").unwrap();
            }
        });
        let level = event.metadata().level();
        let line = format!("{level} {message}{fields}");
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn logged<H: Handler>(
    limits: Limits,
    handler: H,
    clients: impl FnOnce(SocketAddr) -> Vec<SocketAddr> + Send + 'static,
) -> Vec<String> {
    logged_by(Server::builder().limits(limits), handler, clients)
}

/// Runs a server beside `clients` on a thread of its own. Returns the logged lines, in which the addresses are
/// `SERVER` and `CLIENT`.
fn logged_by<H: Handler>(
    builder: Builder,
    handler: H,
    clients: impl FnOnce(SocketAddr) -> Vec<SocketAddr> + Send + 'static,
) -> Vec<String> {
    // With a single subscriber, tracing asks the thread that first meets a line, which may be that of another test.
    static SECOND: OnceLock<Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| Dispatch::new(Log::default()));
    let log = Log::default();
    let (server, peers) = tracing::subscriber::with_default(log.clone(), || {
        block_on(async {
            let server = builder.bind("127.0.0.1:0").unwrap();
            let address = server.local_address();
            let clients = async {
                let peers = spawn_blocking(move || clients(address)).await.unwrap();
                // The connection of a client that has read its answer may still linger.
                while server.connections() > 0 {
                    sleep(Duration::from_millis(5)).await;
                }
                server.shutdown(Duration::from_secs(10)).await;
                peers
            };
            let both = join(server.serve(handler), clients);
            let (outcome, peers) = timeout(DEADLINE, both).await.unwrap();
            outcome.unwrap();
            (address, peers)
        })
    });
    let lines = log.0.lock().unwrap();
    let named = lines.iter().map(|line| {
        let line = line.replace(&server.to_string(), "SERVER");
        let named = |line: String, peer: &SocketAddr| line.replace(&peer.to_string(), "CLIENT");
        peers.iter().fold(line, named)
    });
    named.collect()
}

/// Sends a request on a connection of its own, and reads until the end. Returns the client's address.
fn ask(address: SocketAddr, request: &str) -> SocketAddr {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    stream.local_addr().unwrap()
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no number of sacks")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// An error that is its own cause.
#[derive(Debug)]
struct Ring;

impl std::fmt::Display for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("again")
    }
}

impl std::error::Error for Ring {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

/// An error that cannot be written.
#[derive(Debug)]
struct Bursting;

impl std::fmt::Display for Bursting {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("on purpose")
    }
}

impl std::error::Error for Bursting {}

async fn handler(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/fails" => Err("x".parse::<u8>().map_err(Outer).unwrap_err().into()),
        "/panics" => panic!("on purpose"),
        "/quotes" => Err(Error::message(
            "no user \u{1b}[2J\r\nwaterwheel: all is well",
        )),
        "/turns" => Err(Ring.into()),
        "/bursts" => Err(Bursting.into()),
        "/blames" => Err(ClientError::new(StatusCode::CONFLICT, "taken").into()),
        "/slow" => {
            sleep(Duration::from_secs(60)).await;
            Err(Error::message("late"))
        }
        _ => request.respond(StatusCode::OK, "hello", ()).await,
    }
}

const LAST: &str = "Host: x\r\nConnection: close\r\n\r\n";

/// Compares the lines between those of the start and the end of the server.
#[track_caller]
fn check(lines: &[String], expected: &[&str]) {
    let (first, last) = (&lines[0], &lines[lines.len() - 2..]);
    assert_eq!(first, "INFO listening address=SERVER");
    assert_eq!(
        last,
        [
            "INFO shutting down grace_seconds=10.0 connections=0",
            "INFO shut down: no connection was open",
        ]
    );
    assert_eq!(&lines[1..lines.len() - 2], expected);
}

#[test]
fn a_request_that_is_answered_has_the_lines_of_its_connection_and_no_other() {
    let lines = logged(Limits::default(), handler, |address| {
        vec![ask(address, &format!("GET / HTTP/1.1\r\n{LAST}"))]
    });
    check(
        &lines,
        &[
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a connection closed peer=CLIENT requests=1",
        ],
    );
}

#[test]
fn a_failure_has_method_target_peer_and_the_chain_of_errors() {
    let lines = logged(Limits::default(), handler, |address| {
        let fails = ask(address, "POST /fails?x HTTP/1.1\r\nHost: x\r\n\r\n");
        let panics = ask(address, "GET /panics HTTP/1.1\r\nHost: x\r\n\r\n");
        vec![fails, panics]
    });
    check(
        &lines,
        &[
            "DEBUG a connection opened peer=CLIENT",
            "ERROR a handler failed method=\"POST\" target=\"/fails?x\" peer=CLIENT \
             error=no number of sacks: invalid digit found in string",
            "DEBUG a connection closed peer=CLIENT requests=1",
            "DEBUG a connection opened peer=CLIENT",
            "ERROR a handler failed method=\"GET\" target=\"/panics\" peer=CLIENT \
             error=the handler panicked: on purpose",
            "DEBUG a connection closed peer=CLIENT requests=1",
        ],
    );
}

#[test]
fn a_failure_has_the_id_of_its_request() {
    let lines = logged(Limits::default(), request_ids(handler), |address| {
        vec![ask(address, "GET /fails HTTP/1.1\r\nHost: x\r\n\r\n")]
    });
    let (before, behind) = lines[2].split_once("request_id=\"").unwrap();
    let (id, behind) = behind.split_once('"').unwrap();
    assert_eq!(
        before,
        "ERROR a handler failed method=\"GET\" target=\"/fails\" peer=CLIENT "
    );
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        behind,
        " error=no number of sacks: invalid digit found in string"
    );
}

#[test]
fn a_refusal_has_its_reason_and_as_much_of_the_request_as_is_known() {
    let lines = logged(Limits::default(), at_most(1, handler), |address| {
        let blamed = ask(address, &format!("PUT /blames HTTP/1.1\r\n{LAST}"));
        let without_host = ask(address, "GET /a HTTP/1.1\r\n\r\n");
        let without_line = ask(address, "G(T /a HTTP/1.1\r\n\r\n");
        vec![blamed, without_host, without_line]
    });
    check(
        &lines,
        &[
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a request was refused method=\"PUT\" target=\"/blames\" peer=CLIENT status=409 reason=\"taken\"",
            "DEBUG a connection closed peer=CLIENT requests=1",
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a request was refused method=\"GET\" target=\"/a\" peer=CLIENT status=400 reason=\"Host missing\"",
            "DEBUG a connection closed peer=CLIENT requests=0",
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a request was refused peer=CLIENT status=400 reason=\"malformed method\"",
            "DEBUG a connection closed peer=CLIENT requests=0",
        ],
    );
}

fn no_page(_: &ErrorAnswer<'_>) -> Result<&'static str> {
    Err(Error::message("no page"))
}

#[test]
fn a_function_for_error_responses_that_fails_has_a_line() {
    let builder = Server::builder().error_responses(no_page);
    let lines = logged_by(builder, handler, |address| {
        vec![ask(address, &format!("GET /blames HTTP/1.1\r\n{LAST}"))]
    });
    check(
        &lines,
        &[
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a request was refused method=\"GET\" target=\"/blames\" peer=CLIENT status=409 reason=\"taken\"",
            "ERROR the function for error responses failed error=no page",
            "DEBUG a connection closed peer=CLIENT requests=1",
        ],
    );
}

#[test]
fn a_time_limit_that_passes_has_a_line() {
    let limits = Limits::default().with(|limits| {
        limits.head_duration_max = Duration::from_millis(100);
        limits.idle_duration_max = Duration::from_millis(100);
        limits.handler_duration_max = Some(Duration::from_millis(100));
    });
    let lines = logged(limits, handler, |address| {
        let idle = ask(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let within_head = ask(address, "GET / HTTP/1.1\r\nHost");
        let slow = ask(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
        vec![idle, within_head, slow]
    });
    check(
        &lines,
        &[
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a client timed out peer=CLIENT waited_for=\"a request\"",
            "DEBUG a connection closed peer=CLIENT requests=1",
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a request was refused method=\"GET\" target=\"/\" peer=CLIENT status=408 \
             reason=\"the head took too long\"",
            "DEBUG a connection closed peer=CLIENT requests=0",
            "DEBUG a connection opened peer=CLIENT",
            "ERROR a handler failed method=\"GET\" target=\"/slow\" peer=CLIENT error=the answer took too long",
            "DEBUG a connection closed peer=CLIENT requests=1",
        ],
    );
}

#[test]
fn a_flood_of_failures_is_a_few_lines_and_a_count_that_is_never_zero() {
    let lines = logged(Limits::default(), handler, |address| {
        let fail = |_| ask(address, "GET /fails HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut peers: Vec<_> = (0..20).map(fail).collect();
        thread::sleep(Duration::from_millis(1100));
        peers.push(fail(20));
        peers
    });
    let failures: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("ERROR"))
        .collect();
    // At least five of the first second and the last one. A slow machine has more seconds.
    assert!((6..=21).contains(&failures.len()), "{failures:#?}");
    let counted: Vec<_> = failures
        .iter()
        .filter_map(|line| line.split_once(" lines_left_out="))
        .map(|(_, count)| count.parse::<usize>().unwrap())
        .collect();
    assert!(counted.iter().all(|count| *count > 0));
    assert_eq!(counted.iter().sum::<usize>() + failures.len(), 21);
}

/// The server process. Returns at once unless the process was started as a server.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the child tells its address to its parent"
)]
fn child() {
    let Ok(kind) = std::env::var("LOG_LINES_CHILD") else {
        return;
    };
    block_on(async {
        let mut builder = Server::builder();
        if kind == "hooks" {
            builder = builder.error_responses(no_page);
        }
        let server = builder.bind("127.0.0.1:0").unwrap();
        println!("\nlistening on {}", server.local_address());
        if kind != "accepts" {
            return server.serve(handler).await.unwrap();
        }
        // A loop of the user's own that does not ask the gate, in a process that has no descriptor left.
        let files = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok());
        let _files: Vec<_> = files.collect();
        loop {
            drop(server.accept_request(handler).await);
            sleep(Duration::from_millis(10)).await;
        }
    });
}

/// Starts a server process under a limit on descriptors, and calls `clients` when it listens. Returns what it writes
/// to stderr within `wait`.
fn stderr_of(kind: &str, descriptors: u32, clients: impl FnOnce(&str), wait: Duration) -> String {
    let program = std::env::current_exe().unwrap();
    let script =
        format!("ulimit -n {descriptors} && exec \"$0\" --exact log_lines::child --nocapture");
    let mut process = Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .env("LOG_LINES_CHILD", kind)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let listening = lines.find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
    if let Some(address) = &listening {
        clients(address);
    }
    let start = Instant::now();
    while start.elapsed() < wait && process.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(10));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let mut text = String::new();
    let mut stderr = process.stderr.take().unwrap();
    stderr.read_to_string(&mut text).unwrap();
    assert!(listening.is_some(), "{text}");
    text
}

#[test]
fn without_a_subscriber_the_first_failure_is_one_line_on_stderr() {
    let wait = Duration::from_millis(100);
    let mut peer = String::new();
    let clients = |address: &str| {
        let address = address.parse().unwrap();
        for _ in 0..3 {
            let client = ask(address, "GET /fails HTTP/1.1\r\nHost: x\r\n\r\n");
            if peer.is_empty() {
                peer = client.to_string();
            }
        }
    };
    let text = stderr_of("serves", 1024, clients, wait);
    let expected = format!(
        "waterwheel: GET /fails from {peer} failed: no number of sacks: invalid digit found in string (shown once; \
         a `tracing` subscriber shows all)\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_limit_without_room_for_one_connection_is_reported_at_the_start() {
    for (kind, limit) in [("serves", 12), ("accepts", 20)] {
        let mut silent = None;
        // The second kind does not ask the gate, so it fails only when a client comes.
        let connect = |address: &str| {
            silent = (kind == "accepts").then(|| TcpStream::connect(address).unwrap());
        };
        let text = stderr_of(kind, limit, connect, Duration::from_millis(500));
        let begin =
            "waterwheel: out of file descriptors: there is no room for a single connection; ";
        assert!(text.starts_with(begin), "{kind}: {text}");
        let end = format!(
            " are open, a connection may need 5, and the limit is {limit}; raise the limit (ulimit -n 1024) \
             (shown once; a `tracing` subscriber shows all)\n"
        );
        assert!(text.ends_with(&end), "{kind}: {text}");
        assert_eq!(text.lines().count(), 1, "{kind}: {text}");
        drop(silent);
    }
}

/// Sends a request on a connection of its own, and returns the answer.
fn answer(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn an_error_that_quotes_its_client_stays_one_line_without_control_characters() {
    let text = "no user \\u{1b}[2J\\r\\nwaterwheel: all is well";
    let quotes = "GET /quotes HTTP/1.1\r\nHost: x\r\n\r\n";
    let lines = logged(Limits::default(), handler, |address| {
        vec![ask(address, quotes)]
    });
    let line = format!(
        "ERROR a handler failed method=\"GET\" target=\"/quotes\" peer=CLIENT error={text}"
    );
    assert_eq!(lines[2], line);
    let clients = |address: &str| drop(answer(address, quotes));
    let stderr = stderr_of("serves", 1024, clients, Duration::from_millis(100));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains(&format!(" failed: {text} (shown once")),
        "{stderr}"
    );
}

#[test]
fn an_error_that_is_its_own_cause_is_logged_and_answered() {
    let lines = logged(Limits::default(), handler, |address| {
        let text = answer(
            &address.to_string(),
            &format!("GET /turns HTTP/1.1\r\n{LAST}"),
        );
        assert!(text.starts_with("HTTP/1.1 500 "), "{text}");
        Vec::new()
    });
    let line = &lines[2];
    assert!(
        line.contains(" error=again: again: again") && line.ends_with(": …"),
        "{line}"
    );
}

#[test]
fn an_error_that_panics_when_it_is_written_is_answered() {
    let lines = logged(Limits::default(), handler, |address| {
        let text = answer(
            &address.to_string(),
            &format!("GET /bursts HTTP/1.1\r\n{LAST}"),
        );
        assert!(text.starts_with("HTTP/1.1 500 "), "{text}");
        Vec::new()
    });
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("ERROR a handler failed")),
        "{lines:?}"
    );
}

#[test]
fn an_answer_does_not_change_if_no_process_reads_stderr() {
    for (kind, target, status) in [("serves", "/fails", 500), ("hooks", "/blames", 409)] {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log_lines::child", "--nocapture"])
            .env("LOG_LINES_CHILD", kind)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let listening = lines.find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
        drop(process.stderr.take()); // each write fails with EPIPE
        let text = answer(
            &listening.unwrap(),
            &format!("GET {target} HTTP/1.1\r\n{LAST}"),
        );
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    }
}

/// A subscriber whose writer is gone. `tracing-subscriber` panics if neither its writer nor stderr can be written.
struct Broken;

impl Subscriber for Broken {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("waterwheel_http")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        panic!("on purpose")
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_subscriber_that_panics_costs_no_answer_and_no_report() {
    let clients = |address: SocketAddr| {
        let address = address.to_string();
        for (request, status) in [
            ("GET / HTTP/1.1", 200),
            ("GET /fails HTTP/1.1", 500),
            ("GET /panics HTTP/1.1", 500),
            ("GET /blames HTTP/1.1", 409),
            ("G(T / HTTP/1.1", 400),
            ("GET / HTTP/1.1", 200),
        ] {
            let text = answer(&address, &format!("{request}\r\n{LAST}"));
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        }
    };
    let (outcome, report) = tracing::subscriber::with_default(Broken, || {
        block_on(async {
            let builder = Server::builder().error_responses(no_page);
            let server = builder.bind("127.0.0.1:0").unwrap();
            let address = server.local_address();
            let clients = async {
                spawn_blocking(move || clients(address)).await.unwrap();
                server.shutdown(Duration::from_secs(10)).await
            };
            let both = join(server.serve(handler), clients);
            timeout(DEADLINE, both).await.unwrap()
        })
    });
    outcome.unwrap();
    assert_eq!(report.cut, 0, "{report}");
}

#[test]
fn a_handshake_that_fails_has_its_peer_and_its_cause() {
    let (config, _) = configs();
    let builder = Server::builder().tls(config);
    let lines = logged_by(builder, handler, |address| {
        let plain = ask(address, &format!("GET / HTTP/1.1\r\n{LAST}"));
        let strange = ask(address, "\x16\x03\x01\x7f\x7f");
        vec![plain, strange]
    });
    check(
        &lines,
        &[
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a handshake failed peer=CLIENT error=the client speaks HTTP, and the port HTTPS",
            "DEBUG a connection closed peer=CLIENT requests=0",
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a handshake failed peer=CLIENT error=received corrupt message of type MessageTooLarge",
            "DEBUG a connection closed peer=CLIENT requests=0",
        ],
    );
}

#[test]
fn a_client_that_speaks_tls_to_a_port_of_http_is_refused_at_once_with_the_reason() {
    let lines = logged(Limits::default(), handler, |address| {
        // The begin of a hello, without a line end.
        vec![ask(address, "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03")]
    });
    check(
        &lines,
        &[
            "DEBUG a connection opened peer=CLIENT",
            "DEBUG a request was refused peer=CLIENT status=400 reason=\"this port speaks HTTP, not TLS\"",
            "DEBUG a connection closed peer=CLIENT requests=0",
        ],
    );
}

/// Loads a certificate for `mill.example` that is valid from one year to another. Returns the lines.
fn loaded(file: Option<&Path>, from: i32, to: i32) -> Vec<String> {
    let names = ["Mill.example".to_owned(), "*.mill.example".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 2);
    params.not_after = rcgen::date_time_ymd(to, 3, 4);
    let key = rcgen::KeyPair::generate().unwrap();
    let (chain, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let config = match file {
            None => TlsConfig::from_pem(&chain, &key),
            Some(file) => {
                fs::write(file, chain + &key).unwrap();
                TlsConfig::from_pem_files(file, file)
            }
        };
        config.unwrap();
    });
    log.0.lock().unwrap().clone()
}

#[test]
fn a_certificate_that_no_client_accepts_now_has_a_line_when_it_is_loaded() {
    const NAMES: &str = "names=\"mill.example *.mill.example\"";
    let expired = format!(
        "WARN a certificate has expired {NAMES} not_after=\"Sat, 04 Mar 2023 00:00:00 GMT\""
    );
    assert_eq!(loaded(None, 2020, 2023), [expired]);
    let early = format!(
        "WARN a certificate is not valid yet; is the clock right? {NAMES} not_before=\"Fri, 02 Jan 2224 00:00:00 GMT\""
    );
    assert_eq!(loaded(None, 2224, 2225), [early]);
    assert!(loaded(None, 2020, 2225).is_empty());
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines = loaded(Some(file.path()), 2020, 2023);
    let place = format!("expired file={} names=", file.path().display());
    assert!(lines.len() == 1 && lines[0].contains(&place), "{lines:?}");
}

#[test]
fn a_reload_reports_a_certificate_that_has_expired() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let tls = TlsReloader::new(|| {
            let mut params = rcgen::CertificateParams::new(["mill".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(2023, 3, 4);
            let key = rcgen::KeyPair::generate().unwrap();
            TlsConfig::from_pem(params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        });
        tls.unwrap().reload().unwrap();
    });
    assert_eq!(log.0.lock().unwrap().len(), 2);
}
