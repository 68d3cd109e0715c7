//! A hierarchical timing wheel: all timers of a runtime, roughly sorted by deadline.
//!
//! The wheel is a pure data structure and reads no clock. A *tick* is 1/32 of a millisecond, counted from an
//! origin that the owner of the wheel chooses. Time passes only in [`Wheel::advance`]. Arming and disarming a
//! timer cost the same with ten timers as with a million.
//!
//! # How it works
//!
//! There are eleven levels of 64 slots. A slot of level 0 is one tick wide. A slot of any other level is as
//! wide as the whole level below it:
//!
//! ```text
//! level   one slot   all 64
//!   0      31 µs       2 ms      ┌┬┬┬┬┬┬┬┐   a slot here holds one tick: it fires
//!   1       2 ms     128 ms      ├┼┼┼┼┼┼┼┤ ↑
//!   2     128 ms       8.2 s     ├┼┼┼┼┼┼┼┤ │ at the first tick of a slot here,
//!   3     8.2 s        8.7 min   ├┼┼┼┼┼┼┼┤ │ its timers move to the levels below
//!   4     8.7 min      9.3 h     ├┼┼┼┼┼┼┼┤ │ (it cascades)
//!   5     9.3 h       25 days    ├┼┼┼┼┼┼┼┤ │
//!   ⋮                            └┴┴┴┴┴┴┴┘ │ eleven levels hold any u64
//! ```
//!
//! The level of a timer is chosen by the highest bit in which its deadline differs from the present tick: six
//! bits for each level. So all timers of level 0 are earlier than those of level 1, and so on upwards. The
//! next slot is the first occupied one on the lowest occupied level. A bitmap for each level finds it in two
//! instructions, however far away it is. A timer moves down at most once for each level.
//!
//! ```text
//! present tick 100 = 000001 100100    deadline 130 = 000010 000010: differs in level 1, slot 2
//!                   level 1 level 0   at tick 128 that slot cascades: level 0, slot 2
//! ```
//!
//! Seven levels are enough for four years. Four more levels cost 1.3 KiB, and then every deadline has a slot.
//! So late deadlines are no special case, and a jump of the clock has no cost.
//!
//! The timers are stored in one vector. A slot is a circular, doubly linked list through this vector, by
//! index. The vacant entries are one more such list. A key has the number of the insertion beside the index,
//! so a stale key finds no timer.
//!
//! **Memory.** An entry takes 40 bytes. Vacant entries at the end of the vector are dropped at once. When the
//! length of the vector is a quarter of its capacity, the vector shrinks to twice its length. Low entries are
//! filled first. So after a burst, the remaining timers move to lower entries as they are armed again, and the
//! rest of the memory is freed.
//!
//! # Invariants
//!
//! - Always: a timer fires at the first [`advance`](Wheel::advance) to its deadline or to a later tick.
//! - Always: timers fire in order of deadline, and timers with the same deadline in order of insertion.
//! - Always: every occupied slot begins after the present tick, except the present slot of level 0. That slot
//!   has the timers that were due when they were inserted.
//! - Always: the deadline of a timer and the present tick have the same bits above those of the timer's level.
//! - Never: a waker woken, cloned or dropped by the wheel. It returns the wakers that it removes.

use std::task::Waker;

use crate::points;

const SLOT_BITS: u32 = 6;
const SLOTS: u32 = 1 << SLOT_BITS;
const SLOT_MASK: u64 = 63;
const LEVELS: u32 = u64::BITS.div_ceil(SLOT_BITS);

/// The number of the list of vacant entries. It follows the lists of the slots.
const VACANT: u32 = LEVELS * SLOTS;

/// The head of an empty list.
const NONE: u32 = u32::MAX;

/// The vector never shrinks below this many entries.
const CAPACITY_MIN: usize = 64;

const _: () = assert!(size_of::<Entry>() <= 40 && size_of::<Key>() == 8);

