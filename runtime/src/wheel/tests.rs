//! The wheel: row by row, beside a sorted map, and its cost in steps.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

thread_local! {
    /// The looks at an entry or for a slot.
    pub(super) static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Returns the number of steps that some work takes.
fn steps(work: impl FnOnce()) -> u64 {
    let before = STEPS.get();
    work();
    STEPS.get() - before
}

/// A wheel whose wakers record their numbers.
struct Trial {
    wheel: Wheel,
    woken: Arc<Mutex<Vec<u64>>>,
}

struct Note {
    number: u64,
    woken: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.woken
            .lock()
            .expect("no test panics while it holds the list")
            .push(self.number);
    }
}

impl Trial {
    fn new() -> Self {
        Self {
            wheel: Wheel::new(),
            woken: Arc::default(),
        }
    }

    fn at(tick: u64) -> Self {
        let mut trial = Self::new();
        assert_eq!(trial.advance(tick), [0; 0]);
        trial
    }

    fn waker(&self, number: u64) -> Waker {
        Arc::new(Note {
            number,
            woken: self.woken.clone(),
        })
        .into()
    }

    fn insert(&mut self, deadline_tick: u64, number: u64) -> Key {
        self.wheel.insert(deadline_tick, self.waker(number))
    }

    /// The numbers of the timers that fire, in order.
    fn advance(&mut self, now_tick: u64) -> Vec<u64> {
        let mut due = Vec::new();
        self.wheel.advance(now_tick, &mut due);
        self.wheel.check();
        due.into_iter().for_each(Waker::wake);
        std::mem::take(
            &mut self
                .woken
                .lock()
                .expect("no test panics while it holds the list"),
        )
    }

    /// Advances to `next_deadline` until a timer fires. Returns that tick, and the number of advances
    /// before it.
    fn advance_to_next(&mut self) -> (u64, u32) {
        for early in 0.. {
            let tick = self.wheel.next_deadline().expect("a timer is armed");
            if !self.advance(tick).is_empty() {
                return (tick, early);
            }
        }
        unreachable!("the loop has no end")
    }
}

impl Wheel {
    /// Panics if the lists, the bitmaps or the counts contradict each other.
    fn check(&self) {
        let mut linked = 0;
        for (list, &head) in (0..).zip(&self.heads) {
            let indices = self.indices(head);
            assert!(indices.iter().all(|&index| self.entry(index).list == list));
            assert!(
                indices
                    .iter()
                    .all(|&index| self.entry(index).waker.is_some() == (list != VACANT))
            );
            if let Some(slots) = self.occupied.get((list / SLOTS) as usize) {
                assert_eq!(
                    slots >> (list % SLOTS) & 1 == 1,
                    head != NONE,
                    "list {list}"
                );
                linked += indices.len();
            }
        }
        assert_eq!(linked, self.len);
        assert_eq!(
            linked + self.indices(self.heads[VACANT as usize]).len(),
            self.entries.len()
        );
    }

    fn indices(&self, head: u32) -> Vec<u32> {
        let mut indices = Vec::new();
        let mut index = head;
        while index != NONE && (indices.is_empty() || index != head) {
            assert_eq!(self.entry(self.entry(index).next).previous, index);
            indices.push(index);
            index = self.entry(index).next;
        }
        indices
    }
}

/// The first tick of each level above the lowest.
fn level_boundaries() -> impl Iterator<Item = u64> {
    (1..LEVELS).map(|level| 1 << (SLOT_BITS * level))
}

#[test]
fn an_empty_wheel_has_no_next_deadline() {
    let mut trial = Trial::new();
    assert_eq!(trial.wheel.next_deadline(), None);
    assert_eq!(trial.advance(u64::MAX), [0; 0]);
    assert!(trial.wheel.is_empty());
}

