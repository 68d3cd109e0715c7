//! Each example does what its text says, names its errors, and ends in order: it answers a request under way, and
//! exits with code 0.
//!
//! Cargo builds the examples for a run of all tests. Before `--test server` alone, build them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::support::server::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};

/// An example that speaks HTTP.
struct Row {
    name: &'static str,
    /// The arguments after the address.
    arguments: &'static [&'static str],
    /// A path that it answers.
    path: &'static str,
    /// The start of the answer.
    begin: &'static str,
}

const fn row(name: &'static str, path: &'static str) -> Row {
    Row {
        name,
        arguments: &[],
        path,
        begin: "HTTP/1.1 200 ",
    }
}

/// All but `testing`, which `cargo test` builds only as a test.
const EXAMPLES: &[Row] = &[
    row("hello", "/"),
    row("serve_until", "/"),
    row("routes", "/hello/world"),
    row("state", "/"),
    row("json_api", "/sacks"),
    row("streaming", "/"),
    row("upload", "/"),
    row("events", "/"),
    row("login", "/"),
    row("middleware", "/"),
    row("files", "/"),
    row("compress", "/"),
    row("templates", "/"),
    row("cgi", "/sacks/rye"),
    Row {
        name: "call_service",
        // No service listens there.
        arguments: &["http://127.0.0.1:1"],
        path: "/",
        begin: "HTTP/1.1 502 ",
    },
    Row {
        name: "reverse_proxy",
        arguments: &["http://127.0.0.1:1"],
        path: "/",
        begin: "HTTP/1.1 502 ",
    },
    row("logging", "/"),
    row("graceful", "/"),
    Row {
        name: "watch_it_run",
        arguments: &["127.0.0.1:0"],
        path: "/",
        begin: "HTTP/1.1 200 ",
    },
    row("many_cores", "/"),
    row("accept_loop", "/"),
    row("poll_loop", "/"),
    row("book", "/"),
    row("site", "/"),
    row("echo", "/"),
    row("plaintext", "/plaintext"),
    row("probe", "/"),
    Row {
        name: "proxy",
        arguments: &["http://127.0.0.1:1"],
        path: "/",
        begin: "HTTP/1.1 502 ",
    },
];

/// Requests that take two seconds or more.
const SLOW: &[(&str, &str)] = &[
    ("streaming", "/"),
    ("graceful", "/slow"),
    ("book", "/sleep"),
    ("echo", "/slow?ms=2000"),
];

/// Runs a check for each row, all at the same time.
fn for_each<T: Sync>(rows: &[T], check: impl Fn(&T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            scope.spawn(|| check(row));
        }
    });
}

fn program(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "first: cargo build --example {name}");
    program
}

