//! The number of senders of a channel.
//!
//! # Invariants
//!
//! - Never: a further handle after the last one is gone, because a clone needs a handle.

use std::cell::Cell;

/// Counts the handles of one end of a channel. Begins with one.
#[derive(Debug)]
pub(super) struct HandleCount(Cell<usize>);

impl HandleCount {
    pub(super) fn one() -> Self {
        Self(Cell::new(1))
    }

    /// Counts a clone of a handle.
    pub(super) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    /// Counts a handle that is dropped. Returns true if it was the last one.
    pub(super) fn remove(&self) -> bool {
        self.0.set(self.0.get() - 1);
        self.are_gone()
    }

    /// Returns the number of handles.
    pub(super) fn get(&self) -> usize {
        self.0.get()
    }

    pub(super) fn are_gone(&self) -> bool {
        self.0.get() == 0
    }
}
