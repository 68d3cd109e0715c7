//! The last head, byte by byte: what comes again, means the same.
//!
//! The requests of a client are much alike: what differs is the target, and the fields mostly
//! repeat. So the bytes of the last head are kept beside what they were found to mean, and where a
//! head, or only its field section, begins with the very same bytes, nothing is judged again.
//!
//! ```text
//! GET /mills/1 HTTP/1.1␍␊ Host: example.org␍␊Accept: */*␍␊␍␊
//! └── line_bytes ──────┘└─ the section: compared by itself ┘
//! └── the whole head: compared first ──────────────────────┘
//! ```
//!
//! **Always**: a whole head or section, up to its empty line, equal in every byte; what a head means
//! depends on its bytes and on the limits, which do not change. **Never**: bytes of a head that was
//! refused; a comparison that takes longer the more is equal: with whom a client shares a worker
//! must not be a way to guess the other's cookies.

use super::fields::FieldSection;

/// A longer head is not kept.
const KNOWN_BYTES_MAX: usize = 4096;

/// The bytes of the last head, and how much of it still stands.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    head: Vec<u8>,
    line_bytes: usize,
    /// Whether the request line still means what is beside this: not while another head is read.
    line_stands: bool,
}

impl HeadCache {
    /// The length of the head at the front of `bytes`, if it is the known one.
    #[inline]
    pub(super) fn head_at(&self, bytes: &[u8]) -> Option<usize> {
        (self.line_stands && begins_with(bytes, &self.head)).then_some(self.head.len())
    }

    /// The length of the section at the front of `bytes`, if it is the known one.
    #[inline]
    pub(super) fn section_at(&self, bytes: &[u8]) -> Option<usize> {
        let section = &self.head[self.line_bytes..];
        begins_with(bytes, section).then_some(section.len())
    }

    /// Another request line takes the place of the last one.
    pub(super) fn forget_line(&mut self) {
        self.line_stands = false;
    }

    /// Other fields take the place of the last ones.
    pub(super) fn forget(&mut self) {
        self.head.clear();
        self.line_bytes = 0;
        self.line_stands = false;
    }

    /// What has just been read, all of it.
    pub(super) fn keep(&mut self, head: &[u8], line_bytes: usize) {
        self.forget();
        if head.len() <= KNOWN_BYTES_MAX {
            self.head.extend_from_slice(head);
            self.line_bytes = line_bytes;
            self.line_stands = true;
        }
    }
}

/// What is compared at once, as vectors.
const BLOCK_BYTES: usize = 32;
type Block = [u8; BLOCK_BYTES];

/// Whether `bytes` begin with `known`, which ends in an empty line if it is not empty. How long this
/// takes depends on lengths alone.
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
        return false; // most others do not even end here
    }
    // The last block covers what the others leave over.
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

/// The same for what is shorter than a block, as few heads are.
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