#[test]
fn a_timer_fires_at_its_deadline_and_not_before() {
    for deadline in level_boundaries().flat_map(|boundary| [boundary - 1, boundary, boundary + 1]) {
        for start in [
            0,
            1,
            63,
            64,
            4_095,
            (1 << 36) - 1,
            1 << 36,
            (1 << 40) + 12_345,
        ] {
            let mut trial = Trial::at(start);
            trial.insert(start + deadline, 1);
            assert_eq!(
                trial.advance(start + deadline - 1),
                [0; 0],
                "{start} + {deadline}"
            );
            assert_eq!(trial.advance(start + deadline), [1], "{start} + {deadline}");
            assert!(trial.wheel.is_empty());
        }
    }
}

#[test]
fn timers_fire_in_order_of_deadline_whatever_the_order_of_insertion() {
    let mut trial = Trial::new();
    for deadline in level_boundaries().flat_map(|boundary| [boundary + 1, boundary - 1, boundary]) {
        trial.insert(deadline, deadline);
    }
    let fired = trial.advance(u64::MAX);
    assert_eq!(fired.len(), 30);
    assert!(fired.is_sorted());
}

#[test]
fn ten_thousand_timers_with_one_deadline_fire_in_order_of_insertion() {
    for deadline in [5, 100, 5_000, 300_000] {
        let mut trial = Trial::new();
        for number in 0..5_000 {
            trial.insert(deadline, number);
        }
        assert_eq!(trial.advance(deadline - 1), [0; 0]);
        for number in 5_000..10_000 {
            trial.insert(deadline, number);
        }
        assert_eq!(trial.advance(deadline), (0..10_000).collect::<Vec<_>>());
    }
}

#[test]
fn a_deadline_that_has_passed_fires_at_the_next_advance() {
    let mut trial = Trial::at(1_000);
    trial.insert(1_000, 1);
    trial.insert(0, 2);
    assert_eq!(trial.wheel.next_deadline(), Some(1_000));
    assert_eq!(trial.advance(1_000), [1, 2]);
}

#[test]
fn time_does_not_run_backwards() {
    let mut trial = Trial::at(1_000);
    trial.insert(900, 1);
    trial.insert(1_001, 2);
    assert_eq!(trial.advance(500), [1]);
    assert_eq!(trial.advance(1_001), [2]);
}

#[test]
fn the_last_tick_has_a_slot() {
    for (start, deadline) in [
        (0, u64::MAX),
        (5, u64::MAX - 1),
        (1 << 63, u64::MAX),
        (u64::MAX - 1, u64::MAX),
    ] {
        let mut trial = Trial::at(start);
        trial.insert(deadline, 1);
        assert_eq!(trial.advance(deadline - 1), [0; 0]);
        assert_eq!(trial.advance(deadline), [1]);
    }
}

#[test]
fn the_next_deadline_wakes_early_at_most_once_for_each_level_that_the_timer_moves_down() {
    for boundary in level_boundaries() {
        for deadline in [boundary - 1, boundary, boundary + boundary / 3] {
            let mut trial = Trial::new();
            trial.insert(deadline, 1);
            let (tick, early) = trial.advance_to_next();
            assert_eq!(tick, deadline);
            assert!(
                early <= deadline.ilog2() / SLOT_BITS,
                "{early} times before {deadline}"
            );
        }
    }
}

#[test]
fn the_next_deadline_is_exact_within_the_first_level() {
    let mut trial = Trial::at(128);
    trial.insert(150, 2);
    trial.insert(140, 1);
    assert_eq!(trial.wheel.next_deadline(), Some(140));
}

#[test]
fn a_removed_timer_returns_its_waker_and_does_not_fire() {
    let mut trial = Trial::new();
    let keys: Vec<Key> = (0..4).map(|number| trial.insert(100, number)).collect();
    for index in [0, 3, 1] {
        assert!(trial.wheel.remove(keys[index]).is_some());
        trial.wheel.check();
    }
    assert_eq!(trial.wheel.len(), 1);
    assert_eq!(trial.advance(100), [2]);
}

