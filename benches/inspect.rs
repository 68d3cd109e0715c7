//! The cost of an event of `waterwheel::runtime::inspect`, while it is recorded, and of a dump.
//!
//! ```text
//! cargo bench --bench inspect
//! ```
//!
//! Each row compares a runtime that records with one that does not, by the CPU time of the fastest of several rounds.
//! The difference is divided by the number of events. A part of it is the cost of `explain`, which `inspect` includes.
//!
//! Then come the dumps of 10,000 tasks that wait for a timeout around a sleep: equal tasks, which are one group, and
//! tasks with different names, which are 10,000 groups.

#![allow(clippy::print_stdout, reason = "the table is the output")]

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use waterwheel::runtime::{Runtime, inspect, spawn, task, time, yield_now};

const ROUNDS: u32 = 15;
const STEPS: u32 = 20_000;

/// Polls one task again and again. Each turn has one poll and one look at the reactor.
async fn yields() {
    for _ in 0..STEPS {
        yield_now().await;
    }
}

/// Polls many tasks in each turn, which wake each other.
async fn crowd() {
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            spawn(async {
                for _ in 0..STEPS / 100 {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic");
    }
}

/// Spawns tasks and awaits them.
async fn spawns() {
    for _ in 0..STEPS {
        spawn(async {}).await.expect("it does not panic");
    }
}

/// Returns the CPU time of this thread, which does not count the time of other programs.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the time of the fastest round.
fn fastest(runtime: &Runtime, work: impl AsyncFn()) -> Duration {
    let round = |_| {
        let begin = cpu_time();
        runtime.block_on(work());
        cpu_time().saturating_sub(begin)
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

fn row(name: &str, work: impl AsyncFn() + Copy) {
    let plain = Runtime::new().expect("there are descriptors left");
    let options = inspect::Options::default();
    let recording = Runtime::builder().inspect(options).build();
    let recording = recording.expect("there are descriptors left");
    let recorder = recording.block_on(async { inspect::recorder() });
    let recorder = recorder.expect("it records");
    let before = recorder.next_seq();
    let on = fastest(&recording, work);
    let events = (recorder.next_seq() - before) / u64::from(ROUNDS);
    let off = fastest(&plain, work);
    let explaining = Runtime::builder().explain(inspect::Explain::default());
    let explaining = explaining.build().expect("there are descriptors left");
    let explained = fastest(&explaining, work);
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let each = |time: Duration| nanos(time.saturating_sub(off)) / events.max(1);
    println!(
        "{name:8} {events:>8} events  off {off:>12?}  on {on:>12?}  {:>4} ns for each event, {} of them by `explain`",
        each(on),
        each(explained),
    );
}

/// The number of tasks in a dump.
const TASKS: u32 = 10_000;

const DUMPS: usize = 51;

/// Makes dumps of many tasks. `name` returns the name of a task.
fn dump_row(kind: &str, name: impl Fn(u32) -> String) {
    const LONG: Duration = Duration::from_secs(3600);
    let runtime = Runtime::builder().explain(inspect::Explain::default());
    let runtime = runtime.build().expect("there are descriptors left");
    runtime.block_on(async {
        for number in 0..TASKS {
            let wait = time::timeout(LONG, time::sleep(LONG));
            let task = task::Builder::new().name(name(number)).spawn(wait);
            task.detach();
        }
        yield_now().await;
        let begin = cpu_time();
        let text = inspect::dump().to_string();
        let with_text = cpu_time().saturating_sub(begin);
        let dump = |_| {
            let begin = cpu_time();
            let dump = inspect::dump();
            let time = cpu_time().saturating_sub(begin);
            assert_eq!(dump.tasks(), TASKS as usize + 1);
            time
        };
        let mut times: Vec<_> = (0..DUMPS).map(dump).collect();
        times.sort_unstable();
        println!(
            "dump of {TASKS} {kind:9} tasks  min {:>10?}  median {:>10?}  first with its text {with_text:>10?} ({} lines)",
            times[0],
            times[DUMPS / 2],
            text.lines().count(),
        );
    });
}

fn main() {
    row("yields", yields);
    row("crowd", crowd);
    row("spawns", spawns);
    dump_row("equal", |_| "worker".to_owned());
    dump_row("different", |number| format!("worker {number}"));
}
