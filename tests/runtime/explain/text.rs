//! Claims about the text and the JSON of a dump: equal tasks are one group, and both stay short and harmless.

#![allow(clippy::print_stdout, reason = "the measurement is for readers")]

use std::future::pending;
use std::thread;
use std::time::{Duration, Instant};

use waterwheel::runtime::inspect::{self, named};
use waterwheel::runtime::race;
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::task::Builder;
use waterwheel::runtime::time::{self, sleep, timeout};

use super::{explained, group, secs, start};
use crate::support::process::alone;

#[test]
fn ten_thousand_equal_tasks_are_a_dozen_lines_in_less_than_20_ms() {
    explained(async {
        time::pause();
        for _ in 0..10_000 {
            let work = timeout(secs(60), race(sleep(secs(50)), pending()));
            Builder::new()
                .name("equal")
                .spawn(async { _ = work.await })
                .detach();
        }
        start("other", sleep(secs(9))).await;
        let (dump, took) = (0..5)
            .map(|_| {
                let began = Instant::now();
                let dump = inspect::dump();
                drop(dump.to_string());
                drop(dump.to_json());
                (dump, began.elapsed())
            })
            .min_by_key(|(_, took)| *took)
            .unwrap();
        println!("a dump of 10,000 tasks as text and as JSON: {took:?}");
        assert_eq!(dump.groups().len(), 3, "{dump}");
        assert_eq!(
            (group(&dump, "equal").count(), dump.tasks()),
            (10_000, 10_002)
        );
        let lines = dump.to_string().lines().count();
        assert!(lines <= 12, "{lines} lines:\n{dump}");
        // A debug build is about ten times as slow, and other tests run beside this one.
        let limit = if cfg!(debug_assertions) { 400 } else { 20 };
        assert!(took < Duration::from_millis(limit), "{took:?}");
    });
}

#[test]
fn tasks_that_wait_for_different_signals_are_different_groups() {
    alone(|| {
        explained(async {
            for signal in [Signal::HANGUP, Signal::USER2, Signal::HANGUP] {
                let mut signals = signal::listen(&[signal]).unwrap();
                start("listener", async move { drop(signals.recv().await) }).await;
            }
            let dump = inspect::dump();
            let groups = dump.groups().iter();
            let groups = groups.filter(|group| group.name() == Some("listener"));
            let mut found: Vec<_> = groups
                .map(|group| (group.count(), group.tree()[0].detail().to_owned()))
                .collect();
            found.sort_unstable();
            let one = |count, name: &str| (count, name.to_owned());
            assert_eq!(found, [one(1, "SIGUSR2"), one(2, "SIGHUP")]);
        });
    });
}

#[test]
fn the_memory_of_each_future_is_shown() {
    explained(async {
        let large = async {
            let kept = [7_u8; 10_000];
            sleep(secs(9)).await;
            assert_eq!(kept[9], 7);
        };
        start("large", large).await;
        start("small", async { sleep(secs(9)).await }).await;
        let dump = inspect::dump();
        assert!(group(&dump, "large").future_bytes() > 10_000);
        assert!(group(&dump, "small").future_bytes() < 1_000);
    });
}

#[test]
fn the_json_has_the_form_of_the_format_and_any_text() {
    explained(async {
        start(
            "a \"name\" \\ \u{7} </script>",
            named("part", sleep(secs(9))).detail("\n\u{2028}ü"),
        )
        .await;
        let dump = inspect::dump();
        let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
        assert_eq!(json["format"], "waterwheel-dump");
        assert_eq!(json["version"], 1);
        let groups = json["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 2);
        let found = groups
            .iter()
            .find(|group| group["name"].is_string())
            .unwrap();
        assert_eq!(found["name"], "a \"name\" \\ \u{7} </script>");
        assert_eq!(
            (&found["count"], &found["state"]),
            (&1.into(), &"waiting".into())
        );
        assert!(
            found["place"]
                .as_str()
                .unwrap()
                .starts_with("tests/runtime/explain/mod.rs:")
        );
        assert_eq!(found["waits_ns"].as_array().unwrap().len(), 2);
        assert!(found["future_bytes"].as_u64().unwrap() > 16);
        let part = &found["tree"][0];
        assert_eq!(
            (&part["label"], &part["detail"]),
            (&"part".into(), &"\n\u{2028}ü".into())
        );
        assert_eq!(part["children"][0]["label"], "sleep");
        let root = groups
            .iter()
            .find(|group| group["tasks"][0] == "root")
            .unwrap();
        assert_eq!(root["state"], "running");
        assert!(!dump.to_json().contains("</"), "{}", dump.to_json());
    });
}

#[test]
fn no_text_of_the_program_acts_on_a_terminal_or_fills_a_dump() {
    explained(async {
        let long: String = "long ".repeat(200_000);
        for name in [
            "\u{1b}[2J\u{9b}31m\nfindings:\n  none\r",
            "\u{202e}txet",
            "",
            "</script>",
            &long,
        ] {
            let part = named("part\u{7}", pending::<()>()).detail(name.to_owned());
            start(name, part).await;
        }
        // A finding names its tasks, too.
        let dump = inspect::dump();
        let text = dump.to_string();
        let acts = |letter: &char| letter.is_control() && *letter != '\n' || *letter == '\u{202e}';
        assert_eq!(text.chars().find(acts), None, "{text:?}");
        assert!(
            text.contains(r"`\u{1b}[2J\u{9b}31m\nfindings:\n  none\r`"),
            "{text}"
        );
        assert!(text.contains(r"part\u{7}(\u{202e}txet)"), "{text}");
        assert!(text.len() < 10_000, "{}", text.len());
        // JSON has the whole texts.
        let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
        let names = json["groups"].as_array().unwrap().iter();
        assert!(names.filter(|group| group["name"] == long.as_str()).count() == 1);
    });
}

/// Waits inside itself at this depth.
async fn descend(depth: u32) {
    match depth {
        0 => sleep(secs(60)).await,
        depth => named("level", Box::pin(descend(depth - 1))).await,
    }
}

#[test]
fn a_future_that_lies_thousands_deep_has_a_short_dump() {
    const DEPTH: u32 = 2_000;
    // The poll itself needs a large stack, the dump must not.
    let deep = thread::Builder::new().stack_size(64 << 20);
    let deep = deep.spawn(|| {
        explained(async {
            start("deep", descend(DEPTH)).await;
            let dumper = inspect::dumper().unwrap();
            let reader = thread::Builder::new().stack_size(256 << 10);
            let reader = reader.spawn(move || {
                let dump = dumper.dump();
                (dump.to_string(), dump.to_json())
            });
            let (text, json) = reader.unwrap().join().unwrap();
            let line = text
                .lines()
                .find(|line| line.contains("level > level"))
                .unwrap();
            assert!(line.contains("level > …(1954 futures) > sleep("), "{line}");
            assert!(line.matches("level").count() < 64, "{line}");
            let _json: serde_json::Value = serde_json::from_str(&json).unwrap();
        });
    });
    deep.unwrap().join().unwrap();
}
