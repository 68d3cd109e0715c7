//! What a request brings along, as values: query, form, JSON, text, cookies, credentials, and what
//! its sender would like to have.
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
//! What is wrong with it is a [`ClientError`], which a handler passes on with `?`:
//!
//! | | status |
//! |---|---|
//! | malformed: not UTF-8, not JSON | 400 |
//! | longer than it may be | 413 |
//! | of another media type, or of none | 415 |
//! | well-formed, but not what was asked for; the text names the field | 422 |
//! | nothing there that its sender would take | 406 |
//!
//! Bodies are read once: whoever reads one again finds it empty.

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

/// How long a form, JSON or a text may be where nothing else is said, in bytes.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// The most of an explanation that a client is sent, in bytes.
const EXPLANATION_BYTES_MAX: usize = 256;

/// The path with its escapes undone, `%2F` too; what is not UTF-8 is replaced.
///
/// To be shown, not to be taken apart: a slash may have been part of a name. Parameters of routes have
/// had their escapes undone already.
#[doc(alias = "url")]
pub fn path<'c>(request: &Request<'c>) -> Cow<'c, str> {
    percent_decode_str(request.path()).decode_utf8_lossy()
}

/// The body as text: `text/plain`, in UTF-8, at most [`BYTES_MAX`] long.
///
/// # Errors
///
/// A [`ClientError`] if it is something else; and as [`Request::bytes`].
#[doc(alias = "plain_text_body")]
pub async fn text(request: &Request<'_>) -> Result<String> {
    text_up_to(request, BYTES_MAX).await
}

/// The body as text of at most so many bytes; see [`text`].
///
/// # Errors
///
/// As [`text`].
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

/// Says what is wrong where, and not at any length.
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