/// The name of one armed timer. It is stale when the timer has fired or was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// Eleven levels of 64 slots of timers.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The present tick. It only grows.
    now_tick: u64,
    /// One bit for each level that has a timer. Each turn searches for the next slot twice. // LOG R16
    levels: u32,
    /// One bit for each slot that has a timer.
    occupied: [u64; LEVELS as usize],
    /// The first entry of each list: the slots, level by level, then the vacant entries.
    heads: [u32; VACANT as usize + 1],
    entries: Vec<Entry>,
    /// The number of armed timers.
    len: usize,
    /// The number of insertions. The wheel has it, not the entry, so that entries can be freed and their keys
    /// stay stale. Two keys are equal only if exactly 2³² insertions lie between them.
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    deadline_tick: u64,
    /// `None` if and only if the entry is vacant.
    waker: Option<Waker>,
    previous: u32,
    next: u32,
    generation: u32,
    /// The list that it is in.
    list: u32,
}

/// An occupied slot and the tick at which it begins.
struct Upcoming {
    level: u32,
    list: u32,
    tick: u64,
}

impl Wheel {
    /// Makes an empty wheel at tick 0.
    pub(crate) fn new() -> Self {
        Self {
            now_tick: 0,
            levels: 0,
            occupied: [0; LEVELS as usize],
            heads: [NONE; VACANT as usize + 1],
            entries: Vec::new(),
            len: 0,
            generation: 0,
        }
    }

    /// Returns the number of armed timers.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns true if no timer is armed.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Arms a timer. If the deadline has passed, the timer fires at the next [`advance`](Self::advance).
    ///
    /// # Panics
    ///
    /// Panics if 2³² − 1 timers are armed.
    pub(crate) fn insert(&mut self, deadline_tick: u64, waker: Waker) -> Key {
        let index = self.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        self.len += 1;
        let generation = self.generation;
        let entry = self.entry_mut(index);
        entry.deadline_tick = deadline_tick;
        entry.waker = Some(waker);
        entry.generation = generation;
        self.link_last(index, self.slot_of(deadline_tick));
        Key { index, generation }
    }

