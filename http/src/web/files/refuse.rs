//! Answers without a file.

use std::borrow::Cow;

use http::StatusCode;

use crate::error::ClientError;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;

pub(super) const NO_FIELDS: [(&str, &str); 0] = [];

/// Answers with an error of the client: the reason phrase as text, and these fields.
pub(super) fn refuse<V: Into<Cow<'static, str>>>(
    request: Request<'_>,
    status: StatusCode,
    fields: impl IntoIterator<Item = (&'static str, V)>,
) -> Responded {
    let text = status.canonical_reason().unwrap_or_default().to_lowercase();
    let with = |error: ClientError, (name, value)| error.with_header(name, value);
    let error = fields
        .into_iter()
        .fold(ClientError::new(status, text), with);
    request.refuse(&error)
}
