//! Claims about the places where a dump can be made: each thread, each moment, and each runtime.

#![allow(
    clippy::print_stdout,
    reason = "a dump of a child process is read by the test"
)]

use std::cell::Cell;
use std::future::pending;
use std::panic;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use waterwheel::runtime::inspect::{self, Explain, named};
use waterwheel::runtime::task::Builder;
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{Runtime, race, spawn, yield_now};

use super::{chain, explained, group, secs, start};
use crate::support::process::in_child;
use crate::support::runtime::{OnDrop, within_deadline};

#[test]
fn a_dump_of_another_thread_names_the_task_that_holds_the_thread_and_the_innermost_part() {
    explained(async {
        let dumper = inspect::dumper().unwrap();
        let (entered, waits) = mpsc::channel();
        let (go_on, done) = mpsc::channel();
        let watcher = thread::spawn(move || {
            waits.recv().unwrap();
            thread::sleep(Duration::from_millis(30));
            let dump = dumper.dump();
            go_on.send(()).unwrap();
            dump
        });
        let hold = async move {
            sleep(Duration::from_millis(1)).await;
            entered.send(()).unwrap();
            done.recv().unwrap(); // holds the thread
        };
        let (part, line) = (named("parse", hold), line!());
        let task = timeout(secs(60), part);
        start("quiet", pending()).await;
        Builder::new()
            .name("holder")
            .spawn(task)
            .await
            .unwrap()
            .unwrap();
        let dump = watcher.join().unwrap();
        let holder = group(&dump, "holder");
        assert_eq!(holder.state(), "running");
        let text = dump.to_string();
        let second = text.lines().nth(1).unwrap();
        let place = format!("{}:{line}:", file!());
        assert!(
            second.contains("`holder` has been running for ") && second.contains("`parse`"),
            "{text}"
        );
        assert!(second.contains(&place), "{text}");
        assert_eq!(group(&dump, "quiet").state(), "waiting");
        let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
        assert_eq!(json["running"]["task"], holder.tasks()[0].as_str());
        assert!(json["running"]["since_ns"].as_u64().unwrap() > 20_000_000);
        assert!(
            json["running"]["place"]
                .as_str()
                .unwrap()
                .starts_with(place.as_str())
        );
    });
}

#[test]
fn a_dump_can_be_made_anywhere() {
    let Some(output) = in_child(|| {
        explained(async {
            let dumper = inspect::dumper().unwrap();
            let dumps: Rc<Cell<u32>> = Rc::default();
            let count = {
                let (dumps, dumper) = (dumps.clone(), dumper.clone());
                move || {
                    assert!(dumper.dump().tasks() > 0);
                    assert!(inspect::dump().tasks() > 0);
                    dumps.set(dumps.get() + 1);
                }
            };
            // In the destructor of a task, also while it is aborted.
            let guard = OnDrop(count.clone());
            let task = spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            yield_now().await;
            task.abort();
            yield_now().await;
            assert_eq!(dumps.get(), 1);
            // In a panic hook, while a poll is several futures deep.
            let in_hook = dumper.clone();
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |_| println!("hook: {}", in_hook.dump())));
            let panics = timeout(
                secs(1),
                race(async { panic!("on purpose") }, pending::<()>()),
            );
            assert!(spawn(panics).await.unwrap_err().is_panic());
            panic::set_hook(before);
            // In a destructor at the end of the runtime.
            spawn(async move {
                let _guard = OnDrop(count);
                pending::<()>().await;
            })
            .detach();
            yield_now().await;
            // On a thread that has no runtime.
            assert!(thread::spawn(move || dumper.dump().tasks()).join().unwrap() > 1);
        });
    }) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("hook: runtime 1 after"), "{said}");
    assert!(said.contains("has been running for"), "{said}");
}

#[test]
fn a_runtime_that_was_built_without_it_has_no_dump() {
    within_deadline(|| {
        waterwheel::runtime::block_on(async {
            assert!(inspect::dumper().is_none());
            assert_eq!(inspect::dump().tasks(), 0);
            assert!(inspect::dump().to_string().contains("`explain`"));
            assert_eq!(named("part", async { 7 }).await, 7);
        });
    });
    assert_eq!(inspect::dump().tasks(), 0);
}

/// Each runtime has its own tasks, also if a thread is inside one of them within the other.
#[test]
fn two_runtimes_of_one_thread_are_told_apart() {
    explained(async {
        start("outer", sleep(secs(9))).await;
        let inner = Runtime::builder()
            .explain(Explain::default())
            .build()
            .unwrap();
        let task = inner.spawn(async { sleep(secs(9)).await });
        let outer = inspect::dump();
        assert_eq!(outer.tasks(), 2, "{outer}");
        drop((task, inner));
        assert_eq!(inspect::dump().tasks(), 2);
        assert_eq!(
            chain(&inspect::dump(), "outer").split('(').next(),
            Some("sleep")
        );
    });
}
