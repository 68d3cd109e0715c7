//! The claims of stage 12.

use std::future::poll_fn;
use std::io::Write;
use std::net;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use claims::in_time;
use my_stage_12::{
    Runtime, TcpListener, block_on, counts, oneshot, sleep, spawn, timeout, yield_now,
};

/// A number that threads raise, and a waker that each rise wakes.
#[derive(Default)]
struct Rising {
    number: AtomicU32,
    waiter: Mutex<Option<Waker>>,
}

impl Rising {
    fn rise(&self) {
        self.number.fetch_add(1, Ordering::SeqCst);
        let waiter = self.waiter.lock().unwrap().clone();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Waits until the number is reached. Returns the number of polls.
    async fn reaches(&self, goal: u32) -> u32 {
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            *self.waiter.lock().unwrap() = Some(cx.waker().clone());
            if self.number.load(Ordering::SeqCst) < goal {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        polls
    }
}

#[test]
fn todo_4_and_5_a_wake_on_the_own_thread_sends_no_message() {
    in_time(|| {
        block_on(async {
            for _ in 0..100 {
                let task = spawn(async {
                    yield_now().await;
                    sleep(Duration::ZERO).await;
                });
                task.await.unwrap();
            }
            assert_eq!(counts().messages, 0);
        });
    });
}

#[test]
fn todo_1_to_5_a_wake_of_another_thread_ends_the_wait() {
    in_time(|| {
        let begin = Instant::now();
        let (sender, receiver) = oneshot();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(30));
            sender.send(7);
        });
        let messages = block_on(async {
            assert_eq!(receiver.await, 7);
            counts().messages
        });
        assert!(begin.elapsed() >= Duration::from_millis(30));
        assert!(messages <= 1);
        thread.join().unwrap();
    });
}

/// The flag `elsewhere` is set until the task runs, so the later wakes find it set and send no message.
#[test]
fn todo_1_to_5_many_wakes_before_a_poll_are_one_message() {
    in_time(|| {
        block_on(async {
            let rising = Arc::new(Rising::default());
            let waiting = rising.clone();
            let task = spawn(async move { waiting.reaches(1_000).await });
            yield_now().await;
            let raising = rising.clone();
            // This thread is busy with the join, so it polls no task meanwhile.
            thread::spawn(move || (0..1_000).for_each(|_| raising.rise()))
                .join()
                .unwrap();
            assert_eq!(task.await.unwrap(), 2);
            assert_eq!(counts().messages, 1);
        });
    });
}

#[test]
fn todo_1_to_5_no_wake_of_many_threads_is_lost() {
    in_time(|| {
        let rising = Arc::new(Rising::default());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let rising = rising.clone();
                thread::spawn(move || (0..5_000).for_each(|_| rising.rise()))
            })
            .collect();
        block_on(rising.reaches(4 * 5_000));
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Each wake comes about when the executor goes to wait. If one is lost, this never ends.
#[test]
fn todo_1_to_5_no_wake_is_lost_between_the_look_and_the_wait() {
    in_time(|| {
        let there = Arc::new(Rising::default());
        let back = Arc::new(Rising::default());
        let (of_thread, to_thread) = (there.clone(), back.clone());
        let thread = thread::spawn(move || {
            block_on(async {
                for round in 1..=2_000 {
                    of_thread.reaches(round).await;
                    to_thread.rise();
                }
            });
        });
        block_on(async {
            for round in 1..=2_000 {
                there.rise();
                back.reaches(round).await;
            }
        });
        thread.join().unwrap();
    });
}

#[test]
fn todo_1_to_5_a_task_that_never_waits_still_hears_other_threads() {
    in_time(|| {
        block_on(async {
            let endless = spawn(async {
                loop {
                    yield_now().await;
                }
            });
            let (sender, receiver) = oneshot();
            let thread = thread::spawn(move || sender.send(7));
            assert_eq!(receiver.await, 7);
            thread.join().unwrap();
            endless.abort();
        });
    });
}

#[test]
fn todo_1_and_4_a_wake_after_the_end_of_the_runtime_has_no_effect() {
    in_time(|| {
        let rising = Arc::new(Rising::default());
        let runtime = Runtime::new().unwrap();
        let waiting = rising.clone();
        runtime.block_on(async {
            spawn(async move { waiting.reaches(1).await });
            yield_now().await;
        });
        drop(runtime);
        rising.rise();
        let raising = rising.clone();
        thread::spawn(move || raising.rise()).join().unwrap();
    });
}

/// The inner runtime has the thread's lists. So a wake of the outer one goes through its inbox.
#[test]
fn todo_1_to_5_a_runtime_within_a_runtime_wakes_the_outer_one() {
    in_time(|| {
        block_on(async {
            let (sender, receiver) = oneshot();
            let task = spawn(receiver);
            yield_now().await;
            block_on(async {
                yield_now().await;
                sender.send(7);
            });
            assert_eq!(task.await.unwrap(), 7);
            assert_eq!(counts().messages, 1);
        });
    });
}

#[test]
fn todo_4_and_5_sockets_and_timers_still_end_the_wait() {
    in_time(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().unwrap();
            let thread = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                net::TcpStream::connect(address)
                    .unwrap()
                    .write_all(b"hello")
                    .unwrap();
            });
            let stream = listener.accept().await.unwrap();
            let mut buffer = [0; 64];
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 5);
            thread.join().unwrap();
            let never = std::future::pending::<()>();
            assert!(timeout(Duration::from_millis(20), never).await.is_err());
        });
    });
}
