//! The white space around what peers send, and lists (RFC 9110, 5.6.1 and 5.6.3).
//!
//! **Always**: spaces and tabs. **Never**: any other white space of ASCII or Unicode. Peers do not strip
//! those, so a name that is another one to them would become ours.

/// Space or tab: what may stand around a field value (RFC 9110, 5.6.3).
#[inline]
pub(crate) const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns `value` without the spaces and tabs around it (RFC 9110, 5.6.3).
///
/// The only way to strip bytes of a peer: `str::trim` and `trim_ascii` strip more.
#[inline]
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    trim_end(trim_start(value))
}

/// The same for text.
#[cfg(feature = "input")]
pub(crate) fn trim_text(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// `value` without the white space before it.
#[inline]
pub(crate) fn trim_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

/// `value` without the white space behind it.
#[inline]
pub(crate) fn trim_end(mut value: &[u8]) -> &[u8] {
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
