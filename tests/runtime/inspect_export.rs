//! The export to Perfetto, checked by the rules of the trace-event format.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use waterwheel::runtime::inspect::{self, Recorder};
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{Runtime, race, spawn, spawn_blocking, task, yield_now};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

/// The numbers of the records of each phase.
pub(crate) type Counts = HashMap<String, usize>;

/// A time in nanoseconds, from a number of microseconds with three places.
fn nanos(value: &Value) -> u64 {
    let micros = value.as_f64().unwrap();
    assert!(micros >= 0.0);
    let nanos = (micros * 1000.0).round();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above, and small"
    )]
    let nanos = nanos as u64;
    nanos
}

/// The slices of one track that have begun, from the outside to the inside: name and end.
#[derive(Default)]
struct Track {
    open: Vec<(String, u64)>,
}

impl Track {
    /// Ends the slices before this time.
    fn until(&mut self, at: u64) {
        self.open.retain(|(_, end)| *end >= at);
    }
}

/// Checks a file by the rules of the format. Returns the number of records of each phase.
pub(crate) fn check(json: &str) -> Counts {
    let file: Value = serde_json::from_str(json).unwrap();
    assert!(["ns", "ms"].contains(&file["displayTimeUnit"].as_str().unwrap()));
    let mut counts = Counts::new();
    let mut tracks: HashMap<(u64, u64), Track> = HashMap::new();
    let mut names: HashMap<(u64, u64), String> = HashMap::new();
    let mut arrows: HashMap<u64, (u64, bool)> = HashMap::new();
    let mut jobs: HashMap<u64, u64> = HashMap::new();
    let mut last = 0;
    for record in file["traceEvents"].as_array().unwrap() {
        let phase = record["ph"].as_str().unwrap();
        let place = (
            record["pid"].as_u64().unwrap(),
            record["tid"].as_u64().unwrap(),
        );
        let at = nanos(&record["ts"]);
        let name = record["name"].as_str().unwrap();
        assert!(!name.is_empty());
        *counts.entry(phase.to_owned()).or_default() += 1;
        if phase == "M" {
            assert!(["process_name", "thread_name"].contains(&name), "{record}");
            names.insert(place, record["args"]["name"].as_str().unwrap().to_owned());
            continue;
        }
        assert!(at >= last, "{record}: sorted by time");
        last = at;
        assert!(
            names.contains_key(&place),
            "{record}: a track without a name"
        );
        let track = tracks.entry(place).or_default();
        track.until(at);
        match phase {
            "X" => {
                let end = at + nanos(&record["dur"]);
                // A slice that has ended at this very time is not around the new one.
                track.open.retain(|(_, outer)| *outer > at);
                for (outer, outer_end) in &track.open {
                    assert!(end <= *outer_end, "{record} overlaps {outer}");
                }
                track.open.push((name.to_owned(), end));
            }
            "i" => assert!(["t", "p", "g"].contains(&record["s"].as_str().unwrap())),
            "s" => {
                assert!(record["cat"].is_string());
                assert!(
                    !track.open.is_empty(),
                    "{record}: an arrow begins outside of all slices"
                );
                let before = arrows.insert(record["id"].as_u64().unwrap(), (at, false));
                assert!(before.is_none(), "{record}: two arrows have one number");
            }
            "f" => {
                assert_eq!(record["bp"], "e");
                let (inner, _) = track.open.last().expect("an arrow ends within a slice");
                assert_eq!(inner, "poll", "{record}");
                let arrow = arrows
                    .get_mut(&record["id"].as_u64().unwrap())
                    .expect("an arrow begins before it ends");
                assert!(arrow.0 <= at && !arrow.1, "{record}");
                arrow.1 = true;
            }
            "b" => assert!(jobs.insert(record["id"].as_u64().unwrap(), at).is_none()),
            "e" => {
                let began = jobs.remove(&record["id"].as_u64().unwrap());
                assert!(began.is_some_and(|began| began <= at), "{record}");
            }
            other => panic!("the phase {other} is not used: {record}"),
        }
    }
    assert!(
        arrows.values().all(|(_, has_ended)| *has_ended),
        "an arrow without an end"
    );
    counts
}

fn recorder() -> (Runtime, Recorder) {
    let options = inspect::Options::default().events(1 << 17);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
    (runtime, recorder)
}

