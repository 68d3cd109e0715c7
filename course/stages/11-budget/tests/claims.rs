//! The claims of stage 11.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Write;
use std::net;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use claims::in_time;
use my_stage_11::budget::{self, BUDGET};
use my_stage_11::{
    Elapsed, TcpListener, TcpStream, block_on, counts, race, sleep, spawn, timeout, yield_now,
};

async fn connection() -> (TcpStream, net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = net::TcpStream::connect(listener.local_address().unwrap()).unwrap();
    (listener.accept().await.unwrap(), client)
}

/// A loop whose leaf is always ready. It ends after a number that no test reaches in time without a budget.
async fn busy(count: Rc<Cell<u32>>) {
    for _ in 0..50_000_000 {
        sleep(Duration::ZERO).await;
        count.set(count.get() + 1);
    }
}

#[test]
fn todo_1_outside_a_runtime_there_is_no_limit() {
    in_time(|| {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 * BUDGET {
            assert_eq!(budget::poll_spend(&mut cx), Poll::Ready(()));
        }
        block_on(async {});
        for _ in 0..10 * BUDGET {
            assert_eq!(budget::poll_spend(&mut cx), Poll::Ready(()));
        }
    });
}

#[test]
fn todo_1_to_4_a_poll_has_64_units() {
    in_time(|| {
        block_on(async {
            let mut polls = 0;
            let mut spent = 0;
            let two_budgets = poll_fn(|cx| {
                polls += 1;
                while budget::poll_spend(cx).is_ready() {
                    spent += 1;
                }
                if polls < 2 {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            });
            two_budgets.await;
            assert_eq!(spent, 2 * BUDGET);
        });
    });
}

#[test]
fn todo_1_to_6_a_task_that_is_always_ready_lets_another_task_run() {
    in_time(|| {
        block_on(async {
            let count = Rc::new(Cell::new(0));
            let endless = spawn(busy(count.clone()));
            let other = spawn(async move { count.get() });
            assert_eq!(other.await.unwrap(), BUDGET);
            endless.abort();
        });
    });
}

#[test]
fn todo_1_to_6_a_task_that_is_always_ready_does_not_stop_a_timer() {
    in_time(|| {
        block_on(async {
            let endless = spawn(busy(Rc::default()));
            let begin = Instant::now();
            sleep(Duration::from_millis(30)).await;
            assert!(begin.elapsed() < Duration::from_secs(2));
            endless.abort();
        });
    });
}

#[test]
fn todo_1_to_6_a_timeout_ends_a_future_that_is_always_ready() {
    in_time(|| {
        block_on(async {
            let endless = busy(Rc::default());
            let begin = Instant::now();
            assert_eq!(
                timeout(Duration::from_millis(20), endless).await,
                Err(Elapsed)
            );
            assert!(begin.elapsed() < Duration::from_secs(2));
        });
    });
}

/// The sleep is refused, because the other future of its task spends the whole budget first.
#[test]
fn todo_1_to_6_a_sleep_that_is_refused_ends_in_the_next_turn() {
    in_time(|| {
        block_on(async {
            let endless = busy(Rc::default());
            let at_once = sleep(Duration::ZERO);
            race(endless, at_once).await;
        });
    });
}

#[test]
fn todo_1_to_5_a_socket_with_many_bytes_does_not_keep_the_thread() {
    const BYTES: u32 = 10_000;
    in_time(|| {
        block_on(async {
            let (stream, mut client) = connection().await;
            client.write_all(&[7; BYTES as usize]).unwrap();
            sleep(Duration::from_millis(20)).await;
            let turns = Rc::new(Cell::new(0));
            let counting = turns.clone();
            let other = spawn(async move {
                loop {
                    counting.set(counting.get() + 1);
                    yield_now().await;
                }
            });
            let reader = spawn(async move {
                for _ in 0..BYTES {
                    assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
                }
            });
            reader.await.unwrap();
            other.abort();
            println!("the other task ran {} times", turns.get());
            assert!(turns.get() >= BYTES / BUDGET);
        });
    });
}

#[test]
fn todo_2_to_4_a_yield_waits_for_the_next_turn() {
    in_time(|| {
        block_on(async {
            let before = counts().turns;
            for _ in 0..10 {
                yield_now().await;
            }
            assert_eq!(counts().turns, before + 10);
        });
    });
}

/// A wake within the turn costs no look at the reactor, which is a system call.
#[test]
fn todo_2_to_4_a_chain_of_wakes_takes_few_turns() {
    in_time(|| {
        block_on(async {
            // Two tasks that wake each other, 1,000 times.
            let wakers: Rc<RefCell<[Option<Waker>; 2]>> = Rc::default();
            let hops = Rc::new(Cell::new(0));
            let tasks = [0, 1].map(|own| {
                let (wakers, hops) = (wakers.clone(), hops.clone());
                spawn(poll_fn(move |cx| {
                    wakers.borrow_mut()[own] = Some(cx.waker().clone());
                    hops.set(hops.get() + 1);
                    let other = wakers.borrow_mut()[1 - own].take();
                    if let Some(other) = other {
                        other.wake();
                    }
                    if hops.get() < 1_000 {
                        Poll::Pending
                    } else {
                        Poll::Ready(())
                    }
                }))
            });
            let before = counts().turns;
            for task in tasks {
                task.await.unwrap();
            }
            let turns = counts().turns - before;
            println!("{} hops in {turns} turns", hops.get());
            assert!(turns < 1_000 / 32);
        });
    });
}

/// A task that wakes itself without end does not spend its budget. The limit of the turn is for it.
#[test]
fn todo_2_to_4_a_task_that_wakes_itself_does_not_stop_the_reactor() {
    in_time(|| {
        block_on(async {
            let (stream, mut client) = connection().await;
            let endless = spawn(poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
            yield_now().await;
            client.write_all(b"hello").unwrap();
            assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 5);
            endless.abort();
        });
    });
}
