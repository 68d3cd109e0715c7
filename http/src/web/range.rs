//! Parts of a representation, by position (RFC 9110, 14).
//!
//! Pure: a field's value and a length in, ranges out. What cannot be understood is no error but a
//! field that is not there, and neither is what would cost more than it is worth.

use std::ops::Range;

use crate::white_space::members;

/// More parts than this are not served; nobody who means well asks for so many.
pub const PARTS_MAX: usize = 16;

/// What a Range field comes to, for a representation of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// The field is not for us: answer with everything.
    Whole,
    /// These positions, at least one range, none of them empty, as asked for: neither sorted nor
    /// joined.
    Parts(Vec<Range<u64>>),
    /// None of them lies within: answer 416.
    Unsatisfiable,
}

impl Ranges {
    /// Reads the value of a Range field against a representation of `length` bytes.
    ///
    /// [`Ranges::Whole`] comes of another unit than `bytes`, of what is malformed, of more than
    /// [`PARTS_MAX`] ranges, and of ranges that together are longer than the whole, which are what
    /// overlapping ones soon are (RFC 9110, 14.2). Of nothing, too, there is only the whole.
    ///
    /// ```
    /// use waterwheel_http::web::range::Ranges;
    ///
    /// assert_eq!(Ranges::parse(b"bytes=0-1, -2", 10), Ranges::Parts(vec![0..2, 8..10]));
    /// assert_eq!(Ranges::parse(b"bytes=10-", 10), Ranges::Unsatisfiable);
    /// assert_eq!(Ranges::parse(b"lines=1-2", 10), Ranges::Whole);
    /// ```
    #[must_use]
    pub fn parse(value: &[u8], length: u64) -> Self {
        // Nothing has no parts. Who always asks for a part, to be safe, gets all of it.
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

/// The members of the set, if the unit is `bytes`, in any case (RFC 9110, 14.1).
fn specs(value: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let equals = value.iter().position(|byte| *byte == b'=')?;
    let (unit, set) = (&value[..equals], &value[equals + 1..]);
    unit.eq_ignore_ascii_case(b"bytes").then(|| members(set))
}

/// One member: `first-last`, `first-`, or `-suffix`. Empty if nothing of it lies within.
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
    // `9-0` is no range of nothing but malformed (RFC 9110, 14.1.1).
    (first <= last).then(|| first.min(length)..last.saturating_add(1).min(length))
}

/// Digits; what is beyond 2⁶⁴ is beyond any file too.
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
        fn whatever_is_asked_for_parts_lie_within(
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
    fn what_lies_beyond_the_end_is_cut() {
        check("bytes=5-99", &[5..10]);
        check("bytes=-99", &[0..10]);
        check("bytes=5-99999999999999999999999999", &[5..10]);
    }

    #[test]
    fn several_ranges_stay_as_they_were_asked_for() {
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
    fn what_is_malformed_or_of_another_unit_is_as_if_it_were_not_there() {
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
    fn many_ranges_or_more_than_there_is_are_answered_with_the_whole() {
        let many = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(Ranges::parse(many(17).as_bytes(), 100), Ranges::Whole);
        let sixteen = Ranges::Parts(vec![0..1; 16]);
        assert_eq!(Ranges::parse(many(16).as_bytes(), 100), sixteen);
        assert_eq!(Ranges::parse(b"bytes=0-9,0-0", 10), Ranges::Whole);
    }
}
