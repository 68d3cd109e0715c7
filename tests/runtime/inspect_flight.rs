//! The flight recorder, and the traces of the examples.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use waterwheel::runtime::inspect::{self, EventKind, Flight, Trace};
use waterwheel::runtime::{Runtime, spawn, yield_now};

use crate::inspect_export;
use crate::support::process::{alone, in_child};

const PATIENCE: Duration = Duration::from_secs(10);

/// A runtime with a flight recorder, and the copies.
fn with_flight(change: impl Fn(Flight) -> Flight) -> (Runtime, mpsc::Receiver<Trace>) {
    let (sender, receiver) = mpsc::channel();
    let flight = change(Flight::call(move |trace| sender.send(trace).unwrap()));
    let options = inspect::Options::default().flight(flight);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    (runtime, receiver)
}

#[test]
fn a_task_that_panics_is_a_trigger_and_the_copy_has_the_panic() {
    let (runtime, copies) = with_flight(|flight| flight);
    let task = runtime.block_on(async {
        let task = spawn(async { panic!("planned") });
        let id = task.id();
        assert!(task.await.is_err());
        id
    });
    let trace = copies.recv_timeout(PATIENCE).unwrap();
    assert_eq!(trace.reason(), Some("panic"));
    let last = trace.events().last().unwrap().kind;
    assert!(matches!(last, EventKind::End { task: ended, .. } if ended == task));
    let (runtime, copies) = with_flight(|flight| flight.on_panic(false));
    runtime.block_on(async { drop(spawn(async { panic!("planned") }).await) });
    assert!(copies.recv_timeout(Duration::from_millis(50)).is_err());
}

#[test]
fn the_rate_and_the_size_of_copies_are_bounded() {
    let (runtime, copies) = with_flight(|flight| flight.events_max(100));
    runtime.block_on(async {
        for _ in 0..1000 {
            yield_now().await;
        }
        let triggered = (0..100)
            .filter(|_| inspect::trigger("slow request"))
            .count();
        assert_eq!(triggered, 1);
    });
    let trace = copies.recv_timeout(PATIENCE).unwrap();
    assert!(trace.events().len() <= 100, "{}", trace.events().len());
    assert!(copies.recv_timeout(Duration::from_millis(50)).is_err());
    let (runtime, copies) = with_flight(|flight| flight.every(Duration::ZERO));
    runtime.block_on(async {
        assert!(inspect::trigger("first") && inspect::trigger("second"));
    });
    let mut reasons: Vec<_> = copies
        .iter()
        .take(2)
        .map(|trace| trace.reason().map(str::to_owned))
        .collect();
    reasons.sort(); // each has a thread of its own
    assert_eq!(
        reasons,
        [Some("first".to_owned()), Some("second".to_owned())]
    );
}

/// Waits until a folder has this many whole files. Returns their texts.
fn files(folder: &Path, count: usize) -> Vec<String> {
    let begin = Instant::now();
    loop {
        let paths = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let whole: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        if whole.len() >= count {
            return whole
                .into_iter()
                .map(|path| fs::read_to_string(path).unwrap())
                .collect();
        }
        assert!(begin.elapsed() < PATIENCE, "{whole:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_files_of_a_folder_are_bounded_in_number() {
    let folder = tempfile::tempdir().unwrap();
    let flight = Flight::to_folder(folder.path())
        .every(Duration::ZERO)
        .files_max(2);
    let options = inspect::Options::default().flight(flight);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    runtime.block_on(async {
        for _ in 0..5 {
            assert!(inspect::trigger("again"));
            thread::sleep(Duration::from_millis(20));
        }
    });
    let texts = files(folder.path(), 2);
    assert_eq!(texts.len(), 2);
    for text in texts {
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["reason"], "again");
    }
}

#[test]
fn a_program_that_ends_with_a_panic_leaves_its_file() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flight-of-the-dead");
    let Some(output) = in_child(|| {
        let options = inspect::Options::default().flight(Flight::to_folder(&folder));
        let runtime = Runtime::builder().inspect(options).build().unwrap();
        let panic = std::panic::catch_unwind(AssertUnwindSafe(move || {
            runtime.block_on(async {
                for _ in 0..10_000 {
                    yield_now().await;
                }
                panic!("planned");
            });
        }));
        // As the end of `main` after a panic: no thread is waited for.
        std::process::exit(if panic.is_err() { 101 } else { 0 });
    }) else {
        return;
    };
    assert_eq!(output.status.code(), Some(101));
    let text = files(&folder, 1).remove(0);
    fs::remove_dir_all(&folder).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["reason"], "panic");
}

