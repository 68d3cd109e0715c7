//! The claims of stage 1.

use std::pin::{Pin, pin};
use std::task::Poll;

use claims::in_time;
use my_stage_01::countdown::Countdown;
use my_stage_01::pinned::refers_to_itself;
use my_stage_01::poll_once::poll_once;
use my_stage_01::size::{digest_large, digest_small};
use my_stage_01::sum::{Sum, sum};

#[test]
fn todo_1_and_2_a_countdown_is_ready_after_its_polls() {
    in_time(|| {
        let mut future = pin!(Countdown::new(2, 42));
        assert_eq!(poll_once(future.as_mut()), Poll::Pending);
        assert_eq!(poll_once(future.as_mut()), Poll::Pending);
        assert_eq!(poll_once(future.as_mut()), Poll::Ready(42));
    });
}

#[test]
fn todo_1_and_2_a_future_does_nothing_until_it_is_polled() {
    in_time(|| {
        let mut future = Countdown::new(1, 42);
        assert_eq!(future.polls_left, 1);
        assert_eq!(poll_once(Pin::new(&mut future)), Poll::Pending);
        assert_eq!(future.polls_left, 0);
    });
}

#[test]
fn todo_3_the_enum_takes_as_many_polls_as_the_async_function() {
    in_time(|| {
        let mut by_hand = pin!(Sum::new(Countdown::new(2, 30), Countdown::new(1, 12)));
        let mut by_compiler = pin!(sum(Countdown::new(2, 30), Countdown::new(1, 12)));
        for _ in 0..3 {
            assert_eq!(poll_once(by_hand.as_mut()), Poll::Pending);
            assert_eq!(poll_once(by_compiler.as_mut()), Poll::Pending);
        }
        assert_eq!(poll_once(by_hand.as_mut()), Poll::Ready(42));
        assert_eq!(poll_once(by_compiler.as_mut()), Poll::Ready(42));
    });
}

#[test]
fn todo_3_a_sum_of_two_ready_countdowns_is_ready_at_the_first_poll() {
    in_time(|| {
        let mut by_hand = pin!(Sum::new(Countdown::new(0, 1), Countdown::new(0, 2)));
        assert_eq!(poll_once(by_hand.as_mut()), Poll::Ready(3));
    });
}

/// The enum contains no reference to itself, so it may move between two polls.
#[test]
fn todo_3_a_future_of_plain_data_may_move_between_polls() {
    in_time(|| {
        let mut here = Sum::new(Countdown::new(1, 1), Countdown::new(1, 2));
        assert_eq!(poll_once(Pin::new(&mut here)), Poll::Pending);
        let mut there = Box::new(here);
        assert_eq!(poll_once(Pin::new(&mut *there)), Poll::Pending);
        assert_eq!(poll_once(Pin::new(&mut *there)), Poll::Ready(3));
    });
}

#[test]
fn todo_4_a_variable_that_lives_across_an_await_is_part_of_the_future() {
    in_time(|| {
        let large = digest_large(Countdown::new(1, 0));
        let small = digest_small(Countdown::new(1, 0));
        println!("large: {} bytes", size_of_val(&large));
        println!("small: {} bytes", size_of_val(&small));
        assert!(size_of_val(&large) > 1024);
        assert!(
            size_of_val(&small) < 100,
            "the buffer is still in the future"
        );

        let (mut large, mut small) = (pin!(large), pin!(small));
        assert_eq!(poll_once(large.as_mut()), Poll::Pending);
        assert_eq!(poll_once(small.as_mut()), Poll::Pending);
        assert_eq!(poll_once(large.as_mut()), Poll::Ready(3 * 1024));
        assert_eq!(poll_once(small.as_mut()), Poll::Ready(3 * 1024));
    });
}

/// The reference still points to the variable, because a pinned future does not move.
#[test]
fn todo_1_and_2_a_pinned_future_keeps_its_address() {
    in_time(|| {
        let mut future = Box::pin(refers_to_itself(Countdown::new(1, 0)));
        assert!(poll_once(future.as_mut()).is_pending());
        // The box moves, and the future in it stays where it is.
        let mut moved = future;
        let Poll::Ready((before, after)) = poll_once(moved.as_mut()) else {
            panic!("the countdown is over");
        };
        assert_eq!(before, after);
    });
}
