//! Claims about parts of a task on a hot path, which are over unless they are left as ones that wait.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use waterwheel::runtime::inspect::{self, Explain, named};
use waterwheel::runtime::time::{self, sleep};
use waterwheel::runtime::{join, yield_now};

use super::{chain, explained, explained_with, group, secs, start};

/// Enters the part `name`, and polls `future` in it. The part is over when the future is ready.
async fn part<F: Future>(name: &'static str, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let part = inspect::NamedPart::enter(name, String::new, cx);
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() {
            part.waits();
        }
        poll
    })
    .await
}

async fn sleeps(name: &'static str) {
    part(name, sleep(secs(9))).await;
}

/// Polls two futures of which `futures` knows more than a runtime: one that waits, and one that is ready.
async fn beside<T>(waits: impl Future<Output = ()>, ready: impl Future<Output = T>) -> T {
    let (mut waits, mut ready) = (pin!(waits), pin!(ready));
    poll_fn(|cx| {
        assert!(waits.as_mut().poll(cx).is_pending());
        ready.as_mut().poll(cx)
    })
    .await
}

#[test]
fn a_part_that_is_over_leaves_nothing_around_what_comes_after_it() {
    type Row = (
        &'static str,
        Pin<Box<dyn Future<Output = ()>>>,
        &'static str,
    );
    explained(async {
        time::pause();
        let rows: [Row; 7] = [
            ("waits", Box::pin(sleeps("a")), "a > sleep(9 s left)"),
            (
                "after",
                Box::pin(async {
                    part("a", async {}).await;
                    sleep(secs(9)).await;
                }),
                "sleep(9 s left)",
            ),
            (
                "next",
                Box::pin(async {
                    for _ in 0..3 {
                        part("a", async {}).await;
                    }
                    sleeps("a").await;
                }),
                "a > sleep(9 s left)",
            ),
            (
                "other",
                Box::pin(async {
                    part("a", part("b", async {})).await;
                    sleeps("c").await;
                }),
                "c > sleep(9 s left)",
            ),
            (
                "around",
                Box::pin(part("a", async {
                    part("b", async {}).await;
                    sleep(secs(9)).await;
                })),
                "a > sleep(9 s left)",
            ),
            (
                "race",
                Box::pin(async {
                    let first = async {
                        part("a", async {}).await;
                        sleep(secs(9)).await;
                    };
                    join(first, sleep(secs(8))).await;
                }),
                "join > [sleep(8 s left), sleep(9 s left)]",
            ),
            (
                "phase",
                Box::pin(poll_fn(|cx| {
                    let phase = || Some("idle");
                    inspect::poll_in_phase("c", cx, phase, |cx| {
                        _ = inspect::NamedPart::enter("a", String::new, cx);
                        let mut read = pin!(named("read", pending::<()>()));
                        read.as_mut().poll(cx)
                    })
                })),
                "c(idle) > read > no waker",
            ),
        ];
        for (name, future, expected) in rows {
            start(name, future).await;
            let dump = inspect::dump();
            let found = chain(&dump, name);
            let swapped = found.replace(
                "[sleep(9 s left), sleep(8 s left)]",
                "[sleep(8 s left), sleep(9 s left)]",
            );
            assert_eq!(swapped, expected, "{name}: {dump}");
        }
    });
}

#[test]
fn the_time_of_a_part_is_its_own_and_not_that_of_the_one_before() {
    explained(async {
        time::pause();
        let work = async {
            part("request", sleep(secs(5))).await;
            part("request", sleep(secs(9))).await;
        };
        start("work", work).await;
        time::advance(secs(6)).await;
        yield_now().await;
        time::advance(secs(1)).await;
        let dump = inspect::dump();
        assert_eq!(chain(&dump, "work"), "request > sleep(7 s left)", "{dump}");
        let waits = group(&dump, "work").tree()[0].waits();
        assert_eq!(*waits.end(), secs(2), "{dump}");
    });
}

#[test]
fn a_part_that_was_left_as_one_that_waits_can_be_taken_back() {
    explained(async {
        time::pause();
        let work = async {
            let kept = part("kept", sleep(secs(9)));
            let taken = async {
                let over = poll_fn(|cx| {
                    let part = inspect::NamedPart::enter("taken", String::new, cx);
                    _ = pin!(sleep(secs(7))).poll(cx);
                    part.waits();
                    inspect::NamedPart::take_back("taken");
                    // There is no second one, and no other one goes instead.
                    inspect::NamedPart::take_back("taken");
                    Poll::Ready(())
                });
                over.await;
                pending::<()>().await;
            };
            beside(kept, taken).await;
        };
        start("work", work).await;
        let dump = inspect::dump();
        assert_eq!(chain(&dump, "work"), "kept > sleep(9 s left)", "{dump}");
    });
}

#[test]
fn a_long_poll_names_the_part_that_is_entered_last() {
    explained_with(
        Explain::default().poll_max(Duration::from_millis(20)),
        async {
            start("work", async {
                part("first", async {}).await;
                part("second", async {
                    thread::sleep(Duration::from_millis(100));
                })
                .await;
                pending::<()>().await;
            })
            .await;
            let dump = inspect::dump();
            let texts = dump
                .findings()
                .iter()
                .map(|finding| finding.text().to_owned());
            let found: Vec<_> = texts.filter(|text| text.contains("`work`")).collect();
            assert!(found.iter().any(|text| text.contains("second")), "{dump}");
        },
    );
}
