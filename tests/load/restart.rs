//! Restarts under load. Each server inherits its predecessor's listener, and no request fails.
//!
//! The servers are this test binary, started again to run [`child`]. The load is `wrk`. Without it, the test
//! is skipped.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a child process talks to its parent"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::again;
use crate::support::skip::skip;
use crate::turn;
use rustix::process::{Pid, Signal, kill_process};
use waterwheel::http::{Listener, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, signal, time::sleep};

async fn handler(request: Request<'_>) -> Result<Responded> {
    if request.path() == "/slow" {
        sleep(Duration::from_secs(3)).await;
    }
    let me = std::process::id().to_string();
    request.respond(StatusCode::OK, me, ()).await
}

/// A server process. Returns at once unless the process was started as a server.
#[test]
fn child() {
    if std::env::var_os("RESTART_CHILD").is_none() {
        return;
    }
    let listeners = Listener::inherited().unwrap();
    assert_eq!(listeners.len(), 1);
    let report = block_on(async {
        let server = Server::builder().listen_on(listeners).unwrap();
        let signals = signal::shutdown();
        println!("ready");
        server.serve_until(handler, signals).await.unwrap()
    });
    println!("report: {} cut", report.cut);
}

/// One of the servers. It is killed when it is dropped.
struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Process {
    /// Starts a server on that listener, and waits until it serves.
    fn start(listener: &TcpListener) -> Self {
        // Descriptor 0 can be passed to a child without a shell.
        let listener = OwnedFd::from(listener.try_clone().unwrap());
        let mut child = again("restart::child")
            .env("RESTART_CHILD", "1")
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", "0")
            .stdin(Stdio::from(listener))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, lines };
        process.line("ready");
        process
    }

    fn line(&mut self, with: &str) -> String {
        let found = self
            .lines
            .find(|line| line.as_ref().unwrap().contains(with));
        found.unwrap().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn five_restarts_under_load_fail_no_request() {
    let _turn = turn();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut current = Process::start(&listener);
    let wrk = Command::new("wrk")
        .args(["-t1", "-c32", "-d10s", "--timeout", "5s"])
        .arg(format!("http://{address}/"))
        .stdout(Stdio::piped())
        .spawn();
    let Ok(wrk) = wrk else {
        return skip("wrk is not installed");
    };
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(1500));
        let next = Process::start(&listener);
        current.signal(Signal::TERM);
        assert_eq!(current.line("report"), "report: 0 cut");
        assert!(current.child.wait().unwrap().success());
        current = next;
    }
    let output = wrk.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    println!("{said}");
    assert!(output.status.success(), "{said}");
    assert!(
        !said.contains("Socket errors") && !said.contains("Non-2xx"),
        "{said}"
    );
    let requests = said.split(" requests in").next().unwrap();
    let requests: u64 = requests.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(requests > 1000, "{said}");
}

#[test]
fn a_second_signal_cuts_the_connections_at_once() {
    let _turn = turn();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Process::start(&listener);
    let mut held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    held.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    server.signal(Signal::INT);
    thread::sleep(Duration::from_millis(200));
    assert!(server.child.try_wait().unwrap().is_none());
    server.signal(Signal::TERM);
    assert_eq!(server.line("report"), "report: 1 cut");
    assert!(server.child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(matches!(held.read(&mut [0]), Ok(0) | Err(_)));
}