#[test]
fn a_stale_key_finds_no_timer_even_when_its_entry_is_used_again() {
    let mut trial = Trial::new();
    let removed = trial.insert(10, 1);
    assert!(trial.wheel.remove(removed).is_some());
    let fired = trial.insert(10, 2);
    assert_eq!(trial.advance(10), [2]);
    let alive = trial.insert(20, 3);
    assert_eq!((removed.index, fired.index), (alive.index, alive.index));
    for stale in [removed, fired] {
        assert_eq!(trial.wheel.deadline(stale), None);
        assert!(trial.wheel.waker(stale).is_none());
        assert!(trial.wheel.remove(stale).is_none());
    }
    assert_eq!(trial.wheel.deadline(alive), Some(20));
    assert_eq!(trial.advance(20), [3]);
}

#[test]
fn the_memory_of_a_burst_is_freed() {
    let mut trial = Trial::new();
    for number in 0..10_000 {
        trial.insert(number, number);
    }
    assert!(trial.wheel.entries.capacity() >= 10_000);
    trial.advance(10_000);
    assert!(trial.wheel.entries.capacity() <= CAPACITY_MIN);
}

#[test]
fn the_memory_of_a_burst_is_freed_if_the_last_timers_are_armed_again() {
    let mut trial = Trial::new();
    let mut keys: Vec<Key> = (0..10_000)
        .map(|number| trial.insert(1_000, number))
        .collect();
    let mut survivors = keys.split_off(9_990);
    for key in keys {
        assert!(trial.wheel.remove(key).is_some());
    }
    for _ in 0..20 {
        for key in &mut survivors {
            let waker = trial.wheel.remove(*key).expect("the timer is armed");
            *key = trial.wheel.insert(1_000, waker);
        }
    }
    trial.wheel.check();
    assert!(
        trial.wheel.entries.capacity() <= 2 * CAPACITY_MIN,
        "{}",
        trial.wheel.entries.capacity()
    );
}

#[test]
fn a_wheel_that_is_warm_does_not_allocate() {
    let mut trial = Trial::new();
    for number in 0..100 {
        trial.insert(1 << 30, number);
    }
    let capacity = trial.wheel.entries.capacity();
    for number in 0..1_000 {
        let key = trial.insert(number, number);
        assert!(trial.wheel.remove(key).is_some());
    }
    assert_eq!(trial.wheel.entries.capacity(), capacity);
}

/// Arms this many timers within a minute, cancels a third, moves a third, and fires the rest. Returns the steps
/// that ten timers take for each of this, and the most for one insertion.
fn steps_of_ten(count: u64) -> [(&'static str, u64); 5] {
    const MINUTE_TICKS: u64 = 60 * 1_000 * 32;
    let mut wheel = Wheel::new();
    let deadline = |number: u64| number * 7_919 % MINUTE_TICKS; // a prime, so that no two are near
    let mut keys = Vec::new();
    let (mut inserting, mut most) = (0, 0);
    for number in 0..count {
        let steps = steps(|| keys.push(wheel.insert(deadline(number), Waker::noop().clone())));
        (inserting, most) = (inserting + steps, most.max(steps));
    }
    let cancelling = steps(|| {
        for key in keys.iter().step_by(3) {
            assert!(wheel.remove(*key).is_some());
        }
    });
    let moving = steps(|| {
        for (number, key) in (0..).zip(&keys).skip(1).step_by(3) {
            wheel.reschedule(*key, deadline(number + 1));
        }
    });
    // As a runtime does: each turn advances to the next deadline.
    let mut due = Vec::new();
    let firing = steps(|| {
        while let Some(tick) = wheel.next_deadline() {
            wheel.advance(tick, &mut due);
        }
    });
    let third = count / 3;
    assert_eq!(due.len() as u64, 2 * third);
    [
        ("insert", inserting * 10 / count),
        ("cancel", cancelling * 10 / third),
        ("move", moving * 10 / third),
        ("fire", firing * 10 / (2 * third)),
        ("the dearest insertion", most),
    ]
}

#[test]
fn a_timer_costs_the_same_with_a_hundred_timers_and_with_a_hundred_thousand() {
    let (few, many) = (steps_of_ten(99), steps_of_ten(99_999));
    for ((work, few), (_, many)) in few.into_iter().zip(many) {
        assert!(many <= few + few / 4, "{work}: {few} steps, then {many}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert { ticks_ahead: u64 },
    InsertOverdue { ticks_ago: u64 },
    Remove { choice: usize },
    Advance { ticks: u64 },
    AdvanceToNext,
}

/// Spans of every order of magnitude up to `bits`, and those around the level boundaries.
fn span_ticks(bits: u32) -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..bits, any::<u64>()).prop_map(|(shift, bits)| bits & ((2 << shift) - 1)),
        (1..LEVELS, 0..3_u64).prop_map(|(level, offset)| (1 << (SLOT_BITS * level)) - 1 + offset),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => span_ticks(24).prop_map(|ticks_ahead| Step::Insert { ticks_ahead }),
        2 => span_ticks(63).prop_map(|ticks_ahead| Step::Insert { ticks_ahead }),
        1 => span_ticks(63).prop_map(|ticks_ago| Step::InsertOverdue { ticks_ago }),
        3 => any::<usize>().prop_map(|choice| Step::Remove { choice }),
        3 => span_ticks(14).prop_map(|ticks| Step::Advance { ticks }),
        1 => span_ticks(42).prop_map(|ticks| Step::Advance { ticks }),
        2 => Just(Step::AdvanceToNext),
    ]
}

