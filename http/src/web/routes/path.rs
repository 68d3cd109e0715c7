//! Paths as they are looked up: escapes undone, but for those that would change the meaning.
//!
//! ```text
//! as it came       /caf%C3%A9/a%2Fb/100%25
//! looked up        /café/a%2Fb/100%25          `%2F` is no slash between segments; `%25` no escape
//! parameters       café    a/b     100%        undone, segment by segment
//! ```

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::web::percent::decode;

/// The path with its escapes undone, all but `%2F` and `%25`; `None` if one is malformed, or they
/// are no UTF-8.
pub(super) fn unescape(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    // Escaped once more, these two survive the decoding.
    let kept = path.replace("%25", "%2525").replace("%2F", "%252F");
    let decoded = decode(&kept.replace("%2f", "%252F"))?.into_owned();
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The rest of the escapes undone: what a parameter is.
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
    fn a_path_is_unescaped_but_for_slashes_and_percents() {
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
        fn whatever_is_escaped_comes_out_as_it_was(text in "\\PC*") {
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
    fn a_parameter_is_unescaped_whole() {
        assert_eq!(segment("a%2Fb"), "a/b");
        assert_eq!(segment("%252F"), "%2F");
        assert_eq!(segment("café"), "café");
    }
}
