//! A hierarchical timing wheel: all timers, roughly sorted by deadline.
//!
//! There are eleven levels of 64 slots. A slot of level 0 is one tick wide. A slot of any other level is as wide as
//! the whole level below it:
//!
//! ```text
//! level   one slot          all 64
//!   0      1 tick            64 ticks
//!   1     64 ticks        4,096 ticks
//!   2  4,096 ticks      262,144 ticks
//!   ⋮   (eleven levels hold any u64)
//! ```
//!
//! The level of a timer is chosen by the highest bit in which its deadline differs from the present tick: six bits
//! for each level. So all timers of level 0 are earlier than those of level 1, and so on upwards.
//!
//! - Always: every occupied slot begins after the present tick, except the present slot of level 0.
//! - Never: a waker woken or dropped by the wheel. It returns the wakers that it removes.

use std::task::Waker;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_MASK: u64 = 63;
const LEVELS: usize = u64::BITS.div_ceil(SLOT_BITS) as usize;

/// The name of one armed timer. It is stale when the timer has fired or was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    index: usize,
    /// The number of the insertion. Without it, a stale key could find the next timer of the same entry.
    generation: u64,
}

/// Eleven levels of 64 slots of timers.
pub struct Wheel {
    /// The present tick. It only grows.
    now_tick: u64,
    /// For each level, one bit for each slot that has a timer.
    occupied: [u64; LEVELS],
    /// The timers of each slot, as indices of `entries`: the 64 slots of level 0, then those of level 1, and so on.
    slots: Vec<Vec<usize>>,
    /// The timers. A vacant entry is used for a later timer.
    entries: Vec<Option<Entry>>,
    vacant: Vec<usize>,
    generation: u64,
}

struct Entry {
    deadline_tick: u64,
    waker: Waker,
    generation: u64,
    /// The slot that it is in, and its position there.
    slot: usize,
    position: usize,
}

/// An occupied slot, and the tick at which it begins.
struct Upcoming {
    level: usize,
    slot: usize,
    tick: u64,
}

impl Wheel {
    /// Makes an empty wheel at tick 0.
    pub fn new() -> Self {
        Self {
            now_tick: 0,
            occupied: [0; LEVELS],
            slots: vec![Vec::new(); LEVELS * SLOTS],
            entries: Vec::new(),
            vacant: Vec::new(),
            generation: 0,
        }
    }

    /// Returns the number of armed timers.
    pub fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// Arms a timer. If the deadline has passed, the timer fires at the next [`advance`](Self::advance).
    pub fn insert(&mut self, deadline_tick: u64, waker: Waker) -> Key {
        self.generation += 1;
        let generation = self.generation;
        let entry = Some(Entry {
            deadline_tick,
            waker,
            generation,
            slot: 0,
            position: 0,
        });
        let index = match self.vacant.pop() {
            Some(index) => index,
            None => {
                self.entries.push(None);
                self.entries.len() - 1
            }
        };
        self.entries[index] = entry;
        self.link(index);
        Key { index, generation }
    }

    /// Disarms a timer. Returns its waker, or `None` if the timer has fired or was removed.
    pub fn remove(&mut self, key: Key) -> Option<Waker> {
        let entry = self.entries.get(key.index)?.as_ref()?;
        if entry.generation != key.generation {
            return None;
        }
        self.unlink(key.index);
        self.vacate(key.index)
    }

    /// Returns the tick at which to call [`advance`](Self::advance) next, or `None` if no timer is armed.
    ///
    /// This tick is never later than the earliest deadline. It is earlier if a slot must cascade first.
    pub fn next_deadline(&self) -> Option<u64> {
        self.upcoming().map(|slot| slot.tick)
    }

    /// Moves the present to `now_tick`, and appends the wakers of all due timers to `due`, the earliest deadline first.
    pub fn advance(&mut self, now_tick: u64, due: &mut Vec<Waker>) {
        while let Some(slot) = self.upcoming().filter(|slot| slot.tick <= now_tick) {
            self.now_tick = self.now_tick.max(slot.tick);
            while let Some(index) = self.slots[slot.slot].last().copied() {
                self.unlink(index);
                if slot.level == 0 {
                    due.extend(self.vacate(index));
                } else {
                    self.link(index);
                }
            }
        }
        self.now_tick = self.now_tick.max(now_tick);
    }

    /// Returns the number of the slot for a deadline: 64 times the level, plus the place within the level.
    fn slot_of(&self, deadline_tick: u64) -> usize {
        // A deadline in the past is due now.
        let tick = deadline_tick.max(self.now_tick);
        let highest_bit = ((self.now_tick ^ tick) | 1).ilog2();
        let level = highest_bit / SLOT_BITS;
        let place = (tick >> (SLOT_BITS * level)) & SLOT_MASK;
        level as usize * SLOTS + place as usize
    }

    /// Returns the first occupied slot on the lowest occupied level. No other slot has an earlier timer.
    fn upcoming(&self) -> Option<Upcoming> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let place = self.occupied[level].trailing_zeros();
        let shift = SLOT_BITS * level as u32;
        let tick = (((self.now_tick >> shift) & !SLOT_MASK) | u64::from(place)) << shift;
        Some(Upcoming {
            level,
            slot: level * SLOTS + place as usize,
            tick,
        })
    }
}

/// The lists of the slots.
impl Wheel {
    /// Puts an entry into the slot of its deadline.
    fn link(&mut self, index: usize) {
        let Some(deadline_tick) = self.entries[index]
            .as_ref()
            .map(|entry| entry.deadline_tick)
        else {
            return;
        };
        let slot = self.slot_of(deadline_tick);
        let position = self.slots[slot].len();
        self.slots[slot].push(index);
        self.occupied[slot / SLOTS] |= 1 << (slot % SLOTS);
        if let Some(entry) = &mut self.entries[index] {
            (entry.slot, entry.position) = (slot, position);
        }
    }

    /// Takes an entry out of its slot. The last entry of the slot moves to its place, so the cost is constant.
    fn unlink(&mut self, index: usize) {
        let Some((slot, position)) = self.entries[index]
            .as_ref()
            .map(|entry| (entry.slot, entry.position))
        else {
            return;
        };
        self.slots[slot].swap_remove(position);
        if let Some(moved) = self.slots[slot].get(position).copied()
            && let Some(moved) = &mut self.entries[moved]
        {
            moved.position = position;
        }
        if self.slots[slot].is_empty() {
            self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
        }
    }

    /// Frees an entry that is in no slot. Returns its waker.
    fn vacate(&mut self, index: usize) -> Option<Waker> {
        let entry = self.entries[index].take()?;
        self.vacant.push(index);
        Some(entry.waker)
    }
}
