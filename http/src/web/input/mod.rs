//! Values from requests: query, form, JSON, text, cookies, credentials, and content negotiation.
//!
//! ```
//! use serde::Deserialize;
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::web::input;
//! use waterwheel::http::{Request, Responded, Result, StatusCode};
//! use waterwheel::runtime::block_on;
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
//! An invalid value is a [`ClientError`](crate::ClientError), which a handler passes on with `?`:
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
mod fault;
mod forms;
#[cfg(feature = "json")]
mod json;
mod media;
mod pairs;
mod text;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::exchange::request::Request;

pub use accept::{negotiate, preferred, priorities};
pub use auth::{Credentials, basic_auth, is_same_secret};
pub use cookies::{cookie, cookies};
pub use forms::{checkbox, form, form_pairs, form_up_to, query, query_pairs};
#[cfg(feature = "json")]
pub use json::{json, json_up_to};
pub use media::BYTES_MAX;
pub use pairs::Pairs;
pub use text::{text, text_up_to};

/// Returns the path with its escapes decoded, also `%2F`. Bytes that are not UTF-8 become replacement
/// characters.
///
/// Use it to show a path. Do not split it, because a slash may belong to a name. The parameters of routes are
/// decoded already.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
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
