//! Each HTTP example ends in order: it answers a request under way, and exits with code 0.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::server::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};

/// The examples, each with a path that it answers and the start of the answer.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("hello", "/", "HTTP/1.1 200 "),
    ("accept_loop", "/", "HTTP/1.1 200 "),
    ("book", "/", "HTTP/1.1 200 "),
    ("counter", "/", "HTTP/1.1 200 "),
    ("echo", "/", "HTTP/1.1 200 "),
    ("events", "/", "HTTP/1.1 200 "),
    ("files", "/", "HTTP/1.1 200 "),
    ("graceful", "/", "HTTP/1.1 200 "),
    ("many_cores", "/", "HTTP/1.1 200 "),
    ("plaintext", "/plaintext", "HTTP/1.1 200 "),
    ("probe", "/", "HTTP/1.1 200 "),
    ("rouille_server", "/hello/world", "HTTP/1.1 200 "),
    // Ends by itself after two requests, and has one here.
    ("serve_n", "/", "HTTP/1.1 200 "),
    ("site", "/", "HTTP/1.1 200 "),
    ("upload", "/", "HTTP/1.1 200 "),
];

/// An example in a process of its own. The process is killed if the test fails.
struct Example {
    process: Child,
    address: String,
}

impl Example {
    fn start(name: &str) -> Self {
        let test = env::current_exe().unwrap();
        let debug = test.ancestors().nth(2).unwrap();
        let program = debug.join("examples").join(name);
        assert!(program.exists(), "first: cargo build --example {name}");
        let folder = debug.join("examples-folder");
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new(program);
        let command = command
            .arg("127.0.0.1:0")
            .current_dir(folder)
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        // The rest of the output is read, so that the example does not block on a full pipe.
        thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("{name} said: {line:?}"));
        let address = address.to_owned();
        Self { process, address }
    }

    /// Returns a client that has sent a request without its last line end.
    fn begin_request(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n").unwrap();
        stream
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the example does not end");
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn every_example_answers_a_request_under_way_at_sigterm_and_ends_with_success() {
    for (name, path, begin) in EXAMPLES {
        let mut example = Example::start(name);
        let mut client = example.begin_request(path);
        thread::sleep(Duration::from_millis(200));
        example.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(500));
        client.write_all(b"\r\n").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(begin), "{name}: {answer}");
        let status = example.wait();
        assert!(status.success(), "{name}: {status}");
    }
}

#[test]
fn a_slow_request_is_answered_after_sigterm() {
    for (name, path) in [("graceful", "/slow"), ("book", "/sleep")] {
        let mut example = Example::start(name);
        let mut client = example.begin_request(path);
        client.write_all(b"\r\n").unwrap();
        thread::sleep(Duration::from_millis(200));
        example.signal(Signal::TERM);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        assert!(example.wait().success(), "{name}");
    }
}

#[test]
fn a_second_interrupt_ends_an_example_at_once() {
    for (name, path, _) in EXAMPLES {
        let mut example = Example::start(name);
        let client = example.begin_request(path);
        thread::sleep(Duration::from_millis(200));
        example.signal(Signal::INT);
        thread::sleep(Duration::from_millis(200));
        assert!(example.process.try_wait().unwrap().is_none(), "{name}");
        let start = Instant::now();
        example.signal(Signal::INT);
        example.wait();
        assert!(start.elapsed() < Duration::from_secs(2), "{name}");
        drop(client);
    }
}

#[test]
fn the_accept_loop_tells_a_client_above_the_limit_of_its_address_to_wait() {
    let example = Example::start("accept_loop");
    let welcome: Vec<_> = (0..100).map(|_| example.begin_request("/")).collect();
    let mut above = example.begin_request("/");
    above.write_all(b"\r\n").unwrap();
    let mut answer = String::new();
    above.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\ntoo many connections from this address\n"),
        "{answer}"
    );
    drop(welcome);
}

#[test]
fn an_open_stream_of_events_does_not_delay_the_end() {
    let mut example = Example::start("events");
    let mut client = example.begin_request("/events");
    client.write_all(b"\r\n").unwrap();
    let mut head = [0; 15];
    client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let start = Instant::now();
    example.signal(Signal::TERM);
    client.read_to_end(&mut Vec::new()).unwrap();
    drop(client);
    assert!(example.wait().success());
    assert!(start.elapsed() < Duration::from_secs(3));
}
