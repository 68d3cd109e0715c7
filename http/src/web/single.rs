//! Header fields that a request has once (RFC 9110, 5.3).
//!
//! A proxy in front of the server may read the first of two fields, and this server the last. So a
//! repeated field is never read as one of its values.

use crate::headers::Headers;

/// Returns the value of a field. Returns `None` if the field is absent or repeated.
#[cfg(any(
    feature = "events",
    feature = "files",
    feature = "input",
    feature = "middleware",
    feature = "response",
    feature = "websocket"
))]
pub(super) fn only<'a>(headers: Headers<'a>, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name);
    values.next().filter(|_| values.next().is_none())
}

/// Returns the value of Content-Type, which is empty if the field is absent.
///
/// # Errors
///
/// 400 if the field is repeated.
#[cfg(any(feature = "input", feature = "multipart"))]
pub(super) fn content_type(headers: Headers<'_>) -> Result<&[u8], crate::error::ClientError> {
    let mut values = headers.get_all("content-type");
    let value = values.next().unwrap_or_default();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(crate::error::ClientError::new(
            http::StatusCode::BAD_REQUEST,
            "more than one content-type",
        )),
    }
}
