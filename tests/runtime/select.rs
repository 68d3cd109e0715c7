//! Claims about several futures in one task: which one wins, which one is dropped, and that none is starved.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::support::runtime::{Counted, Log, count_drop, panic_text, run, turns};
use crate::support::seeds::in_any_order;
use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::sync::mpsc;
use waterwheel::runtime::time::{self, MissedTicks, interval};
use waterwheel::runtime::{
    Either, Either3, Either4, budget, join, join_all, race, select, select_slice, select3, select4,
    spawn, try_join, try_join_all, yield_now,
};

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

#[test]
fn a_select_returns_the_value_of_the_future_that_is_ready_first() {
    in_any_order(|| async {
        let never = || pending::<u8>();
        assert_eq!(select(never(), ready("b")).await, Either::Second("b"));
        assert_eq!(
            select3(never(), never(), ready("c")).await,
            Either3::Third("c")
        );
        assert_eq!(
            select4(never(), never(), never(), ready("d")).await,
            Either4::Fourth("d")
        );
        assert_eq!(
            select4(ready(1), pending(), pending(), pending())
                .await
                .into_inner(),
            1
        );
        assert_eq!(
            select3(pending(), ready(2), pending()).await.into_inner(),
            2
        );
        assert_eq!(select(pending(), ready(3)).await.into_inner(), 3);
        let mut slice = [Box::pin(never()) as Boxed<u8>, Box::pin(ready(4))];
        assert_eq!(select_slice(&mut slice).await, (1, 4));
    });
}

/// embassy 5538, crossbeam-channel 1: a fixed order starves the later branches.
#[test]
fn each_branch_that_is_always_ready_wins_equally_often_in_a_loop() {
    run(async {
        let mut wins = [0_u32; 9];
        let within = |wins: &[u32], each: u32| {
            wins.iter()
                .all(|count| (each - 10..=each + 10).contains(count))
        };
        for _ in 0..1200 {
            // Several in one round, because a plain counter would give each of them always the same turn.
            wins[select(ready(0), ready(1)).await.into_inner()] += 1;
            wins[2 + select3(ready(0), ready(1), ready(2)).await.into_inner()] += 1;
            wins[5 + select4(ready(0), ready(1), ready(2), ready(3))
                .await
                .into_inner()] += 1;
        }
        assert!(within(&wins[..2], 600), "{wins:?}");
        assert!(within(&wins[2..5], 400), "{wins:?}");
        assert!(within(&wins[5..], 300), "{wins:?}");
        let mut wins = [0_u32; 7];
        for _ in 0..600 {
            wins[race(ready(0), ready(1)).await] += 1;
            wins[2 + select_slice(&mut [(); 5].map(ready)).await.0] += 1;
        }
        assert!(
            within(&wins[..2], 300) && within(&wins[2..], 120),
            "{wins:?}"
        );
    });
}

#[test]
fn a_biased_select_polls_in_the_order_of_its_branches() {
    in_any_order(|| async {
        for _ in 0..100 {
            assert_eq!(race(ready(1), ready(2)).biased().await, 1);
            assert_eq!(select(ready(1), ready(2)).biased().await, Either::First(1));
            let three = select3(pending::<u8>(), ready(2), ready(3)).biased();
            assert_eq!(three.await, Either3::Second(2));
            let four = select4(pending(), pending(), ready(3), ready(4)).biased();
            assert_eq!(four.await.into_inner(), 3);
            assert_eq!(
                select_slice(&mut [ready(1), ready(2)]).biased().await,
                (0, 1)
            );
        }
    });
}

#[test]
fn a_loop_over_two_full_channels_reads_both() {
    run(async {
        let (left, mut from_left) = mpsc::channel(1000);
        let (right, mut from_right) = mpsc::channel(1000);
        for number in 0..1000 {
            left.try_send(number).unwrap();
            right.try_send(number).unwrap();
        }
        let (mut lefts, mut rights) = (0_u32, 0);
        while lefts + rights < 1000 {
            match select(from_left.recv(), from_right.recv()).await {
                Either::First(message) => {
                    assert_eq!(message, Some(lefts));
                    lefts += 1;
                }
                Either::Second(message) => {
                    assert_eq!(message, Some(rights));
                    rights += 1;
                }
            }
        }
        assert!((490..=510).contains(&lefts), "{lefts} and {rights}");
    });
}

