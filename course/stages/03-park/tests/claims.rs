//! The claims of stage 3.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use claims::in_time;
use my_stage_03::{block_on, block_on_counted, oneshot, sleep, yield_now};

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn todo_1_and_2_a_ready_future_takes_one_poll() {
    in_time(|| {
        let counted = block_on_counted(async { 42 });
        assert_eq!((counted.value, counted.polls), (42, 1));
    });
}

#[test]
fn todo_3_a_send_wakes_the_receiver_that_waits() {
    in_time(|| {
        let (sender, receiver) = oneshot();
        let mut receiver = pin!(receiver);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        assert_eq!(receiver.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(wakes.count(), 0);
        sender.send(7);
        assert_eq!(wakes.count(), 1);
        assert_eq!(receiver.as_mut().poll(&mut cx), Poll::Ready(7));
    });
}

#[test]
fn todo_3_and_4_a_value_that_was_sent_before_the_first_poll_is_there() {
    in_time(|| {
        let (sender, receiver) = oneshot();
        sender.send("early");
        let counted = block_on_counted(receiver);
        assert_eq!((counted.value, counted.polls), ("early", 1));
    });
}

/// A future may move to another task between two polls. So only its last waker counts.
#[test]
fn todo_4_the_last_waker_is_woken() {
    in_time(|| {
        let (sender, receiver) = oneshot();
        let mut receiver = pin!(receiver);
        let [first, last] = [(); 2].map(|()| Arc::new(Wakes::default()));
        for wakes in [&first, &last] {
            let waker = Waker::from(wakes.clone());
            let poll = receiver.as_mut().poll(&mut Context::from_waker(&waker));
            assert_eq!(poll, Poll::Pending);
        }
        sender.send(7);
        assert_eq!((first.count(), last.count()), (0, 1));
    });
}

#[test]
fn todo_1_to_4_a_value_of_another_thread_ends_the_wait() {
    in_time(|| {
        let (sender, receiver) = oneshot();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            sender.send(7);
        });
        assert_eq!(block_on(receiver), 7);
        thread.join().unwrap();
    });
}

#[test]
fn todo_5_a_sleep_takes_its_time_and_few_polls() {
    in_time(|| {
        let begin = Instant::now();
        let counted = block_on_counted(sleep(Duration::from_millis(30)));
        assert!(begin.elapsed() >= Duration::from_millis(30));
        println!("{} polls in 30 ms", counted.polls);
        // A thread may wake up without a reason, so the number is not exactly two.
        assert!(counted.polls < 10);
    });
}

/// The wake comes before the thread parks, and is not lost.
#[test]
fn todo_6_a_yield_wakes_itself_and_takes_one_more_poll() {
    in_time(|| {
        assert_eq!(block_on_counted(yield_now()).polls, 2);
    });
}

#[test]
fn todo_1_to_4_no_wake_of_10000_is_lost() {
    in_time(|| {
        for number in 0..10_000 {
            let (sender, receiver) = oneshot();
            let (to_thread, of_thread) = oneshot();
            if number % 100 == 0 {
                thread::spawn(move || sender.send(block_on(of_thread)));
                to_thread.send(number);
            } else {
                sender.send(number);
            }
            assert_eq!(block_on(receiver), number);
        }
    });
}
