//! Sleeps, timeouts and intervals.

use std::future::pending;
use std::time::Duration;

use crate::support::runtime::turns;
use crate::support::seeds::{MANY, dice, dropped_after, under_seeds};
use waterwheel::runtime::time::{self, Instant, MissedTicks, interval, sleep, timeout};
use waterwheel::runtime::{join_all, spawn, yield_now};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The paused clock moves to the next deadline, so a sleep that was forgotten would move it too far.
#[test]
fn a_sleep_ends_at_its_own_deadline_although_others_are_dropped() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let start = Instant::now();
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (early, late) = (1 + dice(5), 10 + dice(5));
                let polls = dice(3);
                spawn(async move {
                    // These are dropped, the later one after it was reset to an earlier deadline.
                    _ = dropped_after(polls, sleep(ms(early.into()))).await;
                    let mut reset = Box::pin(sleep(ms(9)));
                    _ = dropped_after(polls, &mut reset).await;
                    reset.as_mut().reset(start + ms(2));
                    _ = dropped_after(polls, &mut reset).await;
                    drop(reset);
                    _ = dropped_after(polls, timeout(ms(3), pending::<()>())).await;
                    time::sleep_until(start + ms(late.into())).await;
                    assert_eq!(start.elapsed(), ms(late.into()));
                })
            })
            .collect();
        turns(12).await;
        sleep(Duration::from_nanos(1)).await;
        assert!(start.elapsed() < ms(1), "{:?}", start.elapsed());
        for task in join_all(tasks).await {
            task.unwrap();
        }
    });
}

#[test]
fn an_interval_returns_each_tick_once_although_waits_are_dropped() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let start = Instant::now();
        let mut ticks = interval(ms(10)).missed_ticks(MissedTicks::Burst);
        let mut seen = Vec::new();
        while seen.len() < 8 {
            match dropped_after(dice(3), ticks.tick()).await {
                Some(at) => seen.push(at - start),
                None => sleep(ms(dice(25).into())).await,
            }
            yield_now().await;
        }
        let expected: Vec<_> = (0..8).map(|tick| ms(tick * 10)).collect();
        assert_eq!(seen, expected);
    });
}

/// A timeout that has passed drops the future inside once, and one that is dropped itself does so too.
#[test]
fn a_timeout_that_is_dropped_anywhere_leaves_the_value_where_it_was() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let (sender, mut receiver) = waterwheel::runtime::sync::mpsc::channel(1);
        let rolls: Vec<_> = (0..6).map(|_| dice(6)).collect();
        spawn(async move {
            for (number, pause) in (0..).zip(rolls) {
                sleep(ms(pause.into())).await;
                sender.send(number).await.unwrap();
            }
        })
        .detach();
        let mut next = 0;
        loop {
            let wait = timeout(ms(dice(4).into()), receiver.recv());
            let outcome = if dice(2) == 0 {
                dropped_after(dice(4), wait).await
            } else {
                Some(wait.await)
            };
            match outcome {
                Some(Ok(Some(number))) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                Some(Ok(None)) => break,
                Some(Err(_)) => {}
                None => sleep(ms(1)).await,
            }
        }
        assert_eq!(next, 6);
    });
}
