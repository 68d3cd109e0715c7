//! The server's behaviour if the process has no file descriptors left.
//!
//! Each server is a process of its own with a low limit: this test binary, started again to run [`child`]. Its
//! clients are plain blocking sockets. The tests raise the limit of their own process, so this is a binary of
//! its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a child tells its address")]

#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::process::again;
use crate::support::system::{cpu_ticks, raise_limit};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};
use waterwheel::http::{Limits, Request, Responded, Result, Server, StatusCode, shared};
use waterwheel::runtime::{self, signal, time::sleep};

const DEADLINE: Duration = Duration::from_secs(60);

/// The way in which the child accepts.
#[derive(Clone, Copy, Debug)]
enum Loop {
    Explicit,
    Serve,
    /// As `Serve`, and ends on a signal.
    Graceful,
}

const LOOPS: [Loop; 2] = [Loop::Explicit, Loop::Serve];

/// The server process. Returns at once unless the process was started as a server.
#[test]
fn child() {
    let Ok(limit) = std::env::var("CEILING_LIMIT") else {
        return;
    };
    let limit = limit.parse().ok();
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit,
            maximum,
        },
    )
    .unwrap();
    runtime::block_on(serve()).unwrap();
}

async fn serve() -> io::Result<()> {
    // Descriptors that other code in the process holds.
    let foreign = std::env::var("CEILING_FOREIGN").map_or(0, |count| count.parse().unwrap());
    let foreign: io::Result<Vec<_>> = (0..foreign)
        .map(|_| std::fs::File::open("/dev/null"))
        .collect();
    let _foreign = foreign?;
    let limits =
        Limits::default().with(|limits| limits.shutdown_duration_max = Duration::from_secs(4));
    let server = Server::builder().limits(limits).bind("127.0.0.1:0")?;
    let shutdown = signal::shutdown();
    println!("listening on http://{}", server.local_address());
    let files = RefCell::new(Vec::new());
    let handler = shared(async move |request: Request<'_>| answer(request, &files).await);
    if std::env::var("CEILING_LOOP").is_ok_and(|name| name == "Graceful") {
        return server.serve_until(handler, shutdown).await.map(drop);
    }
    let accept = async {
        if std::env::var("CEILING_LOOP").is_ok_and(|name| name == "Serve") {
            return server.serve(handler).await;
        }
        loop {
            if server.should_accept_request() {
                match server.accept_request(handler.clone()).await {
                    Err(error) if error.is_fatal() => return Err(error.into()),
                    _ => {}
                }
            } else {
                server.capacity().await;
            }
        }
    };
    runtime::race(accept, async { shutdown.await.map(drop) }).await
}

async fn answer(request: Request<'_>, files: &RefCell<Vec<std::fs::File>>) -> Result<Responded> {
    match request.path() {
        "/sleep" => sleep(Duration::from_secs(2)).await,
        "/doze" => sleep(Duration::from_millis(60)).await,
        "/files" => {
            let opened: io::Result<Vec<_>> =
                (0..30).map(|_| std::fs::File::open("/dev/null")).collect();
            files.borrow_mut().extend(opened?);
        }
        _ => {}
    }
    request.respond(StatusCode::OK, "here", ()).await
}

/// A server process. It ends when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(accept_loop: Loop, limit: u32) -> Self {
        Self::start_with(accept_loop, limit, 0)
    }

    /// Starts a server in whose process other code holds `foreign` descriptors.
    fn start_with(accept_loop: Loop, limit: u32, foreign: u32) -> Self {
        let mut child = again("child")
            .env("CEILING_LIMIT", limit.to_string())
            .env("CEILING_LOOP", format!("{accept_loop:?}"))
            .env("CEILING_FOREIGN", foreign.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .map(Result::unwrap)
            .find(|line| line.contains("http://"))
            .unwrap();
        let address = line.rsplit("http://").next().unwrap().parse().unwrap();
        Self { child, address }
    }

    /// Returns clients that have been answered and stay.
    fn clients_that_stay(&self, count: usize) -> Vec<Client> {
        let answered = |_| {
            let mut client = self.client();
            client.ask("/");
            client
        };
        (0..count).map(answered).collect()
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client { stream }
    }

    /// Changes the limit from outside, as prlimit(1) does.
    fn set_limit(&self, limit: u64) {
        let pid = Pid::from_child(&self.child);
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = Some(limit);
        prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asserts that the server uses less than 5 % of a core for half a second.
    fn assert_quiet(&self) {
        let before = cpu_ticks(self.child.id());
        std::thread::sleep(Duration::from_millis(500));
        let ticks = cpu_ticks(self.child.id()) - before;
        assert!(ticks <= 3, "{ticks} ticks of 10 ms in half a second");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Client {
    stream: TcpStream,
}

impl Client {
    fn send(&mut self, path: &str) {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }

    fn read(&mut self) -> String {
        let mut answer = Vec::new();
        let mut buffer = [0; 512];
        while !answer.ends_with(b"here") {
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(
                count > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&answer)
            );
            answer.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(answer).unwrap()
    }

    fn ask(&mut self, path: &str) -> String {
        self.send(path);
        self.read()
    }
}

#[test]
fn two_thousand_clients_that_stay_are_all_answered() {
    raise_limit();
    for accept_loop in LOOPS {
        for limit in [32, 64, 256] {
            let mut server = Process::start(accept_loop, limit);
            let clients = server.clients_that_stay(2000);
            server.assert_quiet();
            assert!(server.is_alive(), "{accept_loop:?} {limit}");
            drop(clients);
        }
    }
}

#[test]
fn five_hundred_clients_at_once_are_all_answered() {
    raise_limit();
    for accept_loop in LOOPS {
        let mut server = Process::start(accept_loop, 64);
        let mut clients: Vec<_> = (0..500).map(|_| server.client()).collect();
        clients.iter_mut().for_each(|client| client.send("/"));
        for client in &mut clients {
            client.read();
        }
        assert!(server.is_alive());
    }
}

#[test]
fn five_hundred_clients_with_sleeping_handlers_are_all_answered_and_the_server_does_not_spin() {
    raise_limit();
    // About fifty clients at a time, for two seconds each. Both loops run beside each other, to save time.
    std::thread::scope(|scope| {
        for accept_loop in LOOPS {
            scope.spawn(move || {
                let mut server = Process::start(accept_loop, 64);
                let mut clients: Vec<_> = (0..500).map(|_| server.client()).collect();
                clients.iter_mut().for_each(|client| client.send("/sleep"));
                std::thread::sleep(Duration::from_millis(300));
                server.assert_quiet();
                clients.iter_mut().for_each(|client| drop(client.read()));
                assert!(server.is_alive());
            });
        }
    });
}

#[test]
fn files_of_a_handler_count() {
    raise_limit();
    for accept_loop in LOOPS {
        let mut server = Process::start(accept_loop, 64);
        server.client().ask("/files");
        let clients = server.clients_that_stay(500);
        server.assert_quiet();
        assert!(server.is_alive());
        drop(clients);
    }
}

#[test]
fn a_new_client_is_answered_at_once_if_idle_connections_fill_the_table() {
    raise_limit();
    for accept_loop in LOOPS {
        let server = Process::start(accept_loop, 64);
        let clients = server.clients_that_stay(120);
        for _ in 0..10 {
            let start = Instant::now();
            server.client().ask("/");
            assert!(
                start.elapsed() < Duration::from_millis(100),
                "{:?}",
                start.elapsed()
            );
        }
        drop(clients);
    }
}

#[test]
fn two_thousand_clients_with_short_sleeps_are_all_answered() {
    raise_limit();
    for accept_loop in LOOPS {
        for limit in [32, 64, 256] {
            let mut server = Process::start(accept_loop, limit);
            let mut clients: Vec<_> = (0..2000).map(|_| server.client()).collect();
            clients.iter_mut().for_each(|client| client.send("/doze"));
            clients.iter_mut().for_each(|client| drop(client.read()));
            assert!(server.is_alive());
        }
    }
}

#[test]
fn two_thousand_clients_of_all_kinds_at_once_are_all_answered() {
    raise_limit();
    for accept_loop in LOOPS {
        for limit in [32, 64, 256] {
            let mut server = Process::start(accept_loop, limit);
            let mut clients: Vec<_> = (0..2000).map(|_| server.client()).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                match number % 3 {
                    // Sends a part of the request, and the rest when the others have begun.
                    0 => write!(client.stream, "GET / HTTP/1.1\r\n").unwrap(),
                    1 => client.send("/doze"),
                    _ => client.send("/"),
                }
            }
            for client in clients.iter_mut().step_by(3) {
                write!(client.stream, "Host: x\r\n\r\n").unwrap();
            }
            // Some clients leave as soon as they have their answer. The others stay until the end.
            let mut staying = Vec::new();
            for (number, mut client) in clients.into_iter().enumerate() {
                client.read();
                if number % 2 == 0 {
                    staying.push(client);
                }
            }
            server.assert_quiet();
            assert!(server.is_alive());
        }
    }
}

#[test]
fn two_thousand_clients_of_one_request_each_pass_through_sixty_four_descriptors() {
    raise_limit();
    for accept_loop in LOOPS {
        for (limit, foreign) in [(64, 0), (128, 60)] {
            let server = Process::start_with(accept_loop, limit, foreign);
            let start = Instant::now();
            let mut clients: Vec<_> = (0..2000).map(|_| server.client()).collect();
            clients.iter_mut().for_each(|client| client.send("/"));
            clients.iter_mut().for_each(|client| drop(client.read()));
            let took = start.elapsed();
            println!(
                "{accept_loop:?}: 2,000 clients, {limit} descriptors, {foreign} foreign: {took:?}"
            );
            // 0.2 s on a quiet machine, unoptimized.
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
    }
}

#[test]
fn a_server_sees_a_limit_that_changes() {
    raise_limit();
    for accept_loop in LOOPS {
        let server = Process::start(accept_loop, 32);
        server.set_limit(256);
        // 150 clients at once are more than 32 descriptors can hold.
        let mut clients: Vec<_> = (0..150).map(|_| server.client()).collect();
        let start = Instant::now();
        clients.iter_mut().for_each(|client| client.send("/sleep"));
        clients.iter_mut().for_each(|client| drop(client.read()));
        let took = start.elapsed();
        assert!(
            took < Duration::from_millis(3500),
            "not all at once: {took:?}"
        );
        drop(clients);
        server.set_limit(32);
        let mut clients: Vec<_> = (0..40).map(|_| server.client()).collect();
        let start = Instant::now();
        clients.iter_mut().for_each(|client| client.send("/sleep"));
        clients.iter_mut().for_each(|client| drop(client.read()));
        let took = start.elapsed();
        assert!(took > Duration::from_millis(3500), "all at once: {took:?}");
    }
}

#[test]
fn an_answer_under_way_is_not_cut_to_make_room() {
    raise_limit();
    for accept_loop in LOOPS {
        let server = Process::start(accept_loop, 32);
        let mut sleeper = server.client();
        sleeper.send("/sleep");
        let mut others: Vec<_> = (0..100).map(|_| server.client()).collect();
        others.iter_mut().for_each(|client| drop(client.ask("/")));
        assert!(sleeper.read().starts_with("HTTP/1.1 200 OK"));
    }
}

#[test]
fn a_server_that_ends_serves_its_queue_and_silent_new_clients_give_way() {
    raise_limit();
    let mut server = Process::start(Loop::Graceful, 64);
    let silent: Vec<_> = (0..70).map(|_| server.client()).collect();
    std::thread::sleep(Duration::from_millis(300));
    let mut clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.send("/"));
    let start = Instant::now();
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    clients
        .iter_mut()
        .for_each(|client| assert!(client.read().starts_with("HTTP/1.1 200 ")));
    drop(clients);
    server.child.wait().unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(silent);
}
