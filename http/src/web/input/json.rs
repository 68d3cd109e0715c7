//! JSON bodies.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::fault::{malformed, unsuitable};
use super::media::{self, BYTES_MAX};
use crate::error::{ClientError, Result};
use crate::exchange::request::Request;

/// Reads the body as a `T`, up to [`BYTES_MAX`]. The media type is `application/json`, or ends in `+json`.
///
/// ```
/// use serde::Deserialize;
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// #[derive(Deserialize)]
/// struct Sack {
///     grains: u32,
/// }
///
/// async fn total(request: Request<'_>) -> Result<Responded> {
///     let sacks: Vec<Sack> = input::json(&request).await?;
///     let grains: u32 = sacks.iter().map(|sack| sack.grains).sum();
///     request.respond(StatusCode::OK, grains.to_string(), ()).await
/// }
/// # drop(waterwheel::http::shared(total));
/// ```
///
/// # Errors
///
/// 415 for another media type, 400 for malformed JSON, and 422 if the JSON is not a valid `T`. The text names
/// the place: `[1].grains: invalid type: string "x", expected u32`. And the errors of [`Request::bytes`].
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
#[doc(alias = "json_input")]
pub async fn json<T: DeserializeOwned>(request: &Request<'_>) -> Result<T> {
    json_up_to(request, BYTES_MAX).await
}

/// Reads the body as a `T`, up to `bytes_max` bytes; see [`json`].
///
/// # Errors
///
/// The errors of [`json`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn count(request: Request<'_>) -> Result<Responded> {
///     let numbers: Vec<f64> = input::json_up_to(&request, 64 * 1024 * 1024).await?;
///     request.respond(StatusCode::OK, format!("{} numbers\n", numbers.len()), ()).await
/// }
/// # drop(waterwheel::http::shared(count));
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub async fn json_up_to<T: DeserializeOwned>(request: &Request<'_>, bytes_max: u64) -> Result<T> {
    let is_json = |media: &str| media == "application/json" || media.ends_with("+json");
    media::expect(request, "application/json", is_json)?;
    let body = request.body().bytes(bytes_max).await?;
    let mut json = serde_json::Deserializer::from_slice(&body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        blame(&place, &error.into_inner())
    })?;
    json.end().map_err(|error| blame("", &error))?;
    Ok(value)
}

fn blame(place: &str, error: &serde_json::Error) -> ClientError {
    let (line, column) = (error.line(), error.column());
    if error.classify() != Category::Data {
        return malformed(format!("malformed JSON at line {line}, column {column}"));
    }
    let why = error.to_string();
    let position = format!(" at line {line} column {column}");
    unsuitable(
        place,
        why.strip_suffix(&position).unwrap_or(&why).to_owned(),
    )
}
