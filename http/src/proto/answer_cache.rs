//! The last answer's head, for the next one that is the same.
//!
//! Handlers answer alike: the same status, the same fields, often the same length. So what was
//! rendered last is kept, and where the same is asked for again, it is copied instead of being
//! validated and put together again.
//!
//! ```text
//! HTTP/1.1 200 OK␍␊content-type: text/plain␍␊content-length: 13␍␊server: …␍␊date: …␍␊␍␊
//!                  └─ name ───┘  └─ value ─┘                     └─ ours: told by number
//!                  each compared with what the handler says
//! ```
//!
//! It is kept when the same was asked for twice in a row, so that answers that are all different cost a
//! comparison each and no copy.
//!
//! **Always**: every name and value compared by itself and in its whole length, so that nothing
//! passes that was not validated as just this name and just this value. **Never**: the date of
//! another second.

use http::StatusCode;

use super::keep_alive::Persistence;
use crate::headers::AnswerHeaders;

/// A longer head is not kept.
const RENDERED_BYTES_MAX: usize = 1024;

/// What most answers are asked for: a status, a body of that many bytes, what becomes of the
/// connection, and our own lines of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerKey {
    pub(crate) status: StatusCode,
    pub(crate) length: u64,
    pub(crate) persistence: Persistence,
    pub(crate) own: u64,
}

/// The bytes of a head, and what they were rendered for.
#[derive(Debug, Default)]
pub(crate) struct AnswerCache {
    /// What was asked for last, and not found.
    asked: Option<AnswerKey>,
    /// What the rest was rendered for.
    kept: Option<AnswerKey>,
    bytes: Vec<u8>,
    /// The handler's fields among them: each with memory of its own, so that a comparison need not
    /// look for it.
    fields: Vec<CachedField>,
}

#[derive(Debug, Default)]
struct CachedField {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl AnswerCache {
    /// The bytes, if this is what they were rendered for.
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

    /// Keeps `head`, whose status line has `line_bytes`, if it is asked for again and all of it was made
    /// of just what was asked.
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
        if !is_repeated || head.len() > RENDERED_BYTES_MAX {
            return;
        }
        if self.keep_fields(&head[line_bytes..], headers).is_some() {
            copy_into(&mut self.bytes, head);
            self.kept = Some(asked);
        }
    }

    /// Keeps the fields, if `lines` begin with them just so.
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

/// Names and values are short, so two words at each end, which may overlap, mostly decide; a call of
/// the C library takes longer.
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

/// The lines behind the first one, if that is this field just so.
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
