//! The claims of stage 7.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use claims::in_time;
use solution_07::{Heap, Wheel, block_on, join, race, sleep, spawn};

/// Wakers that note their numbers.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<u64>>>);

struct Note {
    number: u64,
    notes: Notes,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.notes.0.lock().unwrap().push(self.number);
    }
}

impl Notes {
    fn waker(&self, number: u64) -> Waker {
        Waker::from(Arc::new(Note {
            number,
            notes: self.clone(),
        }))
    }

    /// Wakes all, and returns their numbers.
    fn wake(&self, due: Vec<Waker>) -> Vec<u64> {
        due.into_iter().for_each(Waker::wake);
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Calls `advance`, and returns the numbers of the timers that fire.
fn fired(notes: &Notes, advance: impl FnOnce(&mut Vec<Waker>)) -> Vec<u64> {
    let mut due = Vec::new();
    advance(&mut due);
    notes.wake(due)
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

#[test]
fn todo_1_and_2_a_heap_fires_in_order_of_deadline() {
    in_time(|| {
        let notes = Notes::default();
        let mut heap = Heap::default();
        assert_eq!(heap.next_deadline(), None);
        for tick in [30, 10, 20, 10_000] {
            heap.insert(tick, notes.waker(tick));
        }
        assert_eq!(heap.next_deadline(), Some(10));
        assert_eq!(fired(&notes, |due| heap.advance(9, due)), [0; 0]);
        assert_eq!(fired(&notes, |due| heap.advance(20, due)), [10, 20]);
        assert_eq!(heap.next_deadline(), Some(30));
        assert_eq!(heap.len(), 2);
    });
}

#[test]
fn todo_3_to_5_a_wheel_fires_in_order_of_deadline() {
    in_time(|| {
        let notes = Notes::default();
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next_deadline(), None);
        for tick in [30, 10, 20, 10_000] {
            wheel.insert(tick, notes.waker(tick));
        }
        assert_eq!(wheel.next_deadline(), Some(10));
        assert_eq!(fired(&notes, |due| wheel.advance(9, due)), [0; 0]);
        assert_eq!(fired(&notes, |due| wheel.advance(20, due)), [10, 20]);
        assert_eq!(fired(&notes, |due| wheel.advance(9_999, due)), [30]);
        assert_eq!(fired(&notes, |due| wheel.advance(10_000, due)), [10_000]);
        assert!(wheel.is_empty());
    });
}

#[test]
fn todo_3_to_5_a_timer_in_the_past_fires_at_the_next_advance() {
    in_time(|| {
        let notes = Notes::default();
        let mut wheel = Wheel::new();
        wheel.advance(1_000, &mut Vec::new());
        wheel.insert(5, notes.waker(5));
        assert!(wheel.next_deadline().is_some_and(|tick| tick <= 1_000));
        assert_eq!(fired(&notes, |due| wheel.advance(1_000, due)), [5]);
    });
}

/// The difference that decides: most timers are timeouts, and most timeouts are cancelled.
#[test]
fn todo_3_to_5_a_wheel_forgets_a_timer_that_was_removed() {
    in_time(|| {
        let notes = Notes::default();
        let mut wheel = Wheel::new();
        for _ in 0..100_000 {
            let key = wheel.insert(30_000, notes.waker(1));
            assert!(wheel.remove(key).is_some());
            assert!(wheel.remove(key).is_none());
        }
        assert!(wheel.is_empty());
        assert_eq!(fired(&notes, |due| wheel.advance(30_000, due)), [0; 0]);
    });
}

#[test]
fn todo_3_to_5_a_stale_key_removes_no_other_timer() {
    in_time(|| {
        let notes = Notes::default();
        let mut wheel = Wheel::new();
        let old = wheel.insert(5, notes.waker(1));
        assert_eq!(fired(&notes, |due| wheel.advance(5, due)), [1]);
        wheel.insert(7, notes.waker(2));
        assert!(wheel.remove(old).is_none());
        assert_eq!(fired(&notes, |due| wheel.advance(7, due)), [2]);
    });
}

#[test]
fn todo_3_to_5_the_next_deadline_of_a_wheel_is_never_too_late() {
    in_time(|| {
        let notes = Notes::default();
        let mut wheel = Wheel::new();
        for tick in [1, 63, 64, 65, 4_095, 4_096, 300_000, u64::MAX] {
            wheel.insert(tick, notes.waker(tick));
            let mut cascades = 0;
            // Each step is a cascade or fires the timer: at most one for each of the eleven levels.
            while let Some(next) = wheel.next_deadline() {
                assert!(next <= tick);
                cascades += 1;
                assert!(cascades <= 11);
                let woken = fired(&notes, |due| wheel.advance(next, due));
                assert_eq!(woken.is_empty(), !wheel.is_empty());
            }
            wheel = Wheel::new();
        }
    });
}

#[test]
fn todo_1_to_5_heap_and_wheel_fire_the_same_timers() {
    in_time(|| {
        let (mut heap, mut wheel) = (Heap::default(), Wheel::new());
        let (of_heap, of_wheel) = (Notes::default(), Notes::default());
        let mut dice = Dice(7);
        let mut now = 0;
        for number in 0..20_000 {
            let reach = [10, 1_000, 100_000][dice.roll(3) as usize];
            let tick = now + dice.roll(reach);
            heap.insert(tick, of_heap.waker(number));
            wheel.insert(tick, of_wheel.waker(number));
            if dice.roll(10) == 0 {
                now += dice.roll(500);
                let mut by_heap = fired(&of_heap, |due| heap.advance(now, due));
                let mut by_wheel = fired(&of_wheel, |due| wheel.advance(now, due));
                by_heap.sort_unstable();
                by_wheel.sort_unstable();
                assert_eq!(by_heap, by_wheel);
            }
        }
        assert_eq!(heap.len(), wheel.len());
    });
}

#[test]
fn todo_3_to_7_a_sleep_takes_its_time() {
    in_time(|| {
        let begin = Instant::now();
        block_on(sleep(Duration::from_millis(30)));
        assert!(begin.elapsed() >= Duration::from_millis(30));
    });
}

#[test]
fn todo_3_to_7_10000_tasks_sleep_on_one_thread() {
    in_time(|| {
        let order = Rc::new(RefCell::new(Vec::new()));
        block_on(async {
            let mut handles = Vec::new();
            for number in 0..10_000_u64 {
                let order = order.clone();
                handles.push(spawn(async move {
                    let millis = 40 * (number % 3);
                    sleep(Duration::from_millis(millis)).await;
                    order.borrow_mut().push(millis);
                }));
            }
            for handle in handles {
                handle.await.unwrap();
            }
        });
        assert_eq!(order.borrow().len(), 10_000);
        assert!(order.borrow().first() == Some(&0) && order.borrow().last() == Some(&80));
    });
}

#[test]
fn todo_6_and_7_a_short_sleep_ends_before_a_long_one() {
    in_time(|| {
        let begin = Instant::now();
        block_on(async {
            let long = sleep(Duration::from_secs(60));
            race(join(sleep(Duration::from_millis(20)), async {}), async {
                long.await;
                ((), ())
            })
            .await;
        });
        assert!(begin.elapsed() < Duration::from_secs(5));
    });
}
