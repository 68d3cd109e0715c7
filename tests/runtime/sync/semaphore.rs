//! Claims about permits and locks.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use super::{poll, waiting};
use crate::support::runtime::{OnDrop, soon};
use crate::support::seeds::in_any_order;
use waterwheel::runtime::sync::{Mutex, Semaphore};
use waterwheel::runtime::{join_all, spawn, yield_now};

#[test]
fn permits_are_granted_in_the_order_of_the_waits() {
    let semaphore = Semaphore::new(1);
    let first = semaphore.try_acquire().unwrap();
    let mut second = waiting(semaphore.acquire());
    let mut third = waiting(semaphore.acquire());
    drop(first);
    // The permit belongs to the second, so a later caller cannot take it.
    assert!(semaphore.try_acquire().is_none());
    assert!(poll(third.as_mut()).is_none());
    let second = poll(second.as_mut()).unwrap();
    drop(second);
    assert!(poll(third.as_mut()).is_some());
}

#[test]
fn small_requests_do_not_overtake_a_large_one() {
    let semaphore = Semaphore::new(3);
    let one = semaphore.try_acquire().unwrap();
    let mut large = waiting(semaphore.acquire_many(3));
    assert!(semaphore.try_acquire().is_none());
    let mut small = waiting(semaphore.acquire());
    drop(one);
    let large = poll(large.as_mut()).unwrap();
    assert!(poll(small.as_mut()).is_none());
    drop(large);
    assert!(poll(small.as_mut()).is_some());
}

#[test]
fn a_large_request_that_leaves_lets_the_small_ones_behind_it_in() {
    let semaphore = Semaphore::new(2);
    let _one = semaphore.try_acquire().unwrap();
    let large = waiting(semaphore.acquire_many(2));
    let mut small = waiting(semaphore.acquire());
    drop(large);
    assert!(poll(small.as_mut()).is_some());
}

#[test]
fn a_permit_that_was_granted_to_a_dropped_future_goes_on() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let first = waiting(semaphore.acquire());
    let second = waiting(semaphore.acquire());
    let mut third = waiting(semaphore.acquire());
    drop(held);
    drop(first);
    drop(second);
    drop(poll(third.as_mut()).unwrap());
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn forgotten_permits_are_gone_and_added_ones_are_there() {
    let semaphore = Rc::new(Semaphore::new(2));
    semaphore.try_acquire().unwrap().forget();
    assert_eq!(semaphore.available_permits(), 1);
    let owned = poll(pin!(semaphore.clone().acquire_owned())).unwrap();
    let mut waiter = waiting(semaphore.acquire());
    semaphore.add_permits(1);
    assert!(poll(waiter.as_mut()).is_some());
    drop(waiter);
    drop(owned);
    assert_eq!(semaphore.available_permits(), 2);
    let zero = poll(pin!(semaphore.acquire_many(0)));
    assert!(zero.is_some());
}

#[test]
fn a_mutex_lets_one_task_in_at_a_time_and_a_panic_unlocks_it() {
    in_any_order(|| async {
        let mutex = Rc::new(Mutex::new(0));
        let inside = Rc::new(Cell::new(false));
        let task = |panics: bool| {
            let (mutex, inside) = (mutex.clone(), inside.clone());
            spawn(async move {
                let mut value = mutex.lock().await;
                assert!(!inside.replace(true), "two tasks are inside");
                let _left = OnDrop(|| inside.set(false));
                yield_now().await;
                assert!(!panics, "on purpose");
                *value += 1;
            })
        };
        let tasks: Vec<_> = (0..6).map(|number| task(number % 3 == 0)).collect();
        let ended = soon(join_all(tasks)).await;
        assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 2);
        assert_eq!(*mutex.try_lock().unwrap(), 4);
    });
}

#[test]
fn a_locked_mutex_prints_without_its_value() {
    let mut mutex = Mutex::new(7);
    assert_eq!(format!("{mutex:?}"), "Mutex(RefCell { value: 7 })");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(
        format!("{guard:?} {mutex:?}"),
        "7 Mutex(RefCell { value: <borrowed> })"
    );
    drop(guard);
    *mutex.get_mut() = 8;
    assert_eq!(mutex.into_inner(), 8);
}

#[test]
fn a_permit_that_comes_back_to_a_full_semaphore_does_not_panic() {
    let semaphore = Rc::new(Semaphore::new(usize::MAX));
    let permit = semaphore.try_acquire().unwrap();
    let owned = poll(pin!(semaphore.clone().acquire_owned())).unwrap();
    semaphore.add_permits(2);
    drop((permit, owned));
    assert_eq!(semaphore.available_permits(), usize::MAX);
    let all = poll(pin!(semaphore.acquire_many(usize::MAX))).unwrap();
    assert!(semaphore.try_acquire().is_none());
    drop(all);
}