/// An example in a process of its own. The process is killed if the test fails.
struct Example {
    process: Child,
    /// The text after `listening on `.
    address: String,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
        fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new(program(name));
        let command = command
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        // The rest is read, so that the example can print.
        thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let address = line.trim_end().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{name} said: {line:?}"));
        let address = address.to_owned();
        Self { process, address }
    }

    fn serve(name: &str, arguments: &[&str]) -> Self {
        let example = Self::start(name, &[&["127.0.0.1:0"], arguments].concat());
        assert!(example.address.starts_with("http://127.0.0.1:"), "{name}");
        example
    }

    fn client(&self) -> TcpStream {
        let address = self.address.trim_start_matches("http://");
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// A client that has sent a request but for its last line end.
    fn begin_request(&self, path: &str) -> TcpStream {
        let mut stream = self.client();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n").unwrap();
        thread::sleep(Duration::from_millis(200));
        stream
    }

    /// Sends a GET and reads its answer.
    fn ask(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1"), "", "")
    }

    /// Sends a request and reads its answer, after which the server closes.
    fn exchange(&self, line: &str, fields: &str, body: &str) -> String {
        let (mut client, length) = (self.client(), body.len());
        let head = format!("{line}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}");
        write!(client, "{head}\r\n{fields}\r\n{body}").unwrap();
        read_all(client)
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

fn read_all(mut stream: impl Read) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn every_example_answers_a_request_under_way_at_sigterm_and_ends_with_success() {
    for_each(EXAMPLES, |row| {
        let name = row.name;
        let mut example = Example::serve(name, row.arguments);
        let mut client = example.begin_request(row.path);
        example.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(500));
        client.write_all(b"\r\n").unwrap();
        let answer = read_all(client);
        assert!(answer.starts_with(row.begin), "{name}: {answer}");
        let status = example.wait();
        assert!(status.success(), "{name}: {status}");
    });
}

#[test]
fn a_slow_request_is_answered_after_sigterm() {
    for_each(SLOW, |(name, path)| {
        let mut example = Example::serve(name, &[]);
        let mut client = example.begin_request(path);
        client.write_all(b"\r\n").unwrap();
        thread::sleep(Duration::from_millis(200));
        example.signal(Signal::TERM);
        let answer = read_all(client);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        let is_whole = !answer.contains("chunked") || answer.ends_with("\r\n0\r\n\r\n");
        assert!(is_whole, "{name}: {answer}");
        assert!(example.wait().success(), "{name}");
    });
}

#[test]
fn a_second_interrupt_ends_an_example_at_once() {
    for_each(EXAMPLES, |row| {
        let name = row.name;
        let mut example = Example::serve(name, row.arguments);
        let client = example.begin_request(row.path);
        example.signal(Signal::INT);
        thread::sleep(Duration::from_millis(200));
        assert!(example.process.try_wait().unwrap().is_none(), "{name}");
        let start = Instant::now();
        example.signal(Signal::INT);
        example.wait();
        assert!(start.elapsed() < Duration::from_secs(2), "{name}");
        drop(client);
    });
}

#[test]
fn an_example_that_cannot_listen_names_the_address_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
    let address = taken.1.to_string();
    for_each(EXAMPLES, |row| {
        let name = row.name;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut command = Command::new(program(name));
        let output = command.arg(&address).current_dir(folder).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(
            error.starts_with("Error: cannot listen on"),
            "{name}: {error}"
        );
        assert!(error.contains(&address), "{name}: {error}");
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
        assert!(output.stdout.is_empty(), "{name}");
    });
}

#[test]
fn the_watched_example_prints_the_url_of_its_page_once() {
    let mut command = Command::new(program("watch_it_run"));
    let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = pipes.args(["127.0.0.1:0"; 2]).spawn().unwrap();
    let errors = process.stderr.take().unwrap();
    let errors = thread::spawn(move || read_all(errors));
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let address = line.replace("listening on ", "").trim().to_owned();
    let mut example = Example { process, address };
    // It prints the URL before it serves.
    assert!(example.ask("/").ends_with("hello\n"));
    example.signal(Signal::TERM);
    assert!(example.wait().success());
    let all = read_all(lines) + &errors.join().unwrap();
    assert_eq!(all.matches("/?token=").count(), 1, "{all}");
}

#[test]
fn the_sockets_echo_and_end_with_success() {
    let mut example = Example::start("tcp_echo", &["127.0.0.1:0"]);
    let mut client = example.client();
    client.write_all(b"grist").unwrap();
    let mut echo = [0; 5];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"grist");
    example.signal(Signal::TERM);
    assert!(example.wait().success());
}

#[test]
fn the_unix_socket_answers_at_sigterm_and_its_file_is_removed() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example.sock");
    let mut example = Example::start("unix_socket", &[path.to_str().unwrap()]);
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
    thread::sleep(Duration::from_millis(200));
    example.signal(Signal::TERM);
    client.write_all(b"\r\n").unwrap();
    assert!(read_all(client).ends_with("Hello from a file\n"));
    assert!(example.wait().success());
    assert!(!path.exists());
}