/// The expected timers: the numbers by deadline, as the wheel counts it, and then by insertion.
#[derive(Default)]
struct Model {
    now_tick: u64,
    numbers: u64,
    armed: BTreeMap<(u64, u64), Key>,
}

impl Model {
    fn insert(&mut self, trial: &mut Trial, deadline_tick: u64) {
        let key = trial.insert(deadline_tick, self.numbers);
        assert_eq!(trial.wheel.deadline(key), Some(deadline_tick));
        self.armed
            .insert((deadline_tick.max(self.now_tick), self.numbers), key);
        self.numbers += 1;
    }

    fn remove(&mut self, trial: &mut Trial, choice: usize) {
        let Some(nth) = choice.checked_rem(self.armed.len()) else {
            return;
        };
        let (&id, &key) = self.armed.iter().nth(nth).expect("within the length");
        self.armed.remove(&id);
        assert!(trial.wheel.remove(key).is_some());
        assert!(trial.wheel.remove(key).is_none());
    }

    fn advance(&mut self, trial: &mut Trial, now_tick: u64) {
        self.now_tick = now_tick;
        let later = self.armed.split_off(&(now_tick, u64::MAX));
        let due = std::mem::replace(&mut self.armed, later);
        let expected: Vec<u64> = due.into_keys().map(|(_, number)| number).collect();
        assert_eq!(trial.advance(now_tick), expected);
    }

    fn take(&mut self, trial: &mut Trial, step: &Step) {
        match *step {
            Step::Insert { ticks_ahead } => {
                self.insert(trial, self.now_tick.saturating_add(ticks_ahead));
            }
            Step::InsertOverdue { ticks_ago } => {
                self.insert(trial, self.now_tick.saturating_sub(ticks_ago));
            }
            Step::Remove { choice } => self.remove(trial, choice),
            Step::Advance { ticks } => self.advance(trial, self.now_tick.saturating_add(ticks)),
            Step::AdvanceToNext => {
                if let Some(tick) = trial.wheel.next_deadline() {
                    self.advance(trial, tick);
                }
            }
        }
    }

    fn compare(&self, trial: &Trial) {
        trial.wheel.check();
        assert_eq!(trial.wheel.len(), self.armed.len());
        let earliest = self.armed.keys().next().map(|&(tick, _)| tick);
        assert_eq!(trial.wheel.next_deadline().is_some(), earliest.is_some());
        assert!(trial.wheel.next_deadline() <= earliest);
        assert!(
            trial
                .wheel
                .next_deadline()
                .is_none_or(|tick| tick >= self.now_tick)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 250,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_wheel_does_what_a_sorted_map_would_do(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let (mut trial, mut model) = (Trial::new(), Model::default());
        for step in &steps {
            model.take(&mut trial, step);
            model.compare(&trial);
        }
        model.advance(&mut trial, u64::MAX);
        prop_assert!(trial.wheel.is_empty());
    }
}
