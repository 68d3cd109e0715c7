//! Text bodies.

use super::fault::malformed;
use super::media::{self, BYTES_MAX};
use crate::error::Result;
use crate::exchange::request::Request;

/// Reads the body as text: `text/plain` in UTF-8, up to [`BYTES_MAX`].
///
/// ```
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn shout(request: Request<'_>) -> Result<Responded> {
///     let text = input::text(&request).await?.to_uppercase();
///     request.respond(StatusCode::OK, text, ()).await
/// }
/// # drop(waterwheel::http::shared(shout));
/// ```
///
/// # Errors
///
/// 415 for another media type or charset, 400 if the text is not UTF-8; and the errors of [`Request::bytes`].
#[doc(alias = "plain_text_body")]
pub async fn text(request: &Request<'_>) -> Result<String> {
    text_up_to(request, BYTES_MAX).await
}

/// Reads the body as text of at most `bytes_max` bytes; see [`text`].
///
/// # Errors
///
/// The errors of [`text`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let short = async |request: Request<'_>| {
///     let text = input::text_up_to(&request, 3).await?;
///     request.respond(StatusCode::OK, text, ()).await
/// };
/// let text = [("content-type", "text/plain")];
/// let asked = async { TestClient::new(short).request(&Method::POST, "/", &text, b"four").await };
/// assert_eq!(block_on(asked).status, StatusCode::PAYLOAD_TOO_LARGE);
/// ```
#[doc(alias = "plain_text_body_with_limit")]
pub async fn text_up_to(request: &Request<'_>, bytes_max: u64) -> Result<String> {
    media::expect(request, "text/plain", |media| media == "text/plain")?;
    media::expect_utf8(request)?;
    let body = request.body().bytes(bytes_max).await?;
    Ok(String::from_utf8(body).map_err(|_| malformed("the text is not UTF-8"))?)
}
