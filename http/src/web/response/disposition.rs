//! `Content-Disposition: attachment` for any file name (RFC 6266, RFC 8187).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but `attr-char` (RFC 8187, 3.2.1).
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Returns the field's value: the name in ASCII, and also in full if that differs.
pub(super) fn attachment(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let plain: String = name.chars().map(plain).collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    let full = utf8_percent_encode(name, NOT_ATTR_CHAR);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

/// Replaces a character that needs an escape within quotes.
fn plain(c: char) -> char {
    match c {
        '"' | '%' => '_',
        ' '..='~' => c,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_name_becomes_a_valid_field() {
        assert_eq!(attachment("a b.txt"), "attachment; filename=\"a b.txt\"");
        assert_eq!(
            attachment("Mühle \"1\".txt"),
            "attachment; filename=\"M_hle _1_.txt\"; filename*=UTF-8''M%C3%BChle%20%221%22.txt"
        );
        assert_eq!(
            attachment("100%.txt\r\nx: y"),
            "attachment; filename=\"100_.txt__x: y\"; filename*=UTF-8''100%25.txt%0D%0Ax%3A%20y"
        );
        assert_eq!(attachment("/etc/passwd"), "attachment; filename=\"passwd\"");
        assert_eq!(attachment("C:\\a\\b"), "attachment; filename=\"b\"");
    }
}