#[test]
fn the_end_of_a_runtime_does_not_wait_for_a_target_that_hangs() {
    let (go, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let flight = Flight::call(move |_| _ = hold.lock().unwrap().recv());
    let options = inspect::Options::default().flight(flight.every(Duration::ZERO));
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    let triggered = runtime.block_on(async {
        let all = 0..100;
        all.filter(|_| inspect::trigger("again")).count()
    });
    // Each of them has a thread and a copy of the ring.
    assert!((1..=4).contains(&triggered), "{triggered}");
    let begin = Instant::now();
    drop(runtime);
    assert!(begin.elapsed() < PATIENCE);
    drop(go);
}

/// In a container each run of a program has the same process id.
#[test]
fn the_file_of_an_earlier_process_with_the_same_id_stays() {
    let folder = tempfile::tempdir().unwrap();
    let flight = Flight::to_folder(folder.path())
        .every(Duration::ZERO)
        .files_max(3);
    let options = inspect::Options::default().flight(flight);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    let own = runtime.block_on(async { inspect::recorder().unwrap().runtime() });
    let name = |number| format!("flight-{}-{own}-{number}.json", std::process::id());
    let old = folder.path().join(name(0));
    fs::write(&old, "the crash").unwrap();
    for count in 2..=3 {
        runtime.block_on(async { assert!(inspect::trigger("restart")) });
        let texts = files(folder.path(), count);
        assert!(texts.contains(&"the crash".to_owned()), "{count}");
    }
    // The oldest one goes when the folder is full.
    runtime.block_on(async { assert!(inspect::trigger("restart")) });
    drop(runtime);
    assert!(!old.exists() || fs::read_to_string(&old).unwrap() != "the crash");
    assert_eq!(files(folder.path(), 3).len(), 3);
}

#[test]
fn the_files_of_processes_that_have_ended_count() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str| fs::write(folder.path().join(name), "{}").unwrap();
    // No process has such a number, and process 1 is alive.
    for number in 0..9 {
        put(&format!("flight-999999999-1-{number}.json"));
    }
    for other in [
        "flight-1-1-0.json",
        "flight-999999999-1.json",
        "flight-of-fancy-1-2.json",
        "notes.json",
    ] {
        put(other);
    }
    let flight = Flight::to_folder(folder.path()).files_max(3);
    let options = inspect::Options::default().flight(flight);
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    runtime.block_on(async { assert!(inspect::trigger("restart")) });
    drop(runtime);
    let names = fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let count = |begin: &str| names.iter().filter(|name| name.starts_with(begin)).count();
    assert_eq!(
        count(&format!("flight-{}-", std::process::id())),
        1,
        "{names:?}"
    );
    assert_eq!(count("flight-999999999-1-"), 2, "{names:?}");
    assert_eq!(names.len(), 1 + 2 + 4, "{names:?}");
}

#[test]
fn a_disk_that_is_full_keeps_no_part_of_a_file() {
    alone(|| {
        let folder = tempfile::tempdir().unwrap();
        // The signal would end the process. With a handler, the write fails.
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag).unwrap();
        let limit = Rlimit {
            current: Some(10_000),
            maximum: None,
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        let options = inspect::Options::default().flight(Flight::to_folder(folder.path()));
        let runtime = Runtime::builder().inspect(options).build().unwrap();
        runtime.block_on(async {
            for _ in 0..1000 {
                yield_now().await;
            }
            assert!(inspect::trigger("full"));
        });
        drop(runtime);
        let left = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    });
}

