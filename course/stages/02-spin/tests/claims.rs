//! The claims of stage 2.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use claims::in_time;
use my_stage_02::{Countdown, Deadline, block_on, block_on_counted, yield_now};

#[test]
fn todo_1_block_on_returns_the_value_of_the_future() {
    in_time(|| {
        assert_eq!(block_on(async { 6 * 7 }), 42);
    });
}

#[test]
fn todo_1_block_on_polls_until_the_future_is_ready() {
    in_time(|| {
        let spun = block_on_counted(Countdown::new(5, 42));
        assert_eq!((spun.value, spun.polls), (42, 6));
    });
}

#[test]
fn todo_1_a_future_may_borrow_from_the_caller() {
    in_time(|| {
        let words = ["read", "poll", "wait"];
        let longest = block_on(async {
            Countdown::new(1, 0).await;
            words.iter().map(|word| word.len()).max()
        });
        assert_eq!(longest, Some(4));
    });
}

#[test]
fn todo_2_a_deadline_is_ready_in_time_and_not_before() {
    in_time(|| {
        let begin = Instant::now();
        block_on(Deadline::after(Duration::from_millis(30)));
        assert!(begin.elapsed() >= Duration::from_millis(30));
    });
}

#[test]
fn todo_2_the_loop_polls_many_times_while_it_waits() {
    in_time(|| {
        let spun = block_on_counted(Deadline::after(Duration::from_millis(30)));
        println!("{} polls in 30 ms", spun.polls);
        assert!(spun.polls > 1_000);
    });
}

#[test]
fn todo_3_a_yield_takes_one_more_poll() {
    in_time(|| {
        assert_eq!(block_on_counted(async {}).polls, 1);
        assert_eq!(block_on_counted(yield_now()).polls, 2);
        let twice = async {
            yield_now().await;
            yield_now().await;
        };
        assert_eq!(block_on_counted(twice).polls, 3);
    });
}

/// Nothing runs beside the future of `block_on`, so a yield lets no other code run yet.
#[test]
fn todo_3_two_futures_run_one_after_the_other() {
    in_time(|| {
        let order = RefCell::new(Vec::new());
        let speak = async |name| {
            order.borrow_mut().push(name);
            yield_now().await;
            order.borrow_mut().push(name);
        };
        block_on(async {
            speak("a").await;
            speak("b").await;
        });
        assert_eq!(*order.borrow(), ["a", "a", "b", "b"]);
    });
}
