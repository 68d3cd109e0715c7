//! Classes of bytes, and the length of a run of one class.
//!
//! A [`Class`] has a few ranges of common bytes, and some of rare ones. This module compares sixteen
//! bytes at a time with the common ranges only, by arithmetic that is the same for each byte. The
//! compiler makes vector instructions of it, on every processor that has them (LOG 23). A byte outside
//! the common ranges is looked up in a table.
//!
//! ```text
//! /mills/r!e?grain   Path: '$'..';'  '@'..'['  ']'..'_'  'a'..'z', and rarely ! = | ~
//! └──────┘             all at once, up to a byte outside the common ranges
//!         !            the table: it belongs, so the run continues behind it
//!          e           all at once again
//!           ?          the table: it does not belong; the run ends here
//! ```
//!
//! **Always**: the RFC's grammar admits each byte that a class admits. The classes of targets are
//! wider, and their comments say why. The last bytes of a buffer are read together with some before
//! them, which do not affect the result. **Never**: an end before the given position; an intrinsic,
//! because a call of one needs `unsafe`.

use crate::error::Refusal;

/// The reason why a piece of a head cannot be returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Incomplete,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The next piece, or the reason why it cannot be returned.
pub(crate) type Step<T> = Result<T, Stop>;

/// The first and the last byte of a range.
type Range = (u8, u8);

/// `tchar` (RFC 9110, 5.6.2).
pub(super) struct Token;

impl Class for Token {
    const COMMON: &[Range] = &[(b'-', b'.'), (b'0', b'9'), (b'A', b'Z'), (b'^', b'z')];
    const RARE: &[Range] = &[
        (b'!', b'!'),
        (b'#', b'\''),
        (b'*', b'+'),
        (b'|', b'|'),
        (b'~', b'~'),
    ];
}

/// The bytes of a field value: all but control bytes, of which only the tab is allowed (RFC 9110, 5.5).
struct Value;

impl Class for Value {
    const COMMON: &[Range] = &[(b'\t', b'\t'), (b' ', b'~'), (0x80, 0xff)];
    const RARE: &[Range] = &[];
}

/// A target up to its `?`: `pchar` and `/` (RFC 3986, 3.3), and bytes that browsers leave unescaped.
pub(super) struct Path;

impl Class for Path {
    const COMMON: &[Range] = &[(b'$', b';'), (b'@', b'['), (b']', b'_'), (b'a', b'z')];
    const RARE: &[Range] = &[(b'!', b'!'), (b'=', b'='), (b'|', b'|'), (b'~', b'~')];
}

/// A query (RFC 3986, 3.4), and bytes that browsers leave unescaped.
pub(super) struct Query;

impl Class for Query {
    const COMMON: &[Range] = &[(b'$', b';'), (b'=', b'='), (b'?', b'~')];
    const RARE: &[Range] = &[(b'!', b'!')];
}

/// A registered name without its escapes (RFC 3986, 3.2.2).
pub(super) struct RegisteredName;

impl Class for RegisteredName {
    const COMMON: &[Range] = &[(b'&', b'.'), (b'0', b'9'), (b'A', b'Z'), (b'a', b'z')];
    const RARE: &[Range] = &[
        (b'!', b'!'),
        (b'$', b'$'),
        (b';', b';'),
        (b'=', b'='),
        (b'_', b'_'),
        (b'~', b'~'),
    ];
}

/// The number of bytes that are compared at once.
const LANES: usize = 16;

/// So few bytes are read one by one, because a vector costs more to prepare.
const FEW: usize = 4;

/// A set of bytes.
pub(super) trait Class {
    /// Most bytes of the set; a handful of ranges, because each costs one to three instructions.
    const COMMON: &[Range];
    /// The other bytes of the set.
    const RARE: &[Range];
    /// True for each byte of the set.
    const TABLE: &[bool; 256] = &table(Self::COMMON, Self::RARE);

    /// Returns true if `byte` is in the set.
    #[inline]
    fn has(byte: u8) -> bool {
        Self::TABLE[usize::from(byte)]
    }

    /// Returns true if all of `bytes` are in the set.
    #[inline]
    fn has_all(bytes: &[u8]) -> bool {
        // The last sixteen bytes are read again together with some before them, so that no rest is read byte by byte
        // (LOG 23).
        let all_common = bytes.last_chunk().is_some_and(|last| {
            let mut chunks = bytes.as_chunks().0.iter().chain([last]);
            chunks.all(|lanes| first(beyond(lanes, Self::COMMON)).is_none())
        });
        all_common || bytes.iter().all(|byte| Self::has(*byte))
    }

    /// Returns the end of the run that begins at `from`.
    #[inline]
    fn run_end(bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while bytes.len() >= LANES
            && at <= bytes.len() - LANES
            && let Some(lanes) = bytes[at..].first_chunk()
        {
            let Some(index) = first(beyond(lanes, Self::COMMON)) else {
                at += LANES;
                continue;
            };
            at += index;
            if Self::RARE.is_empty() || bytes.get(at).is_none_or(|byte| !Self::has(*byte)) {
                return at;
            }
            at += 1;
        }
        Self::run_end_in_rest(bytes, at)
    }

    /// The same for fewer than [`LANES`] bytes. Compares them together with bytes before them, if there
    /// are enough, and ignores the lanes before `from`.
    #[inline(never)]
    fn run_end_in_rest(bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        if bytes.len() - from > FEW
            && let Some(lanes) = bytes.last_chunk()
        {
            let start = bytes.len() - LANES;
            // The lanes before `at` were read already, and this mask hides what is found in them.
            let behind = u128::MAX.unbounded_shl(8 * u32::try_from(at - start).unwrap_or(0));
            let beyond = u128::from_le_bytes(beyond(lanes, Self::COMMON)) & behind;
            match first(beyond.to_le_bytes()) {
                None => return bytes.len(),
                Some(index) => at = start + index,
            }
        }
        while at < bytes.len() && Self::has(bytes[at]) {
            at += 1;
        }
        at
    }
}

