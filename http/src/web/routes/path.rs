//! Paths for the lookup: decoded, except the escapes that would change the path's structure.
//!
//! ```text
//! request          /caf%C3%A9/a%2Fb/100%25
//! lookup           /café/a%2Fb/100%25          `%2F` is not a slash between segments; `%25` is not an escape
//! parameters       café    a/b     100%        decoded segment by segment
//! ```

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::web::percent::decode;

/// Decodes all escapes of a path except `%2F` and `%25`. Returns `None` if an escape is malformed, or if the
/// path is not UTF-8.
pub(super) fn unescape(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    // Escaped once more, these two survive the decoding.
    let kept = path.replace("%25", "%2525").replace("%2F", "%252F");
    let decoded = decode(&kept.replace("%2f", "%252F"))?.into_owned();
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Decodes the remaining escapes of a parameter.
pub(super) fn segment(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, looked_up: Option<&str>) {
        assert_eq!(unescape(path).as_deref(), looked_up);
    }

    #[test]
    fn a_path_is_decoded_except_slashes_and_percents() {
        check("/a/b", Some("/a/b"));
        check("/%61", Some("/a")); // RFC 3986, 6.2.2.2
        check("/caf%C3%A9", Some("/café"));
        check("/caf%c3%a9", Some("/café"));
        check("/a%2Fb", Some("/a%2Fb"));
        check("/a%2fb", Some("/a%2Fb"));
        check("/100%25", Some("/100%25"));
        check("/%252F", Some("/%252F"));
        check("/a+b", Some("/a+b")); // a plus is one, in a path
        check("/%", None);
        check("/%4", None);
        check("/%4g", None);
        check("/%+1", None);
        check("/%ff", None); // not UTF-8
    }

    proptest::proptest! {
        #[test]
        fn any_escaped_text_is_decoded(text in "\\PC*") {
            use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
            let path = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            let looked_up = unescape(&path).expect("it is well-formed");
            proptest::prop_assert!(!looked_up.contains('/'));
            proptest::prop_assert_eq!(&*segment(&looked_up), &*text);
        }

        #[test]
        fn a_path_of_any_bytes_is_read_or_refused(path in "[/%0-9a-fA-Fgz.é]*") {
            if let Some(looked_up) = unescape(&path) {
                let slashes = |text: &str| text.matches('/').count();
                proptest::prop_assert_eq!(slashes(&looked_up), slashes(&path));
            }
        }
    }

    #[test]
    fn a_parameter_is_decoded_completely() {
        assert_eq!(segment("a%2Fb"), "a/b");
        assert_eq!(segment("%252F"), "%2F");
        assert_eq!(segment("café"), "café");
    }
}