    /// Disarms a timer. Returns its waker, or `None` if it has fired or was removed.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Waker> {
        self.alive(key)?;
        self.unlink(key.index);
        self.vacate(key.index)
    }

    /// Moves a timer to another deadline. Its key and its waker stay. Has no effect if it has fired or
    /// was removed.
    pub(crate) fn reschedule(&mut self, key: Key, deadline_tick: u64) {
        if self.alive(key).is_some() {
            self.unlink(key.index);
            self.entry_mut(key.index).deadline_tick = deadline_tick;
            self.link_last(key.index, self.slot_of(deadline_tick));
        }
    }

    /// Returns the tick at which a timer is due, or `None` if it has fired or was removed.
    #[cfg(test)]
    pub(crate) fn deadline(&self, key: Key) -> Option<u64> {
        self.alive(key).map(|entry| entry.deadline_tick)
    }

    /// Returns the waker of a timer, or `None` if it has fired or was removed.
    pub(crate) fn waker(&self, key: Key) -> Option<&Waker> {
        self.alive(key)?.waker.as_ref()
    }

    /// Disarms all timers, and returns their wakers.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = Waker> + use<> {
        // The number of insertions stays, so that old keys stay stale.
        let empty = Self {
            generation: self.generation,
            now_tick: self.now_tick,
            ..Self::new()
        };
        let entries = std::mem::replace(self, empty).entries;
        entries.into_iter().filter_map(|entry| entry.waker)
    }

    /// Returns the tick at which to call [`advance`](Self::advance) next, or `None` if no timer is armed.
    ///
    /// This tick is never later than the earliest deadline. It is earlier if a slot must cascade first: at most
    /// once for each level that a timer moves down.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.upcoming().map(|slot| slot.tick)
    }

    /// Returns the earliest deadline, if it is no later than `limit_tick`.
    ///
    /// This cascades the slots that begin before that deadline. So the present may move to that deadline, or to the
    /// limit.
    pub(crate) fn deadline_until(&mut self, limit_tick: u64) -> Option<u64> {
        while let Some(slot) = self.upcoming().filter(|slot| slot.tick <= limit_tick) {
            if slot.level == 0 {
                return Some(slot.tick);
            }
            if let Some(deadline_tick) = self.only_deadline(slot.list) {
                return (deadline_tick <= limit_tick).then_some(deadline_tick);
            }
            // Of any other slot above level 0, only the first possible deadline is known.
            self.cascade(slot.list, limit_tick);
        }
        None
    }

    /// Moves the present to `now_tick`, and appends the wakers of all due timers to `due`, the earliest
    /// deadline first. If `now_tick` is earlier than the present, the present stays.
    ///
    /// The cost grows with the number of timers that fire or move down, not with the number of ticks.
    pub(crate) fn advance(&mut self, now_tick: u64, due: &mut Vec<Waker>) {
        let now_tick = now_tick.max(self.now_tick);
        while let Some(slot) = self.upcoming().filter(|slot| slot.tick <= now_tick) {
            // The slots come in order of their beginnings, and a slot of level 0 is one tick wide. So the
            // timers fire in order of their deadlines.
            if slot.level == 0 {
                self.now_tick = slot.tick;
                while let Some(index) = self.unlink_first(slot.list) {
                    points::timer_is_due(|| self.entry(index).deadline_tick);
                    due.extend(self.vacate(index));
                }
            } else if let Some(deadline_tick) = self.only_deadline(slot.list)
                && deadline_tick <= now_tick
            {
                // A single timer is the earliest one, so it need not cascade.
                self.now_tick = deadline_tick;
                let only = self.unlink_first(slot.list);
                points::timer_is_due(|| deadline_tick);
                due.extend(only.and_then(|index| self.vacate(index)));
            } else {
                self.cascade(slot.list, now_tick);
            }
        }
        self.now_tick = now_tick;
    }

    /// Changes the unit of time: a tick becomes `parts` shorter ticks. So this multiplies the present and all
    /// deadlines. Keys and wakers stay.
    pub(crate) fn divide_ticks(&mut self, parts: u64) {
        let mut timers = Vec::with_capacity(self.len);
        // Timers with the same deadline are in the same slot, so they keep their order.
        for list in 0..VACANT {
            timers.extend(std::iter::from_fn(|| self.unlink_first(list)));
        }
        self.now_tick = self.now_tick.saturating_mul(parts);
        for index in timers {
            let deadline_tick = self.entry(index).deadline_tick.saturating_mul(parts);
            self.entry_mut(index).deadline_tick = deadline_tick;
            self.link_last(index, self.slot_of(deadline_tick));
        }
    }

    /// Returns the deadline of the timer in a slot, if it is the only one there.
    fn only_deadline(&self, list: u32) -> Option<u64> {
        let first = self.heads[list as usize];
        let entry = self.entry(first);
        (entry.next == first).then_some(entry.deadline_tick)
    }

    /// Moves the timers of the first occupied slot to lower levels, and the present to the earliest of their
    /// deadlines, but not beyond `limit_tick`.
    fn cascade(&mut self, list: u32, limit_tick: u64) {
        let first = self.heads[list as usize];
        let mut earliest_tick = limit_tick;
        let mut index = first;
        loop {
            let entry = self.entry(index);
            earliest_tick = earliest_tick.min(entry.deadline_tick);
            index = entry.next;
            if index == first {
                break;
            }
        }
        // Not only to the beginning of the slot: then the next timers would pass through each level below.
        self.now_tick = earliest_tick;
        while let Some(index) = self.unlink_first(list) {
            let deadline_tick = self.entry(index).deadline_tick;
            self.link_last(index, self.slot_of(deadline_tick));
        }
    }

    /// Returns the first occupied slot on the lowest occupied level.
    fn upcoming(&self) -> Option<Upcoming> {
        Self::count_step();
        if self.levels == 0 {
            return None;
        }
        // No later level can have an earlier timer, because each level ends before the next one begins.
        let level = self.levels.trailing_zeros();
        let slot = self.occupied[level as usize].trailing_zeros();
        let shift = SLOT_BITS * level;
        let first_slot = (self.now_tick >> shift) & !SLOT_MASK;
        let tick = (first_slot | u64::from(slot)) << shift;
        Some(Upcoming {
            level,
            list: level * SLOTS + slot,
            tick,
        })
    }

    /// Returns the list of the slot for a deadline.
    fn slot_of(&self, deadline_tick: u64) -> u32 {
        let tick = deadline_tick.max(self.now_tick);
        // `| 1` maps "no bit differs" to level 0, because the logarithm of zero does not exist.
        let highest_bit = ((self.now_tick ^ tick) | 1).ilog2();
        let level = highest_bit / SLOT_BITS;
        let slot = (tick >> (SLOT_BITS * level)) & SLOT_MASK;
        level * SLOTS + slot as u32
    }
}

