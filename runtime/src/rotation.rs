//! The future that is polled first, among several of one task.
//!
//! # How it works
//!
//! If two futures are always ready and the first one is always polled first, the second one never completes. So
//! [`race`](fn@crate::race) and [`select`](fn@crate::select) begin each poll at another future.
//!
//! A counter alone is not fair: a loop that awaits two selects would see only even numbers in the first one. So
//! each step adds the golden ratio, as a fraction of 2⁶⁴. The steps of such a sequence are spread evenly over the
//! futures, and so are every second and every third of them (three-distance theorem).
//!
//! # Invariants
//!
//! - Always: the same sequence on each thread. A program that runs twice takes the same turns.

use std::cell::Cell;

/// 2⁶⁴ divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

thread_local! {
    static AT: Cell<u64> = const { Cell::new(0) };
}

/// Returns the index of the future to poll first, of this many.
pub(crate) fn first_of(futures: usize) -> usize {
    let at = AT.get();
    AT.set(at.wrapping_add(STEP));
    // The fraction times the number of futures, without a division. The product is below that number.
    let first = (u128::from(at) * futures as u128) >> u64::BITS;
    usize::try_from(first).unwrap_or(0)
}

/// Sets the point of the sequence, for a run that can be repeated.
pub(crate) fn start_at(point: u64) {
    AT.set(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the turns of each future, of which only each `nth` one counts.
    fn turns(futures: usize, nth: usize) -> Vec<u32> {
        let mut turns = vec![0; futures];
        for round in 0..10_000 {
            let first = first_of(futures);
            if round % nth == 0 {
                turns[first] += 1;
            }
        }
        turns
    }

    #[test]
    fn each_future_is_first_equally_often_also_if_other_selects_take_turns_in_between() {
        for futures in 1..=8 {
            for nth in 1..=6 {
                let turns = turns(futures, nth);
                let (least, most) = (turns.iter().min(), turns.iter().max());
                let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
                assert!(
                    most - least <= 12,
                    "{futures} futures, each {nth}.: {turns:?}"
                );
            }
        }
    }
}
