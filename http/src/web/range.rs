//! Range requests: parts of a representation, by position (RFC 9110, 14).
//!
//! Pure functions: they turn the value of a Range field and a length into ranges. A value that is malformed,
//! or that asks for too many ranges, counts as an absent field. It is not an error.

use std::ops::Range;

use crate::headers::white_space::members;

/// The highest number of ranges that are served. A request for more ranges is answered with the whole.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::range::{PARTS_MAX, Ranges};
///
/// let positions: Vec<_> = (0..=PARTS_MAX).map(|at| format!("{at}-{at}")).collect();
/// let value = format!("bytes={}", positions.join(","));
/// assert_eq!(Ranges::parse(value.as_bytes(), 1000), Ranges::Whole); // one range too many
/// ```
pub const PARTS_MAX: usize = 16;

/// The result of a Range field for a representation of a known length.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::range::Ranges;
///
/// let file = b"ground flour";
/// match Ranges::parse(b"bytes=7-", file.len() as u64) {
///     Ranges::Whole => println!("200"),
///     Ranges::Parts(parts) => {
///         let part = parts[0].start as usize..parts[0].end as usize;
///         assert_eq!(&file[part], b"flour"); // 206
///     }
///     Ranges::Unsatisfiable => println!("416"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// Ignore the field, and answer with the whole representation.
    Whole,
    /// Answer with these ranges of positions. There is at least one, and each has at least one byte. They are
    /// in the order of the request, neither sorted nor merged.
    Parts(Vec<Range<u64>>),
    /// Answer with 416, because no range lies within the representation.
    Unsatisfiable,
}

impl Ranges {
    /// Reads the value of a Range field against a representation of `length` bytes.
    ///
    /// Returns [`Ranges::Whole`] if the unit is not `bytes`, if the value is malformed, or if `length` is 0.
    /// Also returns it for more than [`PARTS_MAX`] ranges, and if the ranges together are longer than the
    /// whole, because such ranges overlap (RFC 9110, 14.2).
    ///
    /// ```
    /// use waterwheel::http::web::range::Ranges;
    ///
    /// assert_eq!(Ranges::parse(b"bytes=0-1, -2", 10), Ranges::Parts(vec![0..2, 8..10]));
    /// assert_eq!(Ranges::parse(b"bytes=10-", 10), Ranges::Unsatisfiable);
    /// assert_eq!(Ranges::parse(b"lines=1-2", 10), Ranges::Whole);
    /// ```
    #[must_use]
    pub fn parse(value: &[u8], length: u64) -> Self {
        // An empty file has no ranges. A client that always asks for a range must still receive it.
        let Some(specs) = specs(value).filter(|_| length > 0) else {
            return Self::Whole;
        };
        let mut parts = Vec::new();
        let (mut count, mut total) = (0, 0_u64);
        for spec in specs {
            let Some(range) = range(spec, length) else {
                return Self::Whole;
            };
            count += 1;
            total = total.saturating_add(range.end.saturating_sub(range.start));
            if !range.is_empty() {
                parts.push(range);
            }
        }
        if count == 0 || count > PARTS_MAX || total > length {
            Self::Whole
        } else if parts.is_empty() {
            Self::Unsatisfiable
        } else {
            Self::Parts(parts)
        }
    }
}

/// Returns the members of the set if the unit is `bytes`, in any case (RFC 9110, 14.1).
fn specs(value: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let equals = value.iter().position(|byte| *byte == b'=')?;
    let (unit, set) = (&value[..equals], &value[equals + 1..]);
    unit.eq_ignore_ascii_case(b"bytes").then(|| members(set))
}

/// Reads one member: `first-last`, `first-`, or `-suffix`. Returns an empty range for positions behind the
/// end, and `None` for a malformed member.
fn range(spec: &[u8], length: u64) -> Option<Range<u64>> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        return Some(length.saturating_sub(number(last)?)..length);
    }
    let first = number(first)?;
    if last.is_empty() {
        return Some(first.min(length)..length);
    }
    let last = number(last)?;
    // `9-0` is not an empty range: it is malformed (RFC 9110, 14.1.1).
    (first <= last).then(|| first.min(length)..last.saturating_add(1).min(length))
}

