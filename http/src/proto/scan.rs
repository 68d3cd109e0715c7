//! Which bytes may stand where, and how far a run of them goes.
//!
//! A class is a table of 256 answers, so that the inner loops ask memory and not a chain of
//! comparisons. Field values, the longest runs, are read eight bytes at a time.
//!
//! **Always**: what a class admits, the RFC's grammar admits there; the one wider class, that
//! of targets, says in what and why. **Never**: a position before the one given.

use crate::error::Refusal;

/// Why a piece of a head is not there: not all of it has come, or it must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Incomplete,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The next piece, or why there is none.
pub(super) type Step<T> = Result<T, Stop>;

/// For each byte, whether it belongs.
pub(super) type Class = [bool; 256];

/// `tchar` (RFC 9110, 5.6.2).
pub(super) static TOKEN: Class = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// A target up to its `?`: `pchar` and `/` (RFC 3986, 3.3), and what browsers leave unescaped.
pub(super) static PATH: Class = letters_digits_and(b"-._~!$&'()*+,;=:@/%[]|^");

/// A query (RFC 3986, 3.4), and what browsers leave unescaped.
pub(super) static QUERY: Class = letters_digits_and(b"-._~!$&'()*+,;=:@/%[]|^?{}`\\");

/// A registered name but for its escapes (RFC 3986, 3.2.2).
pub(super) static REGISTERED_NAME: Class = letters_digits_and(b"-._~!$&'()*+,;=");

const fn letters_digits_and(others: &[u8]) -> Class {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        class[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        class[others[index] as usize] = true;
        index += 1;
    }
    class
}

/// Where the run of `class` that begins at `from` ends.
#[inline]
pub(super) fn run_end(bytes: &[u8], from: usize, class: &Class) -> usize {
    let mut at = from;
    while at < bytes.len() && class[usize::from(bytes[at])] {
        at += 1;
    }
    at
}

/// Whether all of `bytes` belong to `class`.
pub(super) fn is_all(bytes: &[u8], class: &Class) -> bool {
    run_end(bytes, 0, class) == bytes.len()
}

/// Whether `bytes` is a token: one `tchar` or more (RFC 9110, 5.6.2).
#[inline]
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && is_all(bytes, &TOKEN)
}

/// Where a field value that goes on at `from` ends: at the first control byte that is no tab
/// (RFC 9110, 5.5).
#[inline]
pub(super) fn value_end(bytes: &[u8], from: usize) -> usize {
    let mut at = control_at(bytes, from);
    while bytes.get(at) == Some(&b'\t') {
        at = control_at(bytes, at + 1);
    }
    at
}

#[inline]
fn control_at(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = control_marks(u64::from_le_bytes(*eight));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && !bytes[at].is_ascii_control() {
        at += 1;
    }
    at
}

/// Sets the top bit of each byte that is a control byte. A borrow may mark bytes above the
/// first mark wrongly, so only the first one counts.
#[inline]
const fn control_marks(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES * 0x80;
    let below_space = eight.wrapping_sub(ONES * 0x20) & !eight;
    let without_delete = eight ^ (ONES * 0x7f);
    let delete = without_delete.wrapping_sub(ONES) & !without_delete;
    (below_space | delete) & TOPS
}

/// Space or tab: what may stand around a field value (RFC 9110, 5.6.3).
#[inline]
pub(super) const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `value` without the white space around it.
#[inline]
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a comma-separated list, empty ones left out (RFC 9110, 5.6.1.2).
///
/// Commas in quoted strings split too: those who ask look for whole plain members only, and
/// half a quoted string is never one.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
}

/// Why `byte` is refused where the grammar wants something else: for what it is by itself,
/// if nothing in a head may ever be that, and `otherwise` for where it stands.
#[cold]
pub(super) fn misplaced(byte: u8, otherwise: Refusal) -> Refusal {
    match byte {
        b'\n' => Refusal::BareLineFeed,
        b'\r' | b'\t' => otherwise,
        _ if byte.is_ascii_control() => Refusal::ControlByte,
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_no_separator_no_control_and_nothing_above_ascii() {
        for class in [&TOKEN, &PATH, &QUERY, &REGISTERED_NAME] {
            for byte in (0..=32).chain(127..=255).chain(*b"\"<>") {
                assert!(!class[usize::from(byte)], "{byte}");
            }
        }
        for byte in b"(),/:;<=>?@[\\]{}\"" {
            assert!(!TOKEN[usize::from(*byte)], "RFC 9110, 5.6.2: {byte}");
        }
        assert!(
            !PATH[usize::from(b'#')] && !QUERY[usize::from(b'#')],
            "RFC 9112, 3.2"
        );
    }

    #[test]
    fn a_value_ends_at_any_control_byte_but_tab_wherever_it_stands() {
        for length in 0..24 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut value = vec![b'v'; length];
                    value[at] = byte;
                    let ends = byte != b'\t' && byte.is_ascii_control();
                    assert_eq!(value_end(&value, 0), if ends { at } else { length });
                }
            }
        }
    }

    #[test]
    fn a_list_has_no_empty_members() {
        let seen: Vec<&[u8]> = members(b", a,,\tb c ,").collect();
        assert_eq!(seen, [&b"a"[..], b"b c"]);
        assert_eq!(members(b" , ").count(), 0);
    }
}
