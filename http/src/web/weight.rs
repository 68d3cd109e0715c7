//! Weights in fields that list what a client accepts: the number behind `q=` (RFC 9110, 12.4.2).

use crate::headers::white_space::trim;

/// The weight of one member of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// In thousandths, 1,000 at most.
    Given(u16),
    /// The member has no parameter `q`.
    Absent,
    /// The value of `q` is not a number from 0 to 1.
    Malformed,
}

impl Weight {
    /// Reads the weight among the parameters of a member, which are the bytes behind its first `;`.
    pub(super) fn parse(parameters: &[u8]) -> Self {
        for parameter in parameters.split(|byte| *byte == b';') {
            let mut halves = parameter.splitn(2, |byte| *byte == b'=').map(trim);
            if let (Some(b"q" | b"Q"), Some(value)) = (halves.next(), halves.next()) {
                return thousandths(value).map_or(Self::Malformed, Self::Given);
            }
        }
        Self::Absent
    }
}

/// Returns the weight in thousandths; `None` if the value is no plain number or more than 1.
///
/// Ignores digits behind the third. Accepts a number without the zero before its point, because Java's own
/// client sends `q=.2`.
fn thousandths(value: &[u8]) -> Option<u16> {
    let point = value.iter().position(|byte| *byte == b'.');
    let (whole, digits) = match point {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &[][..]),
    };
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let ones = match whole {
        b"0" => 0,
        b"1" => 1,
        b"" if !digits.is_empty() => 0,
        _ => return None,
    };
    let digit = |place: usize| {
        u16::from(
            digits
                .get(place)
                .map_or(0, |digit| digit.wrapping_sub(b'0')),
        )
    };
    let is_one_at_most = ones == 0 || digits.iter().all(|digit| *digit == b'0');
    (is_number && is_one_at_most).then(|| ones * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_the_value_of_the_parameter_q() {
        for (parameters, expected) in [
            ("", Weight::Absent),
            ("level=1", Weight::Absent),
            ("q", Weight::Absent),
            ("q=0.5", Weight::Given(500)),
            (" level=1 ;\tQ = 0.25 ", Weight::Given(250)),
            ("q=2", Weight::Malformed),
            ("q=", Weight::Malformed),
            ("q=0=1", Weight::Malformed),
        ] {
            assert_eq!(
                Weight::parse(parameters.as_bytes()),
                expected,
                "{parameters}"
            );
        }
    }

    #[test]
    fn a_weight_is_a_plain_number_up_to_one() {
        for (value, expected) in [
            ("0", 0),
            ("1", 1000),
            ("0.", 0),
            ("1.", 1000),
            ("0.5", 500),
            ("0.123", 123),
            ("0.001", 1),
            ("1.000", 1000),
            (".2", 200),
            ("0.3339", 333),
        ] {
            assert_eq!(thousandths(value.as_bytes()), Some(expected), "{value}");
        }
        for value in [
            "", ".", "2", "1.1", "1.0001", "-1", "+1", "+0.5", "00.5", "01", "0,5", "0.5 ", " 0.5",
            "5e-1", "0x1", "inf", "NaN", "0..5", "0.-5", "\u{661}",
        ] {
            assert_eq!(thousandths(value.as_bytes()), None, "{value:?}");
        }
    }
}
