//! The claims of stage 6.

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use claims::in_time;
use my_stage_06::{block_on, join, on_threads, race, sleep, spawn, yield_now};

const SHORT: Duration = Duration::from_millis(250);

/// Less than the time of two waits, one after the other.
const LESS_THAN_TWO: Duration = Duration::from_millis(490);

#[test]
fn todo_1_join_returns_both_values() {
    in_time(|| {
        assert_eq!(block_on(join(async { 1 }, async { "one" })), (1, "one"));
        let late = async {
            yield_now().await;
            2
        };
        assert_eq!(block_on(join(late, ready("two"))), (2, "two"));
    });
}

#[test]
fn todo_1_two_futures_of_a_join_wait_at_the_same_time() {
    in_time(|| {
        let begin = Instant::now();
        block_on(join(sleep(SHORT), sleep(SHORT)));
        assert!(begin.elapsed() < LESS_THAN_TWO);
    });
}

#[test]
fn todo_1_the_two_futures_take_turns() {
    in_time(|| {
        let order = RefCell::new(Vec::new());
        let speak = async |name: &'static str| {
            for _ in 0..2 {
                order.borrow_mut().push(name);
                yield_now().await;
            }
        };
        block_on(join(speak("a"), speak("b")));
        assert_eq!(*order.borrow(), ["a", "b", "a", "b"]);
    });
}

/// A join is part of its task. So its futures may borrow the variables of the task.
#[test]
fn todo_1_the_futures_of_a_join_share_a_variable_by_reference() {
    in_time(|| {
        let count = Cell::new(0);
        let add = async |number: u32| {
            for _ in 0..number {
                count.set(count.get() + 1);
                yield_now().await;
            }
        };
        block_on(join(add(3), add(5)));
        assert_eq!(count.get(), 8);
    });
}

#[test]
fn todo_1_a_join_has_room_for_both_futures_and_needs_no_other_memory() {
    in_time(|| {
        let large = async |byte: u8| {
            let buffer = [byte; 1000];
            yield_now().await;
            buffer.iter().map(|byte| u32::from(*byte)).sum::<u32>()
        };
        let both = join(large(1), large(2));
        println!("one: {} bytes", size_of_val(&large(1)));
        println!("both: {} bytes", size_of_val(&both));
        assert!(size_of_val(&both) >= 2000);
        assert_eq!(block_on(both), (1000, 2000));
    });
}

/// Tasks have owners of their own, so a variable that they share needs an `Rc`.
#[test]
fn todo_1_two_tasks_wait_at_the_same_time_too() {
    in_time(|| {
        let begin = Instant::now();
        let ended = Rc::new(Cell::new(0));
        block_on(async {
            let [one, two] = [(); 2].map(|()| {
                let ended = ended.clone();
                spawn(async move {
                    sleep(SHORT).await;
                    ended.set(ended.get() + 1);
                })
            });
            let (one, two) = join(one, two).await;
            one.and(two).unwrap();
        });
        assert_eq!(ended.get(), 2);
        assert!(begin.elapsed() < LESS_THAN_TWO);
    });
}

#[test]
fn todo_2_the_first_future_that_is_ready_wins() {
    in_time(|| {
        let slow = async {
            sleep(Duration::from_secs(5)).await;
            "slow"
        };
        let fast = async {
            sleep(SHORT).await;
            "fast"
        };
        let begin = Instant::now();
        assert_eq!(block_on(race(slow, fast)), "fast");
        assert!(begin.elapsed() < Duration::from_secs(1));
        assert_eq!(block_on(race(ready(1), pending())), 1);
        assert_eq!(block_on(race(pending(), ready(2))), 2);
    });
}

#[test]
fn todo_2_the_future_that_loses_is_dropped() {
    in_time(|| {
        let token = Rc::new(());
        let held = token.clone();
        let loser = async move {
            let _held = held;
            pending::<()>().await;
        };
        block_on(async {
            race(yield_now(), loser).await;
            assert_eq!(Rc::strong_count(&token), 1);
        });
    });
}

/// One task is on one thread. So a future that blocks the thread keeps the other one from running.
#[test]
fn todo_1_a_future_that_blocks_the_thread_blocks_the_join() {
    in_time(|| {
        let blocks = async || thread::sleep(SHORT);
        let begin = Instant::now();
        block_on(join(blocks(), blocks()));
        assert!(begin.elapsed() >= 2 * SHORT);
    });
}

#[test]
fn todo_3_functions_on_two_threads_block_at_the_same_time() {
    in_time(|| {
        let begin = Instant::now();
        let ended = AtomicU32::new(0);
        let block = |value| {
            thread::sleep(SHORT);
            ended.fetch_add(1, Ordering::Relaxed);
            value
        };
        assert_eq!(on_threads(|| block(1), || block(2)), (1, 2));
        assert_eq!(ended.into_inner(), 2);
        assert!(begin.elapsed() < LESS_THAN_TWO);
    });
}
