//! A cache of the last request head: bytes that come again mean the same.
//!
//! Requests of one client are alike: the target differs, and most fields repeat. The cache keeps the
//! bytes of the last head; the `Head` beside it keeps their meaning. If the next head, or only its
//! field section, begins with the same bytes, it is not judged again (LOG 10).
//!
//! ```text
//! GET /mills/1 HTTP/1.1␍␊ Host: example.org␍␊Accept: */*␍␊␍␊
//! └── line_bytes ──────┘└─ the section: compared by itself ┘
//! └── the whole head: compared first ──────────────────────┘
//! ```
//!
//! **Always**: a hit is a whole head or section, up to its empty line, and equal in every byte. The
//! meaning of a head depends only on its bytes and on the limits, which do not change. **Never**: bytes
//! of a refused head. The duration of a comparison never depends on the number of equal bytes: otherwise a
//! client could guess the cookies of another client of the same worker.

use super::fields::FieldSection;

/// A longer head is not cached.
const HEAD_BYTES_MAX: usize = 4096;

/// The bytes of the last head, and which part of them is valid.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    head: Vec<u8>,
    line_bytes: usize,
    /// False while another head is read, because its request line replaces the meaning of the cached one.
    line_stands: bool,
}

impl HeadCache {
    /// Returns the length of the cached head if `bytes` begin with it.
    #[inline]
    pub(super) fn head_at(&self, bytes: &[u8]) -> Option<usize> {
        (self.line_stands && begins_with(bytes, &self.head)).then_some(self.head.len())
    }

    /// Returns the length of the cached section if `bytes` begin with it.
    #[inline]
    pub(super) fn section_at(&self, bytes: &[u8]) -> Option<usize> {
        let section = &self.head[self.line_bytes..];
        begins_with(bytes, section).then_some(section.len())
    }

    /// Invalidates the request line; the section stays valid.
    pub(super) fn forget_line(&mut self) {
        self.line_stands = false;
    }

    /// Empties the cache.
    pub(super) fn forget(&mut self) {
        self.head.clear();
        self.line_bytes = 0;
        self.line_stands = false;
    }

    /// Caches a head that has been accepted.
    pub(super) fn keep(&mut self, head: &[u8], line_bytes: usize) {
        self.forget();
        if head.len() <= HEAD_BYTES_MAX {
            self.head.extend_from_slice(head);
            self.line_bytes = line_bytes;
            self.line_stands = true;
        }
    }
}

/// The number of bytes that are compared at once, as vectors (LOG 45).
const BLOCK_BYTES: usize = 32;
type Block = [u8; BLOCK_BYTES];

/// Returns true if `bytes` begin with `known`, which is empty or ends with an empty line. The duration
/// depends on the lengths only.
#[inline]
fn begins_with(bytes: &[u8], known: &[u8]) -> bool {
    let Some(front) = bytes.get(..known.len()) else {
        return false;
    };
    // Blocks of 32 bytes, and no exit at the first difference: the time must not tell how many bytes of another
    // client's
    // head are equal (LOG 45).
    let (Some(last), Some(last_known)) = (front.last_chunk(), known.last_chunk()) else {
        return is_short_one(front, known);
    };
    if !last.ends_with(FieldSection::END) {
        return false; // most other heads have no end here
    }
    // The last block overlaps the others and covers the remainder.
    let mut found = block_differences(last, last_known);
    for (new, old) in front.as_chunks().0.iter().zip(known.as_chunks().0) {
        let more = block_differences(new, old);
        found = std::array::from_fn(|at| found[at] | more[at]);
    }
    found.into_iter().fold(0, |all, found| all | found) == 0
}

#[inline]
fn block_differences(new: &Block, old: &Block) -> [u64; BLOCK_BYTES / 8] {
    let (new, old) = (new.as_chunks().0, old.as_chunks().0);
    std::array::from_fn(|at| u64::from_ne_bytes(new[at]) ^ u64::from_ne_bytes(old[at]))
}

/// Compares heads that are shorter than a block, which are rare.
#[cold]
fn is_short_one(front: &[u8], known: &[u8]) -> bool {
    let pairs = front.iter().zip(known);
    front.ends_with(FieldSection::END)
        && pairs.fold(0, |found, (new, old)| found | (new ^ old)) == 0
}

#[cfg(test)]
mod tests {
    use super::begins_with;

    #[test]
    fn each_byte_counts_whatever_the_length() {
        for length in 0..100 {
            let known: Vec<u8> = (32..32 + length).chain(*b"\r\n\r\n").collect();
            let with_more = |head: &[u8]| [head, b"GET"].concat();
            assert!(begins_with(&with_more(&known), &known));
            assert!(!begins_with(&known[1..], &known));
            for at in 0..known.len() {
                let mut other = known.clone();
                other[at] ^= 0x80;
                assert!(!begins_with(&with_more(&other), &known), "{at} of {length}");
            }
        }
    }
}
