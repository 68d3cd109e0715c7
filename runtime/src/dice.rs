//! Random numbers that are the same in each run, for the order of tasks in tests.
//!
//! # How it works
//!
//! A xorshift generator (Marsaglia 2003) makes the numbers. Its start is mixed from the seed, so that seeds beside
//! each other have different sequences.
//!
//! # Invariants
//!
//! - Always: the same seed, the same numbers.

use std::cell::Cell;

/// A sequence of numbers that a seed determines.
#[derive(Debug)]
pub(crate) struct Dice {
    /// Never zero, because zero stays zero.
    state: Cell<u64>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // One step of SplitMix64.
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self {
            state: Cell::new((mixed ^ (mixed >> 31)) | 1),
        }
    }

    /// Puts a list into a random order (Fisher and Yates).
    #[cold] // so that a runtime without a seed has the code of a turn in one piece
    pub(crate) fn shuffle<T>(&self, list: &mut [T]) {
        let mut state = self.state.get();
        for end in (1..list.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // The high bits are the better ones. The product is at most `end`.
            let place = (u128::from(state) * (end as u128 + 1)) >> u64::BITS;
            list.swap(end, usize::try_from(place).unwrap_or(0));
        }
        self.state.set(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_of_three_comes_up_and_a_seed_repeats_its_orders() {
        let orders = |seed| {
            let dice = Dice::new(seed);
            let order = || {
                let mut list = [0, 1, 2];
                dice.shuffle(&mut list);
                list
            };
            (0..100).map(|_| order()).collect::<Vec<_>>()
        };
        let mut different = orders(7);
        assert_eq!(different, orders(7));
        assert_ne!(different, orders(8));
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 6);
    }
}