const fn table(common: &[Range], rare: &[Range]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = lies_in(byte, common) || lies_in(byte, rare);
        byte += 1;
    }
    table
}

const fn lies_in(byte: usize, ranges: &[Range]) -> bool {
    match ranges {
        [] => false,
        [(first, last), rest @ ..] => {
            (*first as usize <= byte && byte <= *last as usize) || lies_in(byte, rest)
        }
    }
}

/// Returns zero for each of `lanes` that lies in one of `ranges`, and another number for the others.
///
/// The number is the distance from the end of the nearest range. A byte before a range wraps around to
/// a large distance, so that one subtraction tests both ends.
#[inline]
fn beyond(lanes: &[u8; LANES], ranges: &[Range]) -> [u8; LANES] {
    lanes.map(|byte| {
        let behind = |(first, last): &Range| byte.wrapping_sub(*first).saturating_sub(last - first);
        ranges.iter().map(behind).fold(u8::MAX, u8::min)
    })
}

/// Returns the index of the first lane that is not zero.
#[inline]
fn first(lanes: [u8; LANES]) -> Option<usize> {
    // The comparison with an array of zeros is what the compiler turns into one vector test (LOG 28).
    (lanes != [0; LANES]).then(|| u128::from_le_bytes(lanes).trailing_zeros() as usize / 8)
}

/// Returns true if `bytes` is a token: one `tchar` or more (RFC 9110, 5.6.2).
#[inline]
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && Token::has_all(bytes)
}

/// Returns true if `bytes` may be a field value (RFC 9110, 5.5).
#[inline]
pub(super) fn is_value(bytes: &[u8]) -> bool {
    Value::has_all(bytes)
}

/// Returns the end of a field value that continues at `from`: the first control byte other than a tab
/// (RFC 9110, 5.5).
#[inline]
pub(super) fn value_end(bytes: &[u8], from: usize) -> usize {
    Value::run_end(bytes, from)
}

/// Returns true if `text` equals `lower` in any case. `text` holds no control bytes but tabs, and `lower`
/// only small letters and hyphens.
///
/// Setting the bit 0x20 turns only a capital letter into a small letter, and only a hyphen or a carriage
/// return into a hyphen. So one comparison of all bytes is enough (LOG 25).
#[inline]
pub(super) fn is_word<const BYTES: usize>(text: &[u8], lower: &[u8; BYTES]) -> bool {
    let differences = |text: &[u8; BYTES]| {
        let pairs = text.iter().zip(lower);
        pairs.fold(0, |found, (byte, lower)| found | ((byte | 0x20) ^ lower))
    };
    text.try_into().is_ok_and(|text| differences(text) == 0)
}

/// Returns the refusal of `byte` where the grammar wants another byte: its own refusal if it may
/// stand nowhere in a head, and `otherwise` if only its place is wrong.
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
        for has in [Token::has, Path::has, Query::has, RegisteredName::has] {
            for byte in (0..=32).chain(127..=255).chain(*b"\"<>") {
                assert!(!has(byte), "{byte}");
            }
        }
        for byte in b"(),/:;<=>?@[\\]{}\"" {
            assert!(!Token::has(*byte), "RFC 9110, 5.6.2: {byte}");
        }
        assert!(!Path::has(b'#') && !Query::has(b'#'), "RFC 9112, 3.2");
    }

    fn check<C: Class>(others: &[u8]) {
        for byte in 0..=255_u8 {
            let plain = byte.is_ascii_alphanumeric() || others.contains(&byte);
            assert_eq!(C::has(byte), plain, "{byte}");
            for length in (1..=LANES + 2).chain([2 * LANES - 1, 2 * LANES, 3 * LANES - 1]) {
                let mut bytes = vec![b'a'; length];
                for at in 0..length {
                    bytes[at] = byte;
                    let end = if plain { length } else { at };
                    assert_eq!(C::has_all(&bytes), plain, "{byte} at {at} of {length}");
                    for from in [0, at] {
                        assert_eq!(C::run_end(&bytes, from), end, "{byte} at {at} of {length}");
                    }
                    bytes[at] = b'a';
                }
                assert_eq!(C::run_end(&bytes, length), length);
            }
        }
    }

    #[test]
    fn a_run_ends_at_the_first_byte_that_does_not_belong_wherever_it_stands() {
        check::<Token>(b"!#$%&'*+-.^_`|~");
        check::<Path>(b"-._~!$&'()*+,;=:@/%[]|^");
        check::<Query>(b"-._~!$&'()*+,;=:@/%[]|^?{}`\\");
        check::<RegisteredName>(b"-._~!$&'()*+,;=");
        let no_control = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
        check::<Value>(&(0..=255).filter(no_control).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_of_nothing_has_no_end_but_its_beginning() {
        assert_eq!(Token::run_end(b"", 0), 0);
        assert!(Token::has_all(b"") && !is_token(b""));
    }

    #[test]
    fn a_word_is_the_same_in_any_case_and_no_other_word() {
        for byte in (0..=255_u8).filter(|byte| *byte != b'\r') {
            for at in 0..10 {
                let mut text = *b"Keep-ALIVE";
                text[at] = byte;
                let plain = text.eq_ignore_ascii_case(b"keep-alive");
                assert_eq!(is_word(&text, b"keep-alive"), plain, "{byte} at {at}");
            }
        }
        assert!(!is_word(b"host ", b"host") && !is_word(b"hos", b"host"));
    }
}