#[test]
fn a_stream_of_events_ends_in_good_order_at_sigterm() {
    let mut example = Example::serve("events", &[]);
    let mut client = example.begin_request("/events");
    client.write_all(b"\r\n").unwrap();
    thread::sleep(Duration::from_millis(200));
    example.signal(Signal::TERM);
    let answer = read_all(client);
    assert!(answer.contains("event: watchers\ndata: 1\n\n"), "{answer}");
    assert!(answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
    assert!(example.wait().success());
}

#[test]
fn a_client_over_the_limit_of_the_accept_loop_reads_why() {
    let example = Example::serve("accept_loop", &[]);
    let open: Vec<_> = (0..3).map(|_| example.begin_request("/")).collect();
    let refused = example.ask("/");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    drop(open);
    let start = Instant::now();
    while !example.ask("/").starts_with("HTTP/1.1 200 ") {
        assert!(start.elapsed() < DEADLINE, "the three have left");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_error_of_the_api_is_json() {
    let example = Example::serve("json_api", &[]);
    let json = "Content-Type: application/json\r\n";
    let rows = [
        ("GET /nowhere HTTP/1.1", "", "", 404, "not found"),
        ("GET /sacks/7 HTTP/1.1", "", "", 404, "no such sack"),
        ("PUT /sacks HTTP/1.1", "", "", 405, "method not allowed"),
        (
            "GET /sacks HTTP/1.1",
            "a b: c\r\n",
            "",
            400,
            "white space before a colon",
        ),
        (
            "POST /sacks HTTP/1.1",
            json,
            "{",
            400,
            "malformed JSON at line 1, column 1",
        ),
        (
            "POST /sacks HTTP/1.1",
            "",
            "{}",
            415,
            "expected content-type application/json",
        ),
        (
            "POST /sacks HTTP/1.1",
            json,
            "{}",
            422,
            "missing field `flour`",
        ),
        (
            "POST /sacks HTTP/1.1",
            json,
            r#"{"flour":"rye","grains":0}"#,
            422,
            "grains: must be at least 1",
        ),
    ];
    for (line, fields, body, status, text) in rows {
        let answer = example.exchange(line, fields, body);
        let begin = format!("HTTP/1.1 {status} ");
        let end = format!("\r\n\r\n{{\"error\":\"{text}\",\"status\":{status}}}");
        assert!(
            answer.starts_with(&begin) && answer.ends_with(&end),
            "{answer}"
        );
        assert!(
            answer.contains("\r\ncontent-type: application/json\r\n"),
            "{answer}"
        );
    }
    let sack = r#"{"flour":"rye","grains":7}"#;
    let answer = example.exchange("POST /sacks HTTP/1.1", json, sack);
    assert!(
        answer.starts_with("HTTP/1.1 201 ") && answer.ends_with(sack),
        "{answer}"
    );
    assert!(example.ask("/sacks/0").ends_with(sack));
}

#[test]
fn the_login_knows_its_user_and_refuses_a_page_of_another_site() {
    let example = Example::serve("login", &[]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let log_in = |fields: &str| {
        let fields = form.to_owned() + fields;
        example.exchange("POST /login HTTP/1.1", &fields, "name=anna&password=flour")
    };
    for fields in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: https://evil.example\r\n",
    ] {
        let refused = log_in(fields);
        assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
        assert!(!refused.contains("set-cookie"), "{refused}");
    }
    let answer = log_in("Sec-Fetch-Site: same-origin\r\n");
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    let (_, cookie) = answer.split_once("set-cookie: ").unwrap();
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let home = || example.exchange("GET / HTTP/1.1", &cookie, "");
    assert!(home().ends_with("\r\n\r\nwelcome\ngood morning, anna\n"));
    assert!(home().ends_with("\r\n\r\ngood morning, anna\n"));
    let fields = cookie.clone() + "Sec-Fetch-Site: cross-site\r\n";
    let refused = example.exchange("POST /logout HTTP/1.1", &fields, "");
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(home().ends_with("good morning, anna\n"));
    assert!(
        example
            .exchange("POST /logout HTTP/1.1", &cookie, "")
            .starts_with("HTTP/1.1 303 ")
    );
    assert!(home().ends_with("log in with POST /login\n"));
}

#[test]
fn the_user_that_the_middleware_finds_reaches_the_handler() {
    let example = Example::serve("middleware", &[]);
    assert!(example.ask("/").starts_with("HTTP/1.1 200 "));
    assert!(example.ask("/private").starts_with("HTTP/1.1 401 "));
    let credentials = "Authorization: Basic YW5uYTpmbG91cg==\r\n"; // anna:flour
    let answer = example.exchange("GET /private HTTP/1.1", credentials, "");
    assert!(answer.ends_with("good morning, anna\n"), "{answer}");
}

#[test]
fn the_answer_of_another_service_is_passed_on() {
    let service = Example::serve("serve_until", &[]);
    let example = Example::serve("call_service", &[&service.address]);
    let answer = example.ask("/");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nHello World\n"), "{answer}");
}

#[test]
fn an_upload_appears_under_its_name_only_when_it_is_whole() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-upload");
    drop(fs::remove_dir_all(&folder));
    let example = Example::serve("upload", &[folder.to_str().unwrap()]);
    let part =
        "--x\r\nContent-Disposition: form-data; name=f; filename=\"../rye.txt\"\r\n\r\ngrist";
    let end = "\r\n--x--\r\n";
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {}\r\n\r\n",
        part.len() + end.len()
    );
    let names = || {
        let entries = fs::read_dir(&folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    // One client leaves in the middle, and the other sends all of it.
    let mut lost = example.client();
    lost.write_all((head.clone() + part).as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(200));
    assert!(!names().contains(&"rye.txt".to_owned()));
    drop(lost);
    let mut client = example.client();
    client.write_all((head + part + end).as_bytes()).unwrap();
    let answer = read_all(client);
    assert!(answer.ends_with("rye.txt: 5 bytes\n"), "{answer}");
    assert_eq!(fs::read_to_string(folder.join("rye.txt")).unwrap(), "grist");
    let start = Instant::now();
    while names() != ["rye.txt"] {
        assert!(start.elapsed() < DEADLINE, "{:?}", names());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_example_is_in_the_table_and_its_text_says_how_to_run_it_and_what_it_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let table = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut links: Vec<_> = table.split("](").skip(1).collect();
    links
        .iter_mut()
        .for_each(|link| *link = link.split(')').next().unwrap());
    for under in ["", "fixtures/"] {
        for entry in fs::read_dir(folder.join(under)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let Some(name) = file.strip_suffix(".rs") else {
                continue;
            };
            let link = format!("{under}{file}");
            assert!(links.contains(&&*link), "{name} is not in the table");
            let text = fs::read_to_string(folder.join(&link)).unwrap();
            let says = |words: &str| text.contains(words);
            assert!(says(&format!("--example {name}")), "{name}: how is it run?");
            let shows = says("ou should see ") || under == "fixtures/";
            assert!(shows, "{name}: what does it show?");
        }
    }
    for link in links {
        assert!(folder.join(link).exists(), "the table has {link}");
    }
}

#[test]
fn sigterm_before_the_first_client_ends_every_example_with_success() {
    for_each(EXAMPLES, |row| {
        let mut example = Example::serve(row.name, row.arguments);
        example.signal(Signal::TERM);
        let status = example.wait();
        assert!(status.success(), "{}: {status}", row.name);
    });
}

/// The head of an upload to the example, and its body in two halves.
fn upload() -> [String; 2] {
    let begin = "--x\r\nContent-Disposition: form-data; name=f; filename=rye.txt\r\n\r\ngri";
    let end = "st\r\n--x--\r\n";
    let length = begin.len() + end.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n"
    );
    [head + begin, end.to_owned()]
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn an_upload_under_way_at_sigterm_is_finished_and_a_second_signal_leaves_no_file() {
    for is_finished in [true, false] {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("upload-{is_finished}"));
        drop(fs::remove_dir_all(&folder));
        let mut example = Example::serve("upload", &[folder.to_str().unwrap()]);
        let mut client = example.client();
        let [begin, end] = upload();
        client.write_all(begin.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(200));
        example.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(200));
        let start = Instant::now();
        if is_finished {
            client.write_all(end.as_bytes()).unwrap();
            let answer = read_all(client);
            assert!(answer.ends_with("rye.txt: 5 bytes\n"), "{answer}");
        } else {
            example.signal(Signal::TERM);
        }
        assert!(example.wait().success());
        assert!(start.elapsed() < Duration::from_secs(2));
        let expected = if is_finished { &["rye.txt"][..] } else { &[] };
        assert_eq!(names(&folder), expected);
    }
}

#[test]
fn a_second_interrupt_does_not_wait_for_a_silent_service() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", service.local_addr().unwrap());
    let mut example = Example::serve("call_service", &[&url]);
    let mut client = example.begin_request("/");
    client.write_all(b"\r\n").unwrap();
    let _called = service.accept().unwrap();
    example.signal(Signal::INT);
    thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    example.signal(Signal::INT);
    example.wait();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}
