//! The media type of a body (RFC 9110, 8.3), and the default limit of its length.

use http::StatusCode;

use crate::error::ClientError;
use crate::exchange::request::Request;
use crate::headers::white_space::trim_text;
use crate::web::parameters::{Malformed, Parameter, parameters};
use crate::web::single::content_type;

/// The default limit for a form, JSON or a text, in bytes.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn length(request: Request<'_>) -> Result<Responded> {
///     let text = input::text_up_to(&request, 4 * input::BYTES_MAX).await?;
///     request.respond(StatusCode::OK, text.len().to_string(), ()).await
/// }
/// # drop(waterwheel::http::shared(length));
/// ```
pub const BYTES_MAX: u64 = 1024 * 1024;

/// Refuses a body if `fits` returns false for its media type. `fits` receives it in lower case and without
/// its parameters.
pub(super) fn expect(
    request: &Request<'_>,
    wanted: &str,
    fits: impl FnOnce(&str) -> bool,
) -> Result<(), ClientError> {
    // A value that is not UTF-8 is not a media type.
    let field = str::from_utf8(content_type(request.headers())?).unwrap_or_default();
    let media = field.split(';').next().unwrap_or_default();
    if fits(&trim_text(media).to_ascii_lowercase()) {
        return Ok(());
    }
    Err(unsupported(format!("expected content-type {wanted}")))
}

/// Refuses a body in another charset than UTF-8 or ASCII.
pub(super) fn expect_utf8(request: &Request<'_>) -> Result<(), ClientError> {
    let is_of_utf8 = |parameter: Result<Parameter<'_>, Malformed>| {
        let Ok(Parameter { name, value }) = parameter else {
            return false;
        };
        let known: [&[u8]; 3] = [b"utf-8", b"utf8", b"us-ascii"];
        !name.eq_ignore_ascii_case(b"charset")
            || known.iter().any(|known| known.eq_ignore_ascii_case(&value))
    };
    if parameters(content_type(request.headers())?).all(is_of_utf8) {
        return Ok(());
    }
    Err(unsupported("expected charset utf-8".to_owned()))
}

fn unsupported(text: String) -> ClientError {
    ClientError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}

#[cfg(test)]
mod tests {
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::testing::TestClient;

    /// Returns the status of a text with this Content-Type.
    fn status(content_type: &str) -> u16 {
        let text = async |request: Request<'_>| {
            expect(&request, "text/plain", |media| media == "text/plain")?;
            expect_utf8(&request)?;
            request.respond(StatusCode::OK, "", ()).await
        };
        let fields = [("content-type", content_type)];
        let answer = block_on(async {
            let mut client = TestClient::new(text);
            client.request(&http::Method::POST, "/", &fields, b"").await
        });
        answer.status.as_u16()
    }

    #[test]
    fn only_space_and_tab_are_stripped_from_a_media_type() {
        assert_eq!(status("text/plain"), 200);
        assert_eq!(status("Text/PLAIN \t; \tcharset=UTF-8"), 200);
        for white in ["\u{a0}", "\u{2003}", "\u{3000}"] {
            assert_eq!(status(&format!("text/plain{white}")), 415, "{white:?}");
            assert_eq!(status(&format!("{white}text/plain")), 415, "{white:?}");
            let charset = format!("text/plain; charset={white}utf-8");
            assert_eq!(status(&charset), 415, "{white:?}");
        }
    }

    #[test]
    fn a_quoted_charset_has_both_quotes() {
        assert_eq!(status("text/plain; charset=\"utf-8\""), 200);
        for charset in ["\"utf-8", "utf-8\"", "\"\"utf-8\"\"", "latin1"] {
            assert_eq!(
                status(&format!("text/plain; charset={charset}")),
                415,
                "{charset}"
            );
        }
        // RFC 9110, 5.6.4: a semicolon within quotes is a part of the value.
        assert_eq!(status("text/plain; x=\";charset=latin1\""), 200);
        assert_eq!(status("text/plain; x=\"\\\";\"; charset=latin1"), 415);
    }
}
