//! Ids that do not repeat and that no client can predict.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A counter, hashed with two secrets. So the next id is not predictable, and two hashes of 64 bits together practically
/// never repeat, also between servers.
#[derive(Default)]
pub(super) struct UniqueIds {
    secrets: [RandomState; 2],
    count: Cell<u64>,
}

impl UniqueIds {
    /// Returns the two halves of an id.
    pub(super) fn next(&self) -> [u64; 2] {
        let count = self.count.get();
        self.count.set(count + 1);
        self.secrets.each_ref().map(|secret| secret.hash_one(count))
    }
}
