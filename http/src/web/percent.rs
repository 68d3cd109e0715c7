//! Percent-decoding that refuses malformed escapes (RFC 3986, 2.1).
//!
//! The decoder of the `percent-encoding` crate keeps a malformed escape as it is. A path must not have
//! one, because other servers may read it in another way.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes all escapes once. Returns `None` if a `%` is not followed by two hexadecimal digits.
pub(super) fn decode(text: &str) -> Option<Cow<'_, [u8]>> {
    let mut behind_percents = text.as_bytes().split(|byte| *byte == b'%').skip(1);
    let is_well_formed = behind_percents.all(starts_with_two_digits);
    is_well_formed.then(|| percent_decode_str(text).into())
}

/// Returns true if another decoding would change the bytes.
#[cfg(feature = "files")]
pub(super) fn has_escape(bytes: &[u8]) -> bool {
    let mut behind_percents = bytes.split(|byte| *byte == b'%').skip(1);
    behind_percents.any(starts_with_two_digits)
}

fn starts_with_two_digits(bytes: &[u8]) -> bool {
    let digits = bytes.get(..2);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("a+b", Some(b"a+b")),
            ("%61%20%C3%a9", Some("a \u{e9}".as_bytes())),
            ("%2561", Some(b"%61")),
            ("%ff%00", Some(b"\xff\0")),
            ("%", None),
            ("%6", None),
            ("%zz", None),
            ("%+1", None),
            ("a%", None),
            ("%%61", None),
            ("%\u{e9}1", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
