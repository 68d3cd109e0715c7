//! White space around values, and comma-separated lists (RFC 9110, 5.6.1 and 5.6.3).
//!
//! # Invariants
//!
//! - Always: white space is spaces and tabs.
//! - Never: other white space of ASCII or Unicode is stripped. A proxy does not strip it, so a name with such
//!   a byte would be one name for the proxy and another name here.

/// Returns true for a space and a tab, which may surround a field value (RFC 9110, 5.6.3).
#[inline]
pub(crate) const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns `value` without the spaces and tabs around it (RFC 9110, 5.6.3).
///
/// Use this for all bytes of a peer, because `str::trim` and `trim_ascii` strip more.
#[inline]
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    trim_end(trim_start(value))
}

/// Returns `text` without the spaces and tabs around it.
#[cfg(feature = "input")]
pub(crate) fn trim_text(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Returns `value` without the spaces and tabs before it.
#[inline]
pub(crate) fn trim_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

/// Returns `value` without the spaces and tabs after it.
#[inline]
pub(crate) fn trim_end(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Returns the members of a comma-separated list, without the empty ones (RFC 9110, 5.6.1.2).
///
/// A comma in a quoted string splits too. Callers compare whole plain members only, and half of a quoted
/// string never equals one.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_spaces_and_tabs_and_no_other() {
        for byte in 0..=255_u8 {
            let value = [byte, b'a', byte];
            let is_stripped = trim(&value) == b"a";
            assert_eq!(is_stripped, matches!(byte, b' ' | b'\t'), "{byte}");
        }
    }

    #[cfg(feature = "input")]
    #[test]
    fn around_text_it_is_the_same() {
        let characters = (0..=0xffff).filter_map(char::from_u32);
        for white in characters.filter(|character| character.is_whitespace()) {
            let text = format!("{white}a{white}");
            let is_stripped = trim_text(&text) == "a";
            assert_eq!(is_stripped, matches!(white, ' ' | '\t'), "{white:?}");
        }
    }

    #[test]
    fn a_list_has_no_empty_members() {
        let seen: Vec<&[u8]> = members(b", a,,\tb c ,").collect();
        assert_eq!(seen, [&b"a"[..], b"b c"]);
        assert_eq!(members(b" , ").count(), 0);
    }
}
