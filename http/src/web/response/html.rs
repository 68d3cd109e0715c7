//! Pages.

use std::borrow::Cow;

use super::{IntoResponse, Response};
use crate::error::Result;

/// A page: `text/html; charset=utf-8`. What goes into it unescaped is up to whoever writes it;
/// [`escape`] makes text of anything.
///
/// ```
/// use waterwheel_http::Request;
/// use waterwheel_http::web::response::{Html, escape};
///
/// async fn here(request: &Request<'_>) -> Html<String> {
///     Html(format!("<p>This is <code>{}</code>.", escape(request.path())))
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Html<T>(pub T);

impl<T: Into<String>> IntoResponse for Html<T> {
    fn into_response(self) -> Result<Response> {
        Ok(Response::html(self.0.into()))
    }
}

/// The text as it is written in HTML, between tags or within the quotes of an attribute.
///
/// ```
/// use waterwheel_http::web::response::escape;
///
/// assert_eq!(escape("<b> & \"c'"), "&lt;b&gt; &amp; &quot;c&#39;");
/// ```
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}
