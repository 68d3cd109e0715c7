//! The facts about tasks that no event repeats: the parent, the place, the size, the name.
//!
//! # How it works
//!
//! The facts of a task stand under the index of its slot in the task table, until the next task gets that slot. So
//! they are there for each task that is alive, also after the event of its spawn was overwritten. The table grows by
//! chunks that never move. A reader on another thread takes no lock, as with the ring: the generation of the task is
//! the number that makes a torn read visible.
//!
//! # Invariants
//!
//! - Always: one thread writes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The number of tasks in the first chunk. Each next one has twice as many.
const FIRST_CHUNK: u64 = 1024;

/// This many chunks have room for more tasks than an index of 32 bits can name.
const CHUNKS: usize = 23;

/// The facts about one task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The task that has spawned it, as a word. Zero if no task has.
    pub(crate) parent: u64,
    /// The number of its place in the program.
    pub(crate) place: u32,
    /// The size of its future in bytes.
    pub(crate) future_bytes: u32,
    /// The number of its name. Zero if it has none.
    pub(crate) name: u32,
}

#[derive(Default)]
struct FactsSlot {
    /// The generation of the task. Zero while the slot is empty or being written.
    generation: AtomicU32,
    name: AtomicU32,
    parent: AtomicU64,
    place_and_bytes: AtomicU64,
}

/// The facts about all tasks of a runtime.
#[derive(Default)]
pub(crate) struct FactsTable {
    chunks: [OnceLock<Box<[FactsSlot]>>; CHUNKS],
}

/// Returns the chunk of an index, and the position in it.
fn locate(index: u32) -> (usize, usize) {
    // Counted from one, the chunks begin at the powers of two.
    let from_one = u64::from(index) / FIRST_CHUNK + 1;
    let chunk = from_one.ilog2();
    let begin = ((1 << chunk) - 1) * FIRST_CHUNK;
    let position = usize::try_from(u64::from(index) - begin);
    (chunk as usize, position.unwrap_or_default())
}

impl FactsTable {
    fn slot(&self, index: u32) -> Option<&FactsSlot> {
        let (chunk, position) = locate(index);
        self.chunks.get(chunk)?.get()?.get(position)
    }

    /// Stores the facts about a task. Only the runtime's thread may call this.
    pub(crate) fn store(&self, index: u32, generation: u32, facts: Facts) {
        let (chunk, position) = locate(index);
        // Chunks never move, so a reader needs no lock.
        let slots = self.chunks[chunk].get_or_init(|| {
            let len = FIRST_CHUNK << chunk;
            (0..len).map(|_| FactsSlot::default()).collect()
        });
        let slot = &slots[position];
        // The steps and the orderings of `EventRing::write`: a reader sees a zero, or whole facts.
        slot.generation.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        slot.parent.store(facts.parent, Ordering::Relaxed);
        let place_and_bytes = u64::from(facts.place) << 32 | u64::from(facts.future_bytes);
        slot.place_and_bytes
            .store(place_and_bytes, Ordering::Relaxed);
        slot.name.store(facts.name, Ordering::Relaxed);
        slot.generation.store(generation, Ordering::Release);
    }

    /// Stores the name of a task that has facts.
    pub(crate) fn store_name(&self, index: u32, name: u32) {
        if let Some(slot) = self.slot(index) {
            slot.name.store(name, Ordering::Relaxed);
        }
    }

    /// Returns the facts about a task. Returns `None` if another task has its slot by now.
    pub(crate) fn load(&self, index: u32, generation: u32) -> Option<Facts> {
        let slot = self.slot(index)?;
        let before = slot.generation.load(Ordering::Acquire);
        let place_and_bytes = slot.place_and_bytes.load(Ordering::Relaxed);
        let [bytes_low, bytes_high] = halves(place_and_bytes);
        let facts = Facts {
            parent: slot.parent.load(Ordering::Relaxed),
            place: bytes_high,
            future_bytes: bytes_low,
            name: slot.name.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        let after = slot.generation.load(Ordering::Relaxed);
        (before == generation && after == before).then_some(facts)
    }
}

/// Returns the low and the high half of a word.
pub(crate) fn halves(word: u64) -> [u32; 2] {
    let low = u32::try_from(word & u64::from(u32::MAX));
    let high = u32::try_from(word >> 32);
    [low.unwrap_or_default(), high.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_has_a_place_of_its_own() {
        let mut before = (0, usize::MAX);
        for index in 0..10_000 {
            let (chunk, position) = locate(index);
            let follows = chunk == before.0 && position == before.1.wrapping_add(1);
            let begins = chunk == before.0 + 1 && position == 0;
            assert!(follows || begins, "{index}: {before:?}, {chunk} {position}");
            before = (chunk, position);
        }
        assert!(locate(u32::MAX).0 < CHUNKS);
    }

    #[test]
    fn the_facts_of_a_task_are_gone_when_another_one_has_its_slot() {
        let table = FactsTable::default();
        let facts = |parent| Facts {
            parent,
            place: 2,
            future_bytes: 3,
            name: 0,
        };
        assert_eq!(table.load(2000, 1), None);
        table.store(2000, 1, facts(7));
        assert_eq!(table.load(2000, 1), Some(facts(7)));
        table.store_name(2000, 4);
        assert_eq!(table.load(2000, 1).map(|facts| facts.name), Some(4));
        table.store(2000, 5, facts(8));
        assert_eq!(table.load(2000, 1), None);
        assert_eq!(table.load(2000, 5), Some(facts(8)));
    }
}
