//! Client errors of malformed forms.

use std::borrow::Cow;

use http::StatusCode;

use crate::error::ClientError;

pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> ClientError {
    ClientError::new(StatusCode::BAD_REQUEST, text)
}

pub(super) fn malformed_head() -> ClientError {
    bad("the head of a part is malformed")
}
