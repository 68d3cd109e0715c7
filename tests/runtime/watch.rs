//! Claims about a poll that holds the thread. A process reports each place once, so the test runs in a child.

use std::thread;
use std::time::Duration;

use crate::support::process::in_child;
use crate::support::runtime::run;
use waterwheel::http::testing::TestClient;
use waterwheel::http::{Request, Responded, Result, StatusCode};
use waterwheel::runtime::inspect::Explain;
use waterwheel::runtime::{Runtime, block_on, spawn, watch, yield_now};

const HELD: Duration = Duration::from_millis(1_100);

/// Holds the thread for too long: twice in tasks of one place, and once in a named part.
fn hold() {
    run(async {
        for _ in 0..2 {
            spawn(async { thread::sleep(HELD) }).await.unwrap();
        }
        let part = async {
            yield_now().await;
            watch::poll_named("a long part", || thread::sleep(HELD));
        };
        spawn(part).await.unwrap();
        thread::sleep(HELD);
    });
    block_on(async {
        let mut client = TestClient::new(slow_handler);
        assert_eq!(client.get("/").await.status, StatusCode::OK);
    });
}

async fn slow_handler(request: Request<'_>) -> Result<Responded> {
    thread::sleep(HELD);
    request.respond(StatusCode::OK, "late", ()).await
}

#[test]
fn a_poll_that_holds_the_thread_is_reported_once_by_its_place_or_its_name() {
    let Some(output) = in_child(|| {
        hold();
    }) else {
        return;
    };
    assert!(output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    let reports: Vec<_> = errors
        .lines()
        .filter(|line| line.contains("held"))
        .collect();
    assert_eq!(reports.len(), 4, "{errors}");
    let source = include_str!("watch.rs").lines();
    let line = 1 + source
        .take_while(|line| !line.contains("spawn(async {"))
        .count();
    let place = format!("spawned at tests/runtime/watch.rs:{line}:");
    assert!(reports[0].contains(&place), "{errors}");
    assert!(reports[1].contains("`a long part`"), "{errors}");
    // The main future has the place that called `block_on`.
    assert!(reports[2].contains("support/runtime.rs"), "{errors}");
    // A handler has its own name.
    assert!(
        reports[3].contains("runtime::watch::slow_handler"),
        "{errors}"
    );
}

/// The watchdog of a runtime that explains names the task and the place already while the poll runs.
#[test]
fn a_poll_that_the_watchdog_reports_has_one_report() {
    let Some(output) = in_child(|| {
        let runtime = Runtime::builder().explain(Explain::default()).build();
        runtime.unwrap().block_on(async {
            let task = spawn(async {
                watch::poll_named("a part", || {
                    thread::sleep(HELD + Duration::from_millis(300));
                });
            });
            task.await.unwrap();
        });
    }) else {
        return;
    };
    assert!(output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    let reports = errors.lines().filter(|line| line.contains("the thread"));
    assert_eq!(reports.count(), 1, "{errors}");
    assert!(errors.contains("tests/runtime/watch.rs"), "{errors}");
}