/// The entries: their allocation and their release.
impl Wheel {
    fn entry(&self, index: u32) -> &Entry {
        Self::count_step();
        &self.entries[index as usize]
    }

    fn entry_mut(&mut self, index: u32) -> &mut Entry {
        Self::count_step();
        &mut self.entries[index as usize]
    }

    /// Counts a step. A test holds that the cost of a timer does not depend on the number of timers.
    #[cfg(test)]
    fn count_step() {
        tests::STEPS.set(tests::STEPS.get() + 1);
    }

    #[cfg(not(test))]
    fn count_step() {}

    /// Returns the entry of a timer, or `None` if the key is stale.
    fn alive(&self, key: Key) -> Option<&Entry> {
        let entry = self.entries.get(key.index as usize)?;
        (entry.generation == key.generation && entry.waker.is_some()).then_some(entry)
    }

    /// Returns an entry that is in no list. Prefers the first vacant one, which usually has a low index.
    fn vacant_entry(&mut self) -> u32 {
        if let Some(index) = self.unlink_first(VACANT) {
            return index;
        }
        let index = self.end();
        assert!(index < NONE, "too many timers");
        self.entries.push(Entry {
            deadline_tick: 0,
            waker: None,
            previous: NONE,
            next: NONE,
            generation: 0,
            list: 0,
        });
        index
    }

    /// Returns the index after the last entry.
    fn end(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("indices are 32 bits wide")
    }

    /// Takes the waker out of an entry that is in no list, and makes the entry vacant.
    fn vacate(&mut self, index: u32) -> Option<Waker> {
        self.len -= 1;
        let waker = self.entry_mut(index).waker.take();
        // A full sort would cost more. This one comparison keeps the lowest entry in front, and that is enough
        // for high entries to fall out of use.
        let lowest = index < self.heads[VACANT as usize];
        self.link_last(index, VACANT);
        if lowest {
            self.heads[VACANT as usize] = index;
        }
        self.give_back();
        waker
    }

    /// Drops the vacant entries at the end of the vector. Each entry is pushed once and dropped once, so the
    /// cost per timer is constant.
    fn give_back(&mut self) {
        while self
            .entries
            .last()
            .is_some_and(|entry| entry.waker.is_none())
        {
            self.unlink(self.end() - 1);
            self.entries.pop();
        }
        // A quarter and twice: between two changes of the capacity lie many insertions or removals.
        let capacity = self.entries.capacity();
        if self.entries.len() <= capacity / 4 && capacity > CAPACITY_MIN {
            self.entries
                .shrink_to((self.entries.len() * 2).max(CAPACITY_MIN));
        }
    }
}

/// The lists. They are circular, so that the last entry is the one before the first, and a head is enough.
impl Wheel {
    /// Appends an entry to a list.
    fn link_last(&mut self, index: u32, list: u32) {
        self.entry_mut(index).list = list;
        let first = self.heads[list as usize];
        if first == NONE {
            self.set_head(list, index);
            return self.join(index, index);
        }
        self.join(self.entry(first).previous, index);
        self.join(index, first);
    }

    /// Removes an entry from its list.
    fn unlink(&mut self, index: u32) {
        let Entry {
            previous,
            next,
            list,
            ..
        } = *self.entry(index);
        if next == index {
            return self.set_head(list, NONE);
        }
        self.join(previous, next);
        if self.heads[list as usize] == index {
            self.heads[list as usize] = next;
        }
    }

    fn unlink_first(&mut self, list: u32) -> Option<u32> {
        let first = self.heads[list as usize];
        if first == NONE {
            return None;
        }
        self.unlink(first);
        Some(first)
    }

    /// Fills an empty list, or empties a list of one entry. Both bitmaps follow.
    fn set_head(&mut self, list: u32, head: u32) {
        self.heads[list as usize] = head;
        let level = list / SLOTS;
        if let Some(slots) = self.occupied.get_mut(level as usize) {
            // The bit changes in both cases. The list of the vacant entries has no bit.
            *slots ^= 1 << (list % SLOTS);
            let is_occupied = u32::from(*slots != 0);
            self.levels = self.levels & !(1 << level) | is_occupied << level;
        }
    }

    /// Makes two entries neighbours.
    fn join(&mut self, previous: u32, next: u32) {
        self.entry_mut(previous).next = next;
        self.entry_mut(next).previous = previous;
    }
}

#[cfg(test)]
mod tests;
