//! A cache of the last answer's head, for the next answer that has the same one.
//!
//! The answers of a handler are alike: the same status, the same fields, often the same length. The
//! cache keeps the head that was written last. If the same head is needed again, it is copied instead
//! of being validated and assembled again (LOG 12).
//!
//! ```text
//! HTTP/1.1 200 OK␍␊content-type: text/plain␍␊content-length: 13␍␊server: …␍␊date: …␍␊␍␊
//! └── key ──────┘  └─ name ───┘  └─ value ─┘ └── key ─────────┘ └── key: a number ──┘
//!                  compared with the handler's fields
//! ```
//!
//! A head is cached when its key comes twice in a row. So answers that all differ cost a comparison
//! each, and no copy.
//!
//! **Always**: each name and each value is compared by itself and in its whole length. So each field
//! that is copied was validated as this name and this value. **Never**: the date of another second.

use http::StatusCode;

use super::keep_alive::Persistence;
use crate::headers::AnswerHeaders;

/// A longer head is not cached.
const HEAD_BYTES_MAX: usize = 1024;

/// The parts of an answer's head that are not the handler's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerKey {
    pub(crate) status: StatusCode,
    pub(crate) length: u64,
    pub(crate) persistence: Persistence,
    pub(crate) own: u64,
}

/// The bytes of one head, with its key and its fields.
#[derive(Debug, Default)]
pub(crate) struct AnswerCache {
    /// The key of the last miss.
    asked: Option<AnswerKey>,
    /// The key of the cached head. `None` if no head is cached.
    kept: Option<AnswerKey>,
    bytes: Vec<u8>,
    /// The handler's fields in the cached head. Each has memory of its own, so that a comparison needs
    /// no position (LOG 44).
    fields: Vec<CachedField>,
}

#[derive(Debug, Default)]
struct CachedField {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl AnswerCache {
    /// Returns the cached head if it has this key and these fields.
    #[inline]
    pub(crate) fn get(&self, asked: AnswerKey, headers: &impl AnswerHeaders) -> Option<&[u8]> {
        // A few words decide for most answers that differ. The fields are compared only after that (LOG 20).
        if self.kept != Some(asked) {
            return None;
        }
        let mut fields = self.fields.iter();
        let compared = headers.try_for_each(|name, value| match fields.next() {
            Some(field) if are_same(&field.name, name) && are_same(&field.value, value) => Ok(()),
            _ => Err(()),
        });
        (compared.is_ok() && fields.next().is_none()).then_some(&*self.bytes)
    }

    /// Empties the cache. Its memory stays.
    pub(crate) fn forget(&mut self) {
        (self.asked, self.kept) = (None, None);
    }

    /// Caches `head`, whose status line has `line_bytes`, if the last miss had the same key. Does not
    /// cache a head whose fields were written otherwise than the handler named them.
    pub(super) fn keep(
        &mut self,
        head: &[u8],
        line_bytes: usize,
        asked: AnswerKey,
        headers: &impl AnswerHeaders,
    ) {
        self.kept = None;
        // An answer that is asked for once costs no copy. The second one in a row pays for all that follow.
        let is_repeated = self.asked.replace(asked) == Some(asked);
        if !is_repeated || head.len() > HEAD_BYTES_MAX {
            return;
        }
        if self.keep_fields(&head[line_bytes..], headers).is_some() {
            copy_into(&mut self.bytes, head);
            self.kept = Some(asked);
        }
    }

    /// Caches the fields if `lines` begin with exactly these. Returns `None` if not.
    fn keep_fields(&mut self, mut lines: &[u8], headers: &impl AnswerHeaders) -> Option<()> {
        let mut count = 0;
        let found = headers.try_for_each(|name, value| {
            lines = behind_field(lines, name, value).ok_or(())?;
            // The fields keep their memory, so that another head of the same shape costs no allocation.
            if count == self.fields.len() {
                self.fields.push(CachedField::default());
            }
            copy_into(&mut self.fields[count].name, name);
            copy_into(&mut self.fields[count].value, value);
            count += 1;
            Ok::<(), ()>(())
        });
        self.fields.truncate(count);
        found.ok()
    }
}

fn copy_into(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.clear();
    kept.extend_from_slice(bytes);
}

/// Compares by the two ends, which may overlap: most names and values are short, and a call of the C
/// library takes longer (LOG 34).
#[inline]
fn are_same(known: &[u8], other: &[u8]) -> bool {
    if known.len() != other.len() {
        return false;
    }
    match known.len() {
        8..=16 => ends_are_same::<8>(known, other),
        17..=32 => ends_are_same::<16>(known, other),
        _ => known == other,
    }
}

#[inline]
fn ends_are_same<const N: usize>(known: &[u8], other: &[u8]) -> bool {
    known.first_chunk::<N>() == other.first_chunk() && known.last_chunk::<N>() == other.last_chunk()
}

/// Returns the lines behind the first one if the first one is exactly this field.
fn behind_field<'a>(lines: &'a [u8], name: &[u8], value: &[u8]) -> Option<&'a [u8]> {
    let rest = lines.strip_prefix(name)?.strip_prefix(b": ")?;
    rest.strip_prefix(value)?.strip_prefix(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::are_same;

    #[test]
    fn each_byte_counts_whatever_the_length() {
        for length in 0..=40 {
            let known: Vec<u8> = (0..length).collect();
            assert!(are_same(&known, &known.clone()));
            for at in 0..known.len() {
                let mut other = known.clone();
                other[at] ^= 0x80;
                assert!(!are_same(&known, &other), "{at} of {length}");
            }
            assert!(!are_same(&known, &[&known[..], b"x"].concat()));
        }
    }
}
