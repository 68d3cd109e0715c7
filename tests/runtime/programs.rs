//! The programs of `examples/` that show the runtime do what their first lines say, and end with success.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::support::runtime::within_deadline;
use rustix::process::{Pid, Signal, kill_process};

/// A running example, which is killed if its test fails.
struct Example {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
        assert!(program.exists(), "first: cargo build --example {name}");
        let mut command = Command::new(program);
        let mut process = command
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Returns the address that it prints first.
    fn address(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .to_owned()
    }

    fn end_by_signal(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn udp_echo_answers_each_datagram() {
    within_deadline(|| {
        let mut example = Example::start("udp_echo", &["127.0.0.1:0"]);
        let address = example.address();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        client.connect(address).unwrap();
        for sent in [b"water".to_vec(), Vec::new(), vec![7; 40_000]] {
            client.send(&sent).unwrap();
            let mut received = vec![0; 65_507];
            let bytes = client.recv(&mut received).unwrap();
            assert_eq!(received[..bytes], sent);
        }
        example.end_by_signal();
    });
}

#[test]
fn tcp_proxy_connects_by_name_and_passes_each_end_on() {
    within_deadline(|| {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("localhost:{}", server.local_addr().unwrap().port());
        let mut example = Example::start("tcp_proxy", &["127.0.0.1:0", &name]);
        let mut client = TcpStream::connect(example.address()).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let mut text = String::new();
        accepted.read_to_string(&mut text).unwrap();
        accepted.write_all(b"an answer").unwrap();
        drop(accepted);
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "questionan answer");
        let line = example.line();
        assert!(line.ends_with(": 8 bytes there, 9 back"), "{line}");
        example.end_by_signal();
    });
}

#[test]
fn child_process_sorts_lines_and_kills_the_late_one() {
    within_deadline(|| {
        let mut example = Example::start("child_process", &[]);
        assert_eq!(example.line(), r#"["axle", "mill", "water", "wheel"]"#);
        assert_eq!(example.line(), "sleep was killed: true");
        assert!(example.process.wait().unwrap().success());
    });
}

/// Sends lines to a `kv_server`, and returns as many answers.
fn ask(client: &mut BufReader<TcpStream>, lines: &str) -> Vec<String> {
    client.get_mut().write_all(lines.as_bytes()).unwrap();
    lines.lines().map(|_| next_line(client)).collect()
}

fn next_line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn kv_server_keeps_values_passes_messages_on_and_ends_with_its_clients() {
    within_deadline(|| {
        let mut example = Example::start("kv_server", &["127.0.0.1:0"]);
        let address = example.address();
        let connect = || BufReader::new(TcpStream::connect(&address).unwrap());
        let (mut miller, mut baker) = (connect(), connect());
        assert_eq!(
            ask(
                &mut miller,
                "get flour\nset flour rye and oats\nget flour\n"
            ),
            ["none", "none", "value rye and oats"]
        );
        assert_eq!(
            ask(&mut baker, "get flour\ndel flour\nget flour\ngrind\n"),
            [
                "value rye and oats",
                "value rye and oats",
                "none",
                "error: grind"
            ]
        );
        assert_eq!(ask(&mut miller, "pub mill rain\n"), ["sent to 0"]);
        assert_eq!(
            ask(&mut baker, "sub mill\nsub mill\n"),
            ["subscribed", "subscribed"]
        );
        assert_eq!(ask(&mut miller, "pub mill heavy rain\n"), ["sent to 2"]);
        for _ in 0..2 {
            assert_eq!(next_line(&mut baker), "message mill heavy rain");
        }
        // A client that closes its write half receives the rest, and leaves its channels.
        baker.get_mut().write_all(b"get flour\n").unwrap();
        baker.get_mut().shutdown(Shutdown::Write).unwrap();
        assert_eq!([next_line(&mut baker), next_line(&mut baker)], ["none", ""]);
        assert_eq!(ask(&mut miller, "pub mill sun\n"), ["sent to 0"]);

        kill_process(Pid::from_child(&example.process), Signal::TERM).unwrap();
        assert_eq!(
            [next_line(&mut miller), next_line(&mut miller)],
            ["bye", ""]
        );
        assert_eq!(example.line(), "each client has its answers: true");
        assert!(example.process.wait().unwrap().success());
    });
}

/// A client that does not read delays neither the server nor the other clients, and learns what it has missed.
#[test]
fn kv_server_tells_a_slow_subscriber_how_much_it_has_missed() {
    within_deadline(|| {
        let mut example = Example::start("kv_server", &["127.0.0.1:0"]);
        let address = example.address();
        let connect = || BufReader::new(TcpStream::connect(&address).unwrap());
        let (mut slow, mut quick) = (connect(), connect());
        assert_eq!(ask(&mut slow, "sub mill\n"), ["subscribed"]);
        let publish = format!("pub mill {}\n", "x".repeat(60_000));
        let mut sent = 0;
        // More than the buffers of the sockets and the channel hold together.
        for _ in 0..1000 {
            assert_eq!(ask(&mut quick, &publish), ["sent to 1"]);
            sent += 1;
        }
        let (mut received, mut missed) = (0, 0);
        while received + missed < sent {
            let line = next_line(&mut slow);
            match line.strip_prefix("missed mill ") {
                Some(count) => missed += count.parse::<usize>().unwrap(),
                None => received += usize::from(line.starts_with("message mill xxx")),
            }
        }
        assert!(missed > 0 && received >= 64, "{received}, {missed}");
        example.end_by_signal();
    });
}
