//! Several futures in one task.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::support::runtime::{count_drop, turns};
use crate::support::seeds::{MANY, dice, dropped_after, under_seeds};
use waterwheel::runtime::sync::{Semaphore, mpsc};
use waterwheel::runtime::{
    join, join_all, race, select, select_slice, select3, select4, spawn, try_join, try_join_all,
    yield_now,
};

/// Each branch receives from a channel of its own. A branch that loses, or that is dropped with the others, takes no
/// message.
#[test]
fn a_select_of_any_form_that_is_dropped_anywhere_loses_no_message() {
    under_seeds(MANY, |seed| async move {
        let mut dice = dice(seed);
        let (ends, mut channels): (Vec<_>, Vec<_>) = (0..4).map(|_| mpsc::channel(1)).unzip();
        for (of, sender) in (0..).zip(ends) {
            let rolls: Vec<_> = (0..5).map(|_| dice(3)).collect();
            spawn(async move {
                for (number, pause) in (0..).zip(rolls) {
                    turns(pause).await;
                    sender.send(of * 10 + number).await.unwrap();
                }
            })
            .detach();
        }
        let mut seen = [0_u32; 4];
        let mut open = 20;
        while open > 0 {
            let [a, b, c, d] = &mut channels[..] else {
                unreachable!("there are four channels")
            };
            let polls = dice(4);
            let received = match dice(5) {
                0 => dropped_after(polls, race(a.recv(), b.recv())).await,
                1 => dropped_after(polls, select(c.recv(), d.recv()))
                    .await
                    .map(waterwheel::runtime::Either::into_inner),
                2 => dropped_after(polls, select3(b.recv(), c.recv(), a.recv()))
                    .await
                    .map(waterwheel::runtime::Either3::into_inner),
                3 => dropped_after(polls, select4(a.recv(), b.recv(), c.recv(), d.recv()))
                    .await
                    .map(waterwheel::runtime::Either4::into_inner),
                _ => {
                    let mut slice = [Box::pin(d.recv()), Box::pin(a.recv())];
                    let first = dropped_after(polls, select_slice(&mut slice)).await;
                    first.map(|(_, message)| message)
                }
            };
            match received {
                Some(Some(message)) => {
                    let (of, number) = (message as usize / 10, message % 10);
                    assert_eq!(number, seen[of]);
                    seen[of] += 1;
                    open -= 1;
                }
                // The end of a channel, which is ready at once and for ever.
                Some(None) | None => yield_now().await,
            }
        }
        assert_eq!(seen, [5; 4]);
    });
}

type Part = Pin<Box<dyn Future<Output = Result<(), ()>>>>;

/// A join is not cancel safe: it loses the values of the futures that have ended. But it leaks none of them.
#[test]
fn a_join_of_any_form_that_is_dropped_anywhere_drops_each_of_its_futures_once() {
    under_seeds(MANY, |seed| async move {
        let (mut after, mut dice) = (dice(seed + 1), dice(seed));
        let drops = Rc::new(Cell::new(0));
        let permits = Rc::new(Semaphore::new(2));
        let made = RefCell::new(0);
        let mut part = |fails: bool| -> Part {
            *made.borrow_mut() += 1;
            let (held, permits, polls) = (count_drop(&drops), permits.clone(), dice(4));
            Box::pin(async move {
                let _held = held;
                let _permit = permits.acquire().await;
                turns(polls).await;
                if fails { Err(()) } else { Ok(()) }
            })
        };
        let forms: [Pin<Box<dyn Future<Output = ()>>>; 4] = [
            {
                let both = join(part(false), part(true));
                Box::pin(async move { _ = both.await })
            },
            {
                let all = join_all([part(false), part(false), part(true)]);
                Box::pin(async move { _ = all.await })
            },
            {
                let both = try_join(part(false), part(true));
                Box::pin(async move { _ = both.await })
            },
            {
                let all = try_join_all([part(false), part(true), part(false)]);
                Box::pin(async move { _ = all.await })
            },
        ];
        let rolls: Vec<_> = (0..4).map(|_| after(11)).collect();
        let tasks: Vec<_> = forms
            .into_iter()
            .zip(rolls)
            .map(|(form, polls)| spawn(async move { _ = dropped_after(polls, form).await }))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((drops.get(), permits.available_permits()), (made.take(), 2));
    });
}
