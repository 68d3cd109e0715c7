//! HTML responses.

use super::{IntoResponse, Response};
use crate::error::Result;

pub use crate::web::html::escape;

/// A page, sent as `text/html; charset=utf-8`. Escape all text from others with [`escape`].
///
/// ```
/// use waterwheel::http::Request;
/// use waterwheel::http::web::response::{Html, escape};
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