/// Clients that each send some messages to a server, and all other kinds of work beside them.
async fn work(clients: usize, messages: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap();
    let server = task::Builder::new().name("server").spawn(async move {
        for _ in 0..clients {
            let (mut stream, _) = listener.accept().await.unwrap();
            spawn(async move {
                let mut bytes = [0; 4];
                while stream.read_exact(&mut bytes).await.is_ok() {
                    stream.write_all(&bytes).await.unwrap();
                }
            })
            .detach();
        }
    });
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for _ in 0..messages {
                    stream.write_all(b"ping").await.unwrap();
                    stream.read_exact(&mut [0; 4]).await.unwrap();
                    yield_now().await;
                }
                spawn_blocking(|| ()).await.unwrap();
                race(sleep(Duration::from_millis(1)), std::future::pending()).await;
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    server.await.unwrap();
}

#[test]
fn the_export_follows_the_rules_of_the_format() {
    let (runtime, recorder) = recorder();
    runtime.block_on(work(3, 5));
    drop(runtime);
    let trace = recorder.trace();
    let counts = check(&trace.to_trace_events());
    let polls = trace.polls().count();
    assert!(
        counts["X"] >= polls && counts["s"] == counts["f"] && counts["b"] == counts["e"],
        "{counts:?}"
    );
    // Each poll but the first one of the trace has the arrow of its wake.
    assert!(counts["f"] + 1 >= polls, "{counts:?}, {polls} polls");
}

#[test]
fn the_export_of_100_000_events_follows_the_rules_of_the_format() {
    let (runtime, recorder) = recorder();
    runtime.block_on(async {
        while recorder.next_seq() < 100_000 {
            work(20, 50).await;
        }
    });
    let trace = recorder.trace();
    assert!(trace.events().len() >= 99_000, "{}", trace.events().len());
    let json = trace.to_trace_events();
    check(&json);
}

#[test]
fn the_export_of_a_ring_that_has_overflowed_follows_the_rules_of_the_format() {
    for capacity in [64, 100, 256, 1024] {
        let options = inspect::Options::default().events(capacity);
        let runtime = Runtime::builder().inspect(options).build().unwrap();
        let recorder = runtime.block_on(async {
            work(5, 20).await;
            inspect::recorder().unwrap()
        });
        assert!(recorder.trace().overflow() > 0);
        check(&recorder.trace().to_trace_events());
    }
}

#[test]
fn the_checker_finds_the_faults_that_it_is_for() {
    let head = r#"{"ph":"M","pid":1,"tid":3,"ts":0,"name":"thread_name","args":{"name":"a"}}"#;
    let slice = r#"{"ph":"X","pid":1,"tid":3,"ts":1,"dur":5,"name":"poll"}"#;
    let rows = [
        (
            "an arrow outside of slices",
            r#"{"ph":"s","pid":1,"tid":3,"ts":9,"id":1,"cat":"wake","name":"wake"}"#,
        ),
        (
            "an arrow without a begin",
            r#"{"ph":"f","bp":"e","pid":1,"tid":3,"ts":2,"id":1,"cat":"wake","name":"wake"}"#,
        ),
        (
            "an arrow without an end",
            r#"{"ph":"s","pid":1,"tid":3,"ts":2,"id":1,"cat":"wake","name":"wake"}"#,
        ),
        (
            "an overlap",
            r#"{"ph":"X","pid":1,"tid":3,"ts":4,"dur":5,"name":"poll"}"#,
        ),
        (
            "a step back",
            r#"{"ph":"i","s":"t","pid":1,"tid":3,"ts":0.5,"name":"end"}"#,
        ),
        (
            "a track without a name",
            r#"{"ph":"i","s":"t","pid":1,"tid":4,"ts":2,"name":"end"}"#,
        ),
        (
            "no duration",
            r#"{"ph":"X","pid":1,"tid":3,"ts":7,"name":"poll"}"#,
        ),
        (
            "no time",
            r#"{"ph":"i","s":"t","pid":1,"tid":3,"name":"end"}"#,
        ),
    ];
    let file =
        |more: &str| format!(r#"{{"displayTimeUnit":"ns","traceEvents":[{head},{slice}{more}]}}"#);
    check(&file(""));
    for (fault, row) in rows {
        let file = file(&format!(",{row}"));
        assert!(
            std::panic::catch_unwind(|| check(&file)).is_err(),
            "{fault}"
        );
    }
}
