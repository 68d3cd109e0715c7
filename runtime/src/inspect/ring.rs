//! The events of a runtime: a ring of fixed size, which one thread writes and any thread reads.
//!
//! # How it works
//!
//! A slot has five words, and each is atomic. So a reader on another thread needs no lock and no `unsafe`. The first
//! word is the number of the event, and makes a torn read visible:
//!
//! ```text
//!  writer                                   reader
//!  1. number = 0 (being written)            1. loads the number (acquire)
//!  2. fence (release)                       2. loads the words
//!  3. stores the words                      3. fence (acquire)
//!  4. number = n + 1 (release)              4. loads the number again: if it has changed, the read is torn
//! ```
//!
//! If a reader sees a word of a later event, its second load of the number sees the zero of step 1, or a later
//! number. (Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", 2012.)
//!
//! A full ring overwrites its oldest event. So the number of lost events is the number of events that were written
//! minus the capacity.
//!
//! # Invariants
//!
//! - Always: one thread writes. On x86-64, its stores are plain instructions.
//! - Never: an allocation after the ring was made.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The number of the words of an event, without its number.
const WORDS: usize = 4;

/// An event as the ring stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawEvent {
    /// Nanoseconds since the runtime was opened: 56 bits, which reach two years.
    pub(crate) at: u64,
    /// The kind of the event. The constants are in `points`.
    pub(crate) code: u8,
    /// The task, as a word. Zero if the event is not about a task.
    pub(crate) task: u64,
    /// The meaning of these two depends on the kind.
    pub(crate) other: u64,
    pub(crate) extra: u64,
}

#[derive(Default)]
struct RingSlot {
    /// The number of the event plus one. Zero while the slot is empty or being written.
    number: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The events of one runtime.
pub(crate) struct EventRing {
    slots: Box<[RingSlot]>,
    /// The number of events that were ever written: the number of the next one.
    written: AtomicU64,
}

impl EventRing {
    /// Makes a ring for at least this many events. The capacity is a power of two, so that a number becomes an index
    /// by a mask.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.next_power_of_two();
        Self {
            slots: (0..capacity).map(|_| RingSlot::default()).collect(),
            written: AtomicU64::new(0),
        }
    }

    fn slot(&self, number: u64) -> &RingSlot {
        // A `usize` has 64 bits; `reactor` asserts it.
        let index = usize::try_from(number).unwrap_or_default() & (self.slots.len() - 1);
        &self.slots[index]
    }

    /// Appends an event. Only the runtime's thread may call this.
    #[inline]
    pub(crate) fn write(&self, event: RawEvent) {
        let number = self.written.load(Ordering::Relaxed);
        let slot = self.slot(number);
        // A reader that sees one of the new words also sees this zero, or a later number.
        slot.number.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        let head = event.at << 8 | u64::from(event.code);
        let words = [head, event.task, event.other, event.extra];
        for (to, word) in slot.words.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        slot.number.store(number + 1, Ordering::Release);
        self.written.store(number + 1, Ordering::Release);
    }

    /// Returns the number of events that were ever written.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Returns the number of the oldest event that is still there.
    pub(crate) fn oldest(&self) -> u64 {
        self.written().saturating_sub(self.slots.len() as u64)
    }

    /// Returns the event with this number. Returns `None` if it was overwritten, or is not written yet.
    pub(crate) fn read(&self, number: u64) -> Option<RawEvent> {
        let slot = self.slot(number);
        let before = slot.number.load(Ordering::Acquire);
        let load = |word: usize| slot.words[word].load(Ordering::Relaxed);
        let head = load(0);
        let event = RawEvent {
            at: head >> 8,
            code: head.to_le_bytes()[0],
            task: load(1),
            other: load(2),
            extra: load(3),
        };
        // The loads above stay above the second load of the number.
        fence(Ordering::Acquire);
        let after = slot.number.load(Ordering::Relaxed);
        (before == number + 1 && after == before).then_some(event)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::thread;

    use super::*;

    /// An event all of whose words follow from its number.
    fn event(number: u64) -> RawEvent {
        RawEvent {
            at: number,
            code: number.to_le_bytes()[0],
            task: number * 3,
            other: number * 5,
            extra: !number,
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let ring = EventRing::new(3);
        for number in 0..10 {
            assert_eq!(ring.read(number), None);
            ring.write(event(number));
            assert_eq!(ring.read(number), Some(event(number)));
        }
        assert_eq!((ring.written(), ring.oldest()), (10, 6));
        assert_eq!(ring.read(5), None);
        assert_eq!(ring.read(6), Some(event(6)));
    }

    #[test]
    fn a_reader_on_another_thread_sees_no_torn_event() {
        const EVENTS: u64 = 300_000;
        // A small ring, so that the writer overtakes the readers all the time.
        let ring = EventRing::new(4);
        let _read: u64 = thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut read = 0_u64;
                        while ring.written() < EVENTS {
                            for number in ring.oldest()..ring.written() {
                                if let Some(found) = ring.read(number) {
                                    assert_eq!(found, event(number));
                                    read += 1;
                                }
                            }
                        }
                        read
                    })
                })
                .collect();
            for number in 0..EVENTS {
                ring.write(event(number));
            }
            let read = readers.into_iter().map(|reader| reader.join().unwrap());
            read.sum::<u64>()
        });
        assert_eq!(ring.read(EVENTS - 1), Some(event(EVENTS - 1)));
    }
}
