//! Values from requests: query, form, JSON, text, cookies, credentials, and content negotiation.
//!
//! ```
//! use serde::Deserialize;
//! use waterwheel_http::testing::TestClient;
//! use waterwheel_http::web::input;
//! use waterwheel_http::{Request, Responded, Result, StatusCode};
//! use waterwheel_runtime::block_on;
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     flour: String,
//!     sacks: u8,
//! }
//!
//! async fn order(request: Request<'_>) -> Result<Responded> {
//!     let order: Order = input::query(&request)?;
//!     let text = format!("{} of {}", order.sacks, order.flour);
//!     request.respond(StatusCode::OK, text, ()).await
//! }
//!
//! block_on(async {
//!     let mut client = TestClient::new(order);
//!     assert_eq!(client.get("/?flour=rye+%26+oat&sacks=7").await.text(), "7 of rye & oat");
//!     let answer = client.get("/?flour=rye&sacks=many").await;
//!     assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
//!     assert_eq!(answer.text(), "sacks: invalid digit found in string\n");
//! });
//! ```
//!
//! An invalid value is a [`ClientError`], which a handler passes on with `?`:
//!
//! | fault | status |
//! |---|---|
//! | malformed: not UTF-8, not JSON; a repeated Content-Type | 400 |
//! | an offer that the client does not accept | 406 |
//! | too long | 413 |
//! | another media type, or a missing one | 415 |
//! | well-formed, but not the expected type; the text names the field | 422 |
//!
//! A body is read once. If a handler reads it again, it is empty.

mod accept;
mod auth;
mod cookies;
mod forms;
#[cfg(feature = "json")]
mod json;
mod media;
mod pairs;

use std::borrow::Cow;

use http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::error::{ClientError, Result};
use crate::exchange::request::Request;

pub use accept::{negotiate, preferred, priorities};
pub use auth::{Credentials, basic_auth};
pub use cookies::{cookie, cookies};
pub use forms::{checkbox, form, form_pairs, form_up_to, query, query_pairs};
#[cfg(feature = "json")]
pub use json::{json, json_up_to};
pub use pairs::Pairs;

/// The default limit for a form, JSON or a text, in bytes.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// The longest explanation that is sent to a client, in bytes.
const EXPLANATION_BYTES_MAX: usize = 256;

/// Returns the path with its escapes decoded, also `%2F`. Bytes that are not UTF-8 become replacement
/// characters.
///
/// Use it to show a path. Do not split it, because a slash may belong to a name. The parameters of routes are
/// decoded already.
///
/// ```
/// use waterwheel_http::testing::TestClient;
/// use waterwheel_http::web::input;
/// use waterwheel_http::{Request, StatusCode};
/// use waterwheel_runtime::block_on;
///
/// let show = async |request: Request<'_>| {
///     let path = input::path(&request);
///     request.respond(StatusCode::OK, &*path, ()).await
/// };
/// let answer = block_on(async { TestClient::new(show).get("/caf%C3%A9").await });
/// assert_eq!(answer.text(), "/café");
/// ```
#[doc(alias = "url")]
pub fn path<'c>(request: &Request<'c>) -> Cow<'c, str> {
    percent_decode_str(request.path()).decode_utf8_lossy()
}

/// Reads the body as text: `text/plain` in UTF-8, up to [`BYTES_MAX`].
///
/// ```
/// use waterwheel_http::web::input;
/// use waterwheel_http::{Request, Responded, Result, StatusCode};
///
/// async fn shout(request: Request<'_>) -> Result<Responded> {
///     let text = input::text(&request).await?.to_uppercase();
///     request.respond(StatusCode::OK, text, ()).await
/// }
/// # drop(waterwheel_http::shared(shout));
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
#[doc(alias = "plain_text_body_with_limit")]
pub async fn text_up_to(request: &Request<'_>, bytes_max: u64) -> Result<String> {
    media::expect(request, "text/plain", |media| media == "text/plain")?;
    media::expect_utf8(request)?;
    let body = request.body().bytes(bytes_max).await?;
    Ok(String::from_utf8(body).map_err(|_| malformed("the text is not UTF-8"))?)
}

fn malformed(text: impl Into<Cow<'static, str>>) -> ClientError {
    ClientError::new(StatusCode::BAD_REQUEST, text)
}

/// Makes a 422 that names the place and the reason. Cuts a long reason.
fn unsuitable(place: &str, mut why: String) -> ClientError {
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
