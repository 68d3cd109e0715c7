//! Text in HTML.

use std::borrow::Cow;

/// Escapes text for HTML, between tags or within the quotes of an attribute.
///
/// ```
/// use waterwheel::http::web::response::escape;
///
/// assert_eq!(escape("<b> & \"c'"), "&lt;b&gt; &amp; &quot;c&#39;");
/// ```
#[cfg_attr(
    not(feature = "response"),
    expect(unreachable_pub, reason = "`response` exports it")
)]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}