#[test]
fn a_folder_that_cannot_be_written_is_no_fault_of_the_program() {
    let options = inspect::Options::default().flight(Flight::to_folder("/proc/no/such/folder"));
    let runtime = Runtime::builder().inspect(options).build().unwrap();
    runtime.block_on(async {
        assert!(spawn(async { panic!("planned") }).await.is_err());
        yield_now().await;
    });
}

#[test]
fn sigusr1_writes_the_ring_while_a_poll_holds_the_thread() {
    alone(|| {
        let (runtime, copies) = with_flight(|flight| flight.on_sigusr1(true));
        runtime.block_on(async {
            kill_process(rustix::process::getpid(), Signal::USR1).unwrap();
            // The poll goes on, and another thread copies the ring.
            let trace = copies.recv_timeout(PATIENCE).unwrap();
            assert_eq!(trace.reason(), Some("SIGUSR1"));
            let last = trace.events().last().unwrap().kind;
            assert!(
                matches!(last, EventKind::PollStart { task } if task.is_root()),
                "{last:?}"
            );
        });
    });
}

#[test]
fn the_environment_lets_a_program_write_its_trace() {
    for example in [
        "block_on",
        "spawn",
        "timers",
        "channels",
        "select",
        "job_runner",
        "future",
        "child_process",
        "paused_clock_test",
        "seeded_test",
    ] {
        let (trace, perfetto) = traced(example, &[], |_| ());
        assert!(
            trace["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .any(|task| task["id"] == "root"),
            "{example}"
        );
        assert!(perfetto.contains_key("X"), "{example}: {perfetto:?}");
    }
    // This one opens a thousand runtimes.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traces");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let seeded = files.filter(|file| {
        let name = file.file_name();
        name.to_string_lossy().starts_with("seeded_test.")
    });
    assert!(seeded.count() <= 16 * 3);
}

#[test]
fn a_server_writes_its_trace_when_it_ends() {
    let ask = |address: &str| {
        for _ in 0..3 {
            let mut client = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    };
    for example in ["hello", "state", "middleware"] {
        let (trace, perfetto) = traced(example, &["127.0.0.1:0"], ask);
        let events = trace["events"].as_array().unwrap();
        let calls = |op: &str| events.iter().filter(|event| event["op"] == op).count();
        assert!(
            calls("accept") >= 3 && calls("read") >= 3 && calls("write") >= 3,
            "{example}"
        );
        assert!(perfetto["s"] > 3, "{example}: {perfetto:?}");
    }
}

/// Runs an example whose trace goes into `target/tmp/traces`. A server is asked by `ask`, and then ended. Returns the
/// trace, and the counts of the one for Perfetto.
fn traced(
    name: &str,
    arguments: &[&str],
    ask: impl Fn(&str),
) -> (serde_json::Value, inspect_export::Counts) {
    let own_path = std::env::current_exe().unwrap();
    let program = own_path
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(name);
    assert!(program.exists(), "first: cargo build --example {name}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traces");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.json"));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("WATERWHEEL_TRACE", file.with_extension("html"))
        .current_dir(&folder);
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    if !arguments.is_empty() {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        ask(line.trim_end().strip_prefix("listening on ").unwrap());
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    }
    lines.read_to_end(&mut Vec::new()).unwrap();
    assert!(process.wait().unwrap().success(), "{name}");
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.len() <= 400_000,
            "{}: {} bytes",
            file.display(),
            text.len()
        );
        text
    };
    let perfetto = inspect_export::check(&read(file.with_extension("perfetto.json")));
    let html = read(file.with_extension("html"));
    let text = read(file);
    assert!(html.contains(&text.replace('<', "\\u003c")), "{name}");
    assert!(text.len() <= 200_000, "{name}: {} bytes", text.len());
    (serde_json::from_str(&text).unwrap(), perfetto)
}
