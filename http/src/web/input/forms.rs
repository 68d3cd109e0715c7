//! Queries and forms: names and values, or a struct with those fields.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_html_form as html_form;

use super::{BYTES_MAX, Pairs, media, pairs, unsuitable};
use crate::error::{ClientError, Result};
use crate::exchange::request::Request;

const FORM: &str = "application/x-www-form-urlencoded";

/// The query as a `T`, most often a struct of its parameters. Repeated names fill a `Vec`; what may
/// be missing is an `Option` or has a `#[serde(default)]`. What `T` does not know is passed over.
///
/// # Errors
///
/// 400 if it is not UTF-8; 422 if it is no `T`: the text names the parameter.
pub fn query<T: DeserializeOwned>(request: &Request<'_>) -> Result<T, ClientError> {
    typed(request.query().unwrap_or_default().as_bytes())
}

/// The query's names and values.
///
/// # Errors
///
/// 400 if it is not UTF-8.
pub fn query_pairs<'c>(request: &Request<'c>) -> Result<Pairs<'c>, ClientError> {
    Pairs::parse(request.query().unwrap_or_default())
}

/// A posted form as a `T`, at most [`BYTES_MAX`] long; as [`query`] otherwise. Forms with files are
/// another thing: this is `application/x-www-form-urlencoded`.
///
/// ```
/// use serde::Deserialize;
/// use waterwheel_http::web::input;
/// use waterwheel_http::{Request, Responded, Result, StatusCode};
///
/// #[derive(Deserialize)]
/// struct Sign {
///     name: String,
///     #[serde(default, deserialize_with = "input::checkbox")]
///     in_gold: bool,
/// }
///
/// async fn sign(request: Request<'_>) -> Result<Responded> {
///     let sign: Sign = input::form(&request).await?;
///     let text = if sign.in_gold { sign.name.to_uppercase() } else { sign.name };
///     request.respond(StatusCode::OK, text, ()).await
/// }
/// # drop(waterwheel_http::shared(sign));
/// ```
///
/// # Errors
///
/// 415 if it is no form, 400 and 422 as [`query`]; and as [`Request::bytes`].
#[doc(alias = "post_input")]
pub async fn form<T: DeserializeOwned>(request: &Request<'_>) -> Result<T> {
    form_up_to(request, BYTES_MAX).await
}

/// A posted form of at most so many bytes as a `T`; see [`form`].
///
/// # Errors
///
/// As [`form`].
pub async fn form_up_to<T: DeserializeOwned>(request: &Request<'_>, bytes_max: u64) -> Result<T> {
    Ok(typed(&form_bytes(request, bytes_max).await?)?)
}

/// A posted form's names and values, at most [`BYTES_MAX`] long.
///
/// # Errors
///
/// As [`form`].
#[doc(alias = "raw_urlencoded_post_input")]
pub async fn form_pairs(request: &Request<'_>) -> Result<Pairs<'static>> {
    let body = form_bytes(request, BYTES_MAX).await?;
    Ok(Pairs::parse(&body)?.into_owned())
}

async fn form_bytes(request: &Request<'_>, bytes_max: u64) -> Result<Vec<u8>> {
    media::expect(request, FORM, |media| media == FORM)?;
    request.body().bytes(bytes_max).await
}

fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    pairs::expect_utf8(bytes)?;
    let fields = html_form::Deserializer::from_bytes(bytes);
    serde_path_to_error::deserialize(fields).map_err(|error| {
        let place = error.path().to_string();
        unsuitable(&place, error.into_inner().to_string())
    })
}

/// Reads what a browser sends for a checkbox: `on`, or the value it was given; and `true` and
/// `false`, `1` and `0`, from those who write queries by hand. To be used with `#[serde(default)]`,
/// since of an empty checkbox nothing is sent.
///
/// # Errors
///
/// Where there is no text.
pub fn checkbox<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(!matches!(&*text, "false" | "off" | "0"))
}