#[test]
fn a_select_drops_the_losers_with_itself_and_leaves_borrowed_ones() {
    in_any_order(|| async {
        let drops = Rc::new(Cell::new(0));
        let held = |drops: &Rc<Cell<u32>>| {
            let held = count_drop(drops);
            async move {
                let _held = held;
                pending::<()>().await;
            }
        };
        select3(held(&drops), ready(()), held(&drops)).await;
        assert_eq!(drops.get(), 2);
        let mut kept = Box::pin(held(&drops));
        select(&mut kept, ready(())).await;
        assert_eq!(drops.get(), 2);
        drop(kept);
        assert_eq!(drops.get(), 3);
        // A select that is dropped before its end drops all.
        let mut unfinished = Box::pin(select4(
            held(&drops),
            held(&drops),
            held(&drops),
            pending::<()>(),
        ));
        assert!(poll_once(unfinished.as_mut()).await.is_none());
        drop(unfinished);
        assert_eq!(drops.get(), 6);
    });
}

#[test]
fn a_branch_that_spends_the_whole_budget_leaves_the_others_their_shares() {
    in_any_order(|| async {
        let busy = || async {
            loop {
                time::sleep(Duration::ZERO).await;
            }
        };
        // The quiet branch needs several units, in few polls of its task.
        let quiet = async {
            for _ in 0..100 {
                time::sleep(Duration::ZERO).await;
            }
        };
        let mut polls = 0;
        let mut all = pin!(select4(busy(), busy(), busy(), quiet).biased());
        poll_fn(|cx| {
            polls += 1;
            all.as_mut().poll(cx)
        })
        .await;
        assert!(polls <= 2 * 100 / (budget::BUDGET / 4), "{polls} polls");
    });
}

#[test]
fn a_select_of_no_futures_is_refused() {
    let text = panic_text(|| {
        run(async { select_slice::<std::future::Ready<()>>(&mut []).await });
    });
    assert!(text.contains("would never be ready"), "{text}");
}

#[test]
fn join_all_returns_the_values_in_order_and_polls_no_future_after_its_end() {
    in_any_order(|| async {
        let log = Log::new();
        let futures: Vec<_> = (0..5_u64)
            .map(|number| {
                let log = log.clone();
                async move {
                    for _ in number..5 {
                        yield_now().await;
                    }
                    log.add(number);
                    number
                }
            })
            .collect();
        assert_eq!(join_all(futures).await, [0, 1, 2, 3, 4]);
        assert_eq!(log.take(), [4, 3, 2, 1, 0]);
        let polls = Rc::new(Cell::new(0));
        let counted = |future: Boxed<()>, polls| Counted { future, polls };
        let late = counted(Box::pin(turns(5)), Rc::default());
        let both = [counted(Box::pin(async {}), polls.clone()), late];
        join_all(both).await;
        assert_eq!(polls.get(), 1);
        assert!(
            join_all(Vec::<std::future::Ready<()>>::new())
                .await
                .is_empty()
        );
    });
}

#[test]
fn a_future_that_has_ended_is_dropped_before_the_others_end() {
    in_any_order(|| async {
        let drops = Rc::new(Cell::new(0));
        let first = {
            let (held, drops) = (count_drop(&drops), drops.clone());
            async move {
                let _held = held;
                drops.get()
            }
        };
        let second = {
            let drops = drops.clone();
            async move {
                yield_now().await;
                drops.get()
            }
        };
        let both: [Boxed<u32>; 2] = [Box::pin(first), Box::pin(second)];
        assert_eq!(join_all(both).await, [0, 1]);
    });
}