/// Reads digits. A number above 2⁶⁴ - 1 becomes that number, which is behind the end of any file.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let add = |number: u64, digit: &u8| {
        let ten_times = number.saturating_mul(10);
        ten_times.saturating_add(u64::from(digit - b'0'))
    };
    is_number.then(|| digits.iter().fold(0, add))
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "one range is what is expected"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_ranges_lie_within_the_representation(
            value in "(bytes=)?([0-9]{0,21}|-|,| |[a-z]){0,20}",
            length in prop_oneof![0..30_u64, any::<u64>()],
        ) {
            if let Ranges::Parts(parts) = Ranges::parse(value.as_bytes(), length) {
                prop_assert!(!parts.is_empty() && parts.len() <= PARTS_MAX);
                let is_within = |part: &Range<u64>| !part.is_empty() && part.end <= length;
                prop_assert!(parts.iter().all(is_within), "{parts:?}");
                let total: u64 = parts.iter().map(|part| part.end - part.start).sum();
                prop_assert!(total <= length);
            }
        }
    }

    #[track_caller]
    fn check(value: &str, expected: &[Range<u64>]) {
        let parts = Ranges::Parts(expected.to_vec());
        assert_eq!(Ranges::parse(value.as_bytes(), 10), parts, "{value}");
    }

    #[test]
    fn positions_are_inclusive_and_a_suffix_counts_from_the_end() {
        check("bytes=0-0", &[0..1]); // RFC 9110, 14.1.2
        check("bytes=0-9", &[0..10]);
        check("bytes=9-", &[9..10]);
        check("bytes=-1", &[9..10]);
        check("BYTES=0-4", &[0..5]);
    }

    #[test]
    fn a_range_ends_at_the_end_of_the_representation() {
        check("bytes=5-99", &[5..10]);
        check("bytes=-99", &[0..10]);
        check("bytes=5-99999999999999999999999999", &[5..10]);
    }

    #[test]
    fn several_ranges_keep_their_order() {
        check("bytes=8-9,0-1", &[8..10, 0..2]);
        check("bytes= 0-1 , , 3-3,", &[0..2, 3..4]);
        check("bytes=0-1,10-11", &[0..2]); // RFC 9110, 14.2: what can be satisfied
    }

    #[test]
    fn ranges_that_all_lie_beyond_cannot_be_satisfied() {
        for value in [
            "bytes=10-",
            "bytes=10-11,99-",
            "bytes=-0",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(
                Ranges::parse(value.as_bytes(), 10),
                Ranges::Unsatisfiable,
                "{value}"
            );
        }
        for value in ["bytes=0-", "bytes=-0", "bytes=-1"] {
            assert_eq!(Ranges::parse(value.as_bytes(), 0), Ranges::Whole, "{value}");
        }
    }

    #[test]
    fn a_malformed_value_or_another_unit_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=1",
            "bytes=a-b",
            "bytes=1-a",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=2-1",
            "bytes=0-1,2-1",
            "bytes=0x1-2",
            "lines=1-2",
            "bytes =0-1",
            "bytes=0 - 1",
            "bytes=\x0c0-1",
            "bytes=0-1\x0b",
            "bytes=0-1\r\n",
        ] {
            assert_eq!(
                Ranges::parse(value.as_bytes(), 10),
                Ranges::Whole,
                "{value}"
            );
        }
    }

    #[test]
    fn too_many_or_overlapping_ranges_are_answered_with_the_whole() {
        let many = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(Ranges::parse(many(17).as_bytes(), 100), Ranges::Whole);
        let sixteen = Ranges::Parts(vec![0..1; 16]);
        assert_eq!(Ranges::parse(many(16).as_bytes(), 100), sixteen);
        assert_eq!(Ranges::parse(b"bytes=0-9,0-0", 10), Ranges::Whole);
    }
}
