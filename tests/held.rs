//! Claims about a task that holds the thread. In a process of its own: a report is made once per place.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::thread;
use std::time::Duration;

use common::{in_child, is_child, run};
use waterwheel::runtime::{spawn, yield_now};

/// Holds the thread for longer than is reported, three times from one place and once from another.
fn hold() {
    run(async {
        for _ in 0..3 {
            spawn(async { thread::sleep(Duration::from_millis(1_100)) })
                .await
                .unwrap();
        }
        spawn(async {
            yield_now().await;
            thread::sleep(Duration::from_millis(1_100));
        })
        .await
        .unwrap();
        thread::sleep(Duration::from_millis(1_100));
    });
}

#[test]
fn a_task_that_holds_the_thread_is_named_once_by_the_place_that_spawned_it() {
    const NAME: &str = "a_task_that_holds_the_thread_is_named_once_by_the_place_that_spawned_it";
    if is_child(NAME) {
        return hold();
    }
    let output = in_child(NAME);
    assert!(output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    let reports: Vec<_> = errors
        .lines()
        .filter(|line| line.contains("held"))
        .collect();
    assert_eq!(reports.len(), 3, "{errors}");
    assert!(reports[0].contains("tests/held.rs:17"), "{errors}");
    assert!(reports[1].contains("tests/held.rs:21"), "{errors}");
    // The main future, by the place that called block_on.
    assert!(reports[2].contains("tests/common/mod.rs"), "{errors}");
}
