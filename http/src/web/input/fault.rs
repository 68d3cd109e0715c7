//! Client errors of values that cannot be read.

use std::borrow::Cow;

use http::StatusCode;

use crate::error::ClientError;

/// The longest explanation that is sent to a client, in bytes.
const EXPLANATION_BYTES_MAX: usize = 256;

pub(super) fn malformed(text: impl Into<Cow<'static, str>>) -> ClientError {
    ClientError::new(StatusCode::BAD_REQUEST, text)
}

/// Makes a 422 that names the place and the reason. Cuts a long reason.
pub(super) fn unsuitable(place: &str, mut why: String) -> ClientError {
    if let Some(end) = (0..=EXPLANATION_BYTES_MAX)
        .rev()
        .find(|at| why.len() > EXPLANATION_BYTES_MAX && why.is_char_boundary(*at))
    {
        why.truncate(end);
        why.push('…');
    }
    let text = match place {
        "." | "" => why,
        _ => format!("{place}: {why}"),
    };
    ClientError::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}
