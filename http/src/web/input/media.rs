//! What a body says it is (RFC 9110, 8.3).

use http::StatusCode;

use crate::error::ClientError;
use crate::request::Request;

/// Refuses a body of a media type that is not `fits`, which sees it in lower case and without its
/// parameters.
pub(super) fn expect(
    request: &Request<'_>,
    wanted: &str,
    fits: impl FnOnce(&str) -> bool,
) -> Result<(), ClientError> {
    let field = request.headers().get("content-type").unwrap_or_default();
    let media = field.split(';').next().unwrap_or_default().trim();
    if fits(&media.to_ascii_lowercase()) {
        return Ok(());
    }
    Err(unsupported(format!("the content is to be {wanted}")))
}

/// Refuses a body that says it is in anything but UTF-8, or ASCII, which is UTF-8.
pub(super) fn expect_utf8(request: &Request<'_>) -> Result<(), ClientError> {
    let field = request.headers().get("content-type").unwrap_or_default();
    let charset = field.split(';').skip(1).find_map(charset);
    let is_utf8 = charset.is_none_or(|charset| {
        let known = ["utf-8", "utf8", "us-ascii"];
        known
            .iter()
            .any(|known| known.eq_ignore_ascii_case(charset))
    });
    if is_utf8 {
        return Ok(());
    }
    Err(unsupported("the content is to be in UTF-8".to_owned()))
}

fn charset(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.split_once('=')?;
    let is_charset = name.trim().eq_ignore_ascii_case("charset");
    is_charset.then(|| value.trim().trim_matches('"'))
}

fn unsupported(text: String) -> ClientError {
    ClientError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}
