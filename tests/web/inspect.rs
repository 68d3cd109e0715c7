//! The page of `waterwheel::inspect`: who may see it, its answers, and the control of the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use waterwheel::inspect::{self, ControlState, Options, Page, Recorder};
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{Runtime, block_on, spawn_detached, yield_now};

use crate::support::process::alone;

const DEADLINE: Duration = Duration::from_secs(20);

/// A program on a thread of its own, whose only task ticks every five milliseconds, and its page.
struct Watched {
    page: Option<Page>,
    recorder: Recorder,
    stop: mpsc::Sender<()>,
    program: Option<JoinHandle<()>>,
}

impl Watched {
    fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let (sender, receiver) = mpsc::channel();
        let program = thread::spawn(move || {
            let runtime = Runtime::builder().inspect(Options::default());
            runtime.build().unwrap().block_on(async {
                sender.send(inspect::recorder().unwrap()).unwrap();
                while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                    sleep(Duration::from_millis(5)).await;
                }
            });
        });
        let recorder = receiver.recv_timeout(DEADLINE).unwrap();
        let page = Page::of(recorder.clone()).serve("127.0.0.1:0").unwrap();
        Self {
            page: Some(page),
            recorder,
            stop,
            program: Some(program),
        }
    }

    fn page(&self) -> &Page {
        self.page.as_ref().unwrap()
    }

    fn token(&self) -> String {
        let url = self.page().url();
        url.split_once("token=").unwrap().1.to_owned()
    }

    /// Sends a request with these fields. Returns the stream of its answer.
    fn open(&self, start: &str, fields: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.page().local_address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let length = body.len();
        let request = format!(
            "{start} HTTP/1.1\r\n{fields}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream)
    }

    /// Returns the head and the body of an answer.
    fn ask_with(&self, start: &str, fields: &str, body: &str) -> (String, String) {
        let mut answer = String::new();
        let mut stream = self.open(start, fields, body);
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn target(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("{path}{mark}token={}", self.token())
    }

    fn get(&self, path: &str) -> (String, String) {
        let start = format!("GET {}", self.target(path));
        self.ask_with(&start, "host: 127.0.0.1\r\n", "")
    }

    fn control(&self, command: &str) -> Value {
        let start = format!("POST {}", self.target("/control"));
        let (_, body) = self.ask_with(&start, "host: 127.0.0.1\r\n", command);
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"))
    }

    fn polls(&self) -> usize {
        self.recorder.trace().polls().count()
    }

    fn state(&self) -> ControlState {
        self.recorder.control().wait(DEADLINE)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.page.take());
        // A test that has failed may leave it paused.
        self.recorder.control().resume();
        self.stop.send(()).unwrap_or_default(); // a program that has ended takes no message
        let ended = self.program.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

#[track_caller]
fn assert_status(head: &str, status: &str) {
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
}

#[test]
fn a_request_without_the_token_is_refused_everywhere() {
    let watched = Watched::start();
    let wrong = "0".repeat(32);
    for start in [
        "GET /",
        "GET /trace.json",
        "GET /dump.json",
        "GET /events?from=0",
        "GET /trace?seconds=5",
        "POST /control",
        "GET /no-such-page",
        &format!("GET /?token={wrong}"),
        &format!("POST /control?token={wrong}"),
    ] {
        let (head, _) = watched.ask_with(start, "host: 127.0.0.1\r\n", "pause");
        assert_status(&head, "403");
    }
    assert_eq!(watched.state(), ControlState::Running);
}

#[test]
fn another_site_is_refused_with_the_right_token_too() {
    let watched = Watched::start();
    let start = format!("POST {}", watched.target("/control"));
    for (fields, status) in [
        ("host: localhost:6669\r\n", "200"),
        ("host: [::1]:6669\r\norigin: http://[::1]:6669\r\n", "200"),
        ("host: rebound.example:6669\r\n", "403"),
        ("host: 127.0.0.1\r\norigin: http://evil.example\r\n", "403"),
        ("host: 127.0.0.1\r\norigin: null\r\n", "403"),
    ] {
        let (head, _) = watched.ask_with(&start, fields, "resume");
        assert_status(&head, status);
    }
}

#[test]
fn the_page_runs_its_own_script_only_and_stays_out_of_caches() {
    let watched = Watched::start();
    let (head, body) = watched.get("/");
    assert_status(&head, "200");
    let nonce = head.split_once("script-src 'nonce-").unwrap().1;
    let nonce = nonce.split_once('\'').unwrap().0;
    assert_eq!(
        body.matches(&format!("nonce=\"{nonce}\"")).count(),
        body.matches("<script").count() + body.matches("<style").count()
    );
    for field in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "nosniff",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert!(
        !watched.get("/").0.contains(nonce),
        "each answer has a nonce of its own"
    );
    assert!(!body.contains(&watched.token()));
    assert_status(&watched.get("/no-such-page").0, "404");
}

/// RFC 9110, 9.3.2: the fields of an answer to HEAD are those of GET.
#[test]
fn each_page_answers_head_as_it_answers_get_and_names_the_methods_that_it_allows() {
    let watched = Watched::start();
    for path in [
        "/",
        "/trace.json",
        "/dump.json",
        "/events?from=0",
        "/trace?seconds=5&format=html",
    ] {
        let ask = |method: &str| {
            let start = format!("{method} {}", watched.target(path));
            watched.ask_with(&start, "host: 127.0.0.1\r\n", "")
        };
        let (head, body) = ask("HEAD");
        assert_status(&head, "200");
        assert_eq!(body, "", "{path}");
        let fields = ["content-type", "cache-control", "content-disposition"];
        if !path.starts_with("/events") {
            let (of_get, _) = ask("GET");
            for field in fields {
                let of = |head: &str| {
                    head.lines()
                        .find(|line| line.starts_with(field))
                        .map(str::to_owned)
                };
                assert_eq!(of(&head), of(&of_get), "{path}");
            }
        }
        let (head, _) = ask("POST");
        assert_status(&head, "405");
        assert!(head.contains("\r\nallow: GET, HEAD\r\n"), "{path}: {head}");
    }
    let (head, _) = watched.get("/control");
    assert_status(&head, "405");
    assert!(head.contains("\r\nallow: POST\r\n"), "{head}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_word_of_the_program() {
    let watched = Watched::start();
    let builder = Page::of(watched.recorder.clone());
    let error = builder.clone().serve("0.0.0.0:0").unwrap_err();
    assert!(error.to_string().contains("use 127.0.0.1"), "{error}");
    let error = builder.clone().serve("6669").unwrap_err();
    assert!(error.to_string().contains("the form host:port"), "{error}");
    let page = builder
        .reachable_from_elsewhere()
        .serve("0.0.0.0:0")
        .unwrap();
    assert_ne!(page.local_address().port(), 0);
}

#[test]
fn a_runtime_that_does_not_record_has_no_page() {
    let error = block_on(async { inspect::serve("127.0.0.1:0").unwrap_err() });
    assert!(
        error.to_string().contains("Runtime::builder().inspect"),
        "{error}"
    );
}

#[test]
fn a_step_polls_one_task_also_if_it_has_to_wait_for_it() {
    let watched = Watched::start();
    assert_ne!(watched.control("pause")["state"], "running");
    assert!(matches!(
        watched.state(),
        ControlState::BeforePoll(_) | ControlState::BeforeWait
    ));
    for _ in 0..10 {
        let before = watched.polls();
        assert_eq!(watched.control("step")["state"], "paused");
        assert_eq!(watched.polls(), before + 1);
    }
    assert_eq!(watched.control("resume")["state"], "running");
    let start = format!("POST {}", watched.target("/control"));
    let (head, body) = watched.ask_with(&start, "host: 127.0.0.1\r\n", "stop");
    assert_status(&head, "400");
    assert_eq!(body, "a command is pause, step or resume\n");
}

#[test]
fn the_end_of_the_page_resumes_the_program() {
    let mut watched = Watched::start();
    watched.control("pause");
    assert_ne!(watched.state(), ControlState::Running);
    drop(watched.page.take());
    assert_eq!(watched.state(), ControlState::Running);
}

#[test]
fn the_stream_says_which_signal_has_ended_a_pause() {
    alone(|| {
        let watched = Watched::start();
        let _receiver = signal::listen(&[Signal::INTERRUPT]).unwrap();
        let start = format!("GET {}", watched.target("/events?from=0"));
        let mut stream = watched.open(&start, "host: 127.0.0.1\r\n", "");
        let mut state_with = |part: &str| {
            let start = Instant::now();
            loop {
                let mut delta = next_delta(&mut stream);
                if delta["state"] == part {
                    return delta["ended_by"].take();
                }
                assert!(start.elapsed() < DEADLINE, "{delta}");
            }
        };
        watched.control("pause");
        assert_eq!(state_with("paused"), Value::Null);
        signal_hook::low_level::raise(Signal::INTERRUPT.as_raw()).unwrap();
        assert_eq!(state_with("running"), "SIGINT");
    });
}

/// Reads the data of the next event of a stream.
fn next_delta(stream: &mut BufReader<TcpStream>) -> Value {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        assert!(
            stream.read_line(&mut line).unwrap() > 0,
            "the stream has ended"
        );
        if let Some(text) = line.strip_prefix("data: ") {
            data.push_str(text);
        } else if line == "\n" && !data.is_empty() {
            return serde_json::from_str(&data).unwrap();
        }
    }
}

#[test]
fn the_stream_continues_where_the_recording_ends_and_without_a_gap() {
    let watched = Watched::start();
    thread::sleep(Duration::from_millis(50));
    let (head, body) = watched.get("/trace.json");
    let trace: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(trace["format"], "waterwheel-trace");
    let next = head.split_once("x-next-event: ").unwrap().1;
    let mut next: u64 = next.split("\r\n").next().unwrap().parse().unwrap();
    let mut stream = watched.open(
        &format!("GET {}", watched.target(&format!("/events?from={next}"))),
        "host: 127.0.0.1\r\n",
        "",
    );
    let mut polls = 0;
    let start = Instant::now();
    while polls < 5 {
        assert!(start.elapsed() < DEADLINE);
        let delta = next_delta(&mut stream);
        assert_eq!(
            (delta["gap"].as_u64(), delta["state"].as_str()),
            (Some(0), Some("running"))
        );
        let until = delta["until"].as_u64().unwrap();
        for event in delta["trace"]["events"].as_array().unwrap() {
            let seq = event["seq"].as_u64().unwrap();
            assert!(seq >= next, "{event}");
            polls += usize::from(seq < until && event["kind"] == "poll_end");
        }
        next = until;
    }
}

#[test]
fn a_stream_that_falls_behind_counts_what_it_has_missed() {
    let runtime = Runtime::builder()
        .inspect(Options::default())
        .build()
        .unwrap();
    let (recorder, page) = runtime.block_on(async {
        for _ in 0..2000 {
            spawn_detached(async {});
            yield_now().await;
        }
        (
            inspect::recorder().unwrap(),
            inspect::serve("127.0.0.1:0").unwrap(),
        )
    });
    let (stop, _stopped) = mpsc::channel();
    let watched = Watched {
        page: Some(page),
        recorder: recorder.clone(),
        stop,
        program: Some(thread::spawn(|| {})),
    };
    let mut stream = watched.open(
        &format!("GET {}", watched.target("/events?from=0")),
        "host: 127.0.0.1\r\n",
        "",
    );
    let delta = next_delta(&mut stream);
    let events = delta["trace"]["events"].as_array().unwrap().len() as u64;
    assert!(events <= 3000, "{events}");
    assert_eq!(delta["gap"], delta["missed"]);
    assert_eq!(
        delta["missed"].as_u64().unwrap() + 3000,
        recorder.next_seq()
    );
}

#[test]
fn a_recording_is_saved_in_each_format() {
    let watched = Watched::start();
    thread::sleep(Duration::from_millis(50));
    for (format, name, part) in [
        ("json", "trace.json", "\"waterwheel-trace\""),
        ("perfetto", "perfetto.json", "\"traceEvents\""),
        ("html", "trace.html", "<!doctype html>"),
    ] {
        let (head, body) = watched.get(&format!("/trace?seconds=5&format={format}"));
        assert_status(&head, "200");
        assert!(
            head.contains(&format!("attachment; filename=\"{name}\"")),
            "{head}"
        );
        assert!(body.contains(part), "{format}");
    }
    for query in ["seconds=-1", "seconds=", "format=pdf"] {
        assert_status(&watched.get(&format!("/trace?{query}")).0, "400");
    }
}
