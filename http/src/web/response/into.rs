//! The values that a handler may return.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::Response;
use crate::error::{Error, Result};

/// A value that becomes a [`Response`]: a text, bytes, a page, a status, or a combination.
///
/// | value | answer |
/// |---|---|
/// | `&'static str`, `String`, `Cow<'static, str>` | 200, `text/plain; charset=utf-8` |
/// | `Vec<u8>`, `Bytes`, `&'static [u8]` | 200, `application/octet-stream` |
/// | [`Html`](super::Html) | 200, `text/html; charset=utf-8` |
/// | `Json` | 200, `application/json` |
/// | `()` | 204 |
/// | `StatusCode` | this status, without a body |
/// | `(StatusCode, value)` | this status, and the answer of the value |
/// | `(StatusCode, fields, value)`, `(fields, value)` | with these fields instead of the value's own |
/// | `Result<value, error>` | the answer of the value, or an [`Error`] |
///
/// ```
/// use waterwheel::http::web::response::{Html, IntoResponse};
/// use waterwheel::http::{Result, StatusCode};
///
/// # fn main() -> Result<()> {
/// let response = (StatusCode::CREATED, [("x-mill", "1")], Html("<p>done")).into_response()?;
/// assert_eq!(response.status, StatusCode::CREATED);
/// assert_eq!(response.headers["content-type"], "text/html; charset=utf-8");
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become a response",
    note = "these can: text, bytes, `Html`, `Json`, `Response`, `StatusCode`, and tuples and results of these"
)]
pub trait IntoResponse {
    /// Converts the value to a response.
    ///
    /// # Errors
    ///
    /// If the conversion fails, or if the value is an error.
    fn into_response(self) -> Result<Response>;
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Result<Response> {
        Ok(Response::text(self))
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Result<Response> {
        Ok(Response::text(self))
    }
}

impl IntoResponse for Cow<'static, str> {
    fn into_response(self) -> Result<Response> {
        Ok(Response::text(self.into_owned()))
    }
}

impl IntoResponse for &'static [u8] {
    fn into_response(self) -> Result<Response> {
        Bytes::from_static(self).into_response()
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Result<Response> {
        Bytes::from(self).into_response()
    }
}

impl IntoResponse for Bytes {
    fn into_response(self) -> Result<Response> {
        Ok(Response::typed("application/octet-stream", self))
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response> {
        Ok(Response::empty(StatusCode::NO_CONTENT))
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response> {
        Ok(Response::empty(self))
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response> {
        Ok(self.1.into_response()?.with_status(self.0))
    }
}

impl<N, V, const COUNT: usize, T> IntoResponse for ([(N, V); COUNT], T)
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
    T: IntoResponse,
{
    fn into_response(self) -> Result<Response> {
        let (fields, value) = self;
        let with = |response: Response, (name, value)| response.with_header(name, value);
        Ok(fields.into_iter().fold(value.into_response()?, with))
    }
}

impl<T: IntoResponse> IntoResponse for (HeaderMap, T) {
    fn into_response(self) -> Result<Response> {
        let mut response = self.1.into_response()?;
        for name in self.0.keys() {
            response.headers.remove(name);
        }
        response.headers.extend(self.0);
        Ok(response)
    }
}

impl<H, T> IntoResponse for (StatusCode, H, T)
where
    (H, T): IntoResponse,
{
    fn into_response(self) -> Result<Response> {
        (self.0, (self.1, self.2)).into_response()
    }
}

impl<T: IntoResponse, E: Into<Error>> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response> {
        self.map_err(Into::into)?.into_response()
    }
}