#[test]
fn the_first_error_ends_a_try_join() {
    in_any_order(|| async {
        let slow = || async {
            pending::<()>().await;
            Ok::<u8, &str>(1)
        };
        let fails = || async {
            yield_now().await;
            Err::<u8, _>("failed")
        };
        assert_eq!(try_join(slow(), fails()).await, Err("failed"));
        assert_eq!(try_join(fails(), slow()).await, Err("failed"));
        assert_eq!(
            try_join(async { Err::<u8, _>(1) }, async { Err::<u8, _>(2) }).await,
            Err(1)
        );
        assert_eq!(
            try_join(async { Ok::<_, u8>(1) }, async { Ok("b") }).await,
            Ok((1, "b"))
        );
        let drops = Rc::new(Cell::new(0));
        let futures: [Boxed<Result<u8, &str>>; 2] = [
            {
                let held = count_drop(&drops);
                Box::pin(async move {
                    let _held = held;
                    pending().await
                })
            },
            Box::pin(fails()),
        ];
        let mut all = Box::pin(try_join_all(futures));
        let failed = poll_fn(|cx| all.as_mut().poll(cx)).await;
        assert_eq!((failed, drops.get()), (Err("failed"), 1));
        let all = (0..3).map(|number| async move { Ok::<_, u8>(number) });
        assert_eq!(try_join_all(all).await, Ok(vec![0, 1, 2]));
    });
}

#[test]
fn a_thousand_joined_futures_that_are_always_ready_let_others_run() {
    run(async {
        let stop = Rc::new(Cell::new(false));
        let other = spawn({
            let stop = stop.clone();
            async move { stop.set(true) }
        });
        let busy = (0..1000).map(|_| async {
            while !stop.get() {
                time::sleep(Duration::ZERO).await;
            }
        });
        join_all(busy).await;
        other.await.unwrap();
    });
}

#[test]
fn an_interval_and_a_listener_are_streams() {
    in_any_order(|| async {
        time::pause();
        let start = time::Instant::now();
        let ticks = interval(Duration::from_millis(10)).missed_ticks(MissedTicks::Burst);
        let times: Vec<_> = ticks.map(|at| at - start).take(3).collect().await;
        assert_eq!(times, [0, 10, 20].map(Duration::from_millis));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        for _ in 0..2 {
            let (stream, accepted) = join(TcpStream::connect(address), (&listener).next()).await;
            let (_, peer) = accepted.unwrap().unwrap();
            assert_eq!(peer, stream.unwrap().local_address().unwrap());
        }
    });
}

#[test]
fn an_interval_starts_anew_after_a_reset() {
    in_any_order(|| async {
        time::pause();
        let start = time::Instant::now();
        let mut ticks = interval(Duration::from_millis(10));
        ticks.tick().await;
        time::advance(Duration::from_millis(7)).await;
        ticks.reset();
        ticks.tick().await;
        assert_eq!(start.elapsed(), Duration::from_millis(17));
        ticks.reset_at(start + Duration::from_millis(40));
        ticks.tick().await;
        ticks.tick().await;
        assert_eq!(start.elapsed(), Duration::from_millis(50));
    });
}

#[test]
fn a_select_that_is_dropped_at_any_await_loses_no_message() {
    for polls in 0..6 {
        run(async move {
            let (sender, mut receiver) = mpsc::channel(1);
            spawn(async move {
                for number in 0..5 {
                    sender.send(number).await.unwrap();
                    yield_now().await;
                }
            })
            .detach();
            let mut seen = Vec::new();
            loop {
                let mut both = Box::pin(select(receiver.recv(), turns(5)));
                let mut ended = None;
                for _ in 0..=polls {
                    ended = poll_once(both.as_mut()).await;
                    if ended.is_some() {
                        break;
                    }
                    yield_now().await;
                }
                drop(both);
                match ended {
                    Some(Either::First(Some(number))) => seen.push(number),
                    Some(Either::First(None)) => break,
                    Some(Either::Second(())) | None => yield_now().await,
                }
            }
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        });
    }
}

#[test]
fn a_select_polls_no_branch_after_it_was_ready() {
    in_any_order(|| async {
        let ended = Rc::new(Cell::new(0));
        let once = |ended: Rc<Cell<u32>>| {
            poll_fn(move |_| {
                ended.set(ended.get() + 1);
                Poll::Ready(())
            })
        };
        for _ in 0..100 {
            ended.set(0);
            select3(
                once(ended.clone()),
                once(ended.clone()),
                once(ended.clone()),
            )
            .await;
            assert_eq!(ended.get(), 1);
        }
    });
}
