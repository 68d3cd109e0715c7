//! How much a client likes something: the number behind `q=` (RFC 9110, 12.4.2).

/// Returns the weight in thousandths; `None` if the value is no plain number or more than 1.
///
/// Ignores digits behind the third. Accepts a number without the zero before its point, because Java's own
/// client sends `q=.2`.
pub(super) fn thousandths(value: &[u8]) -> Option<u16> {
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
