//! Queries and forms, as pairs or as a struct of their fields.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_html_form as html_form;

use super::fault::unsuitable;
use super::media::{self, BYTES_MAX};
use super::pairs::{self, Pairs};
use crate::error::{ClientError, Result};
use crate::exchange::request::Request;

const FORM: &str = "application/x-www-form-urlencoded";

/// Reads the query as a `T`, usually a struct of its parameters.
///
/// A repeated name fills a `Vec`. An optional parameter is an `Option`, or has `#[serde(default)]`.
/// Parameters that `T` does not have are ignored. The [module](super) has an example.
///
/// # Errors
///
/// 400 if the query is not UTF-8. 422 if it is not a valid `T`; the text names the parameter.
///
/// # Examples
///
/// ```
/// use serde::Deserialize;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// #[derive(Deserialize)]
/// struct Search {
///     grain: String,
///     page: Option<u32>,
/// }
///
/// let search = async |request: Request<'_>| {
///     let Search { grain, page } = input::query(&request)?;
///     request.respond(StatusCode::OK, format!("{grain}, page {}", page.unwrap_or(1)), ()).await
/// };
/// block_on(async {
///     let mut client = TestClient::new(search);
///     assert_eq!(client.get("/?grain=rye").await.text(), "rye, page 1");
///     let refused = client.get("/?grain=rye&page=last").await; // 422, and the text names `page`
///     assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
/// });
/// ```
pub fn query<T: DeserializeOwned>(request: &Request<'_>) -> Result<T, ClientError> {
    typed(request.query().unwrap_or_default().as_bytes())
}

/// Returns the names and values of the query.
///
/// ```
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Result};
///
/// fn page(request: &Request<'_>) -> Result<u32> {
///     Ok(input::query_pairs(request)?.parse_value("page").unwrap_or(1))
/// }
/// ```
///
/// # Errors
///
/// 400 if the query is not UTF-8.
pub fn query_pairs<'c>(request: &Request<'c>) -> Result<Pairs<'c>, ClientError> {
    Pairs::parse(request.query().unwrap_or_default())
}

/// Reads a posted form (`application/x-www-form-urlencoded`) as a `T`, up to [`BYTES_MAX`]. The fields are
/// read as by [`query`]. `multipart` reads forms with files.
///
/// ```
/// use serde::Deserialize;
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
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
/// # drop(waterwheel::http::shared(sign));
/// ```
///
/// # Errors
///
/// 415 for another media type, 400 and 422 as for [`query`]; and the errors of [`Request::bytes`].
#[doc(alias = "post_input")]
pub async fn form<T: DeserializeOwned>(request: &Request<'_>) -> Result<T> {
    form_up_to(request, BYTES_MAX).await
}

/// Reads a posted form of at most `bytes_max` bytes as a `T`; see [`form`].
///
/// # Errors
///
/// The errors of [`form`].
///
/// # Examples
///
/// ```
/// use serde::Deserialize;
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// #[derive(Deserialize)]
/// struct Novel {
///     text: String,
/// }
///
/// async fn words(request: Request<'_>) -> Result<Responded> {
///     let novel: Novel = input::form_up_to(&request, 8 * 1024 * 1024).await?;
///     let words = novel.text.split_whitespace().count();
///     request.respond(StatusCode::OK, format!("{words} words\n"), ()).await
/// }
/// # drop(waterwheel::http::shared(words));
/// ```
pub async fn form_up_to<T: DeserializeOwned>(request: &Request<'_>, bytes_max: u64) -> Result<T> {
    Ok(typed(&form_bytes(request, bytes_max).await?)?)
}

/// Returns the names and values of a posted form, up to [`BYTES_MAX`].
///
/// ```
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn names(request: Request<'_>) -> Result<Responded> {
///     let form = input::form_pairs(&request).await?;
///     let names: Vec<&str> = form.iter().map(|(name, _)| name).collect();
///     request.respond(StatusCode::OK, names.join(" "), ()).await
/// }
/// # drop(waterwheel::http::shared(names));
/// ```
///
/// # Errors
///
/// The errors of [`form`].
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

/// Deserializes a checkbox. Returns false for `false`, `off` and `0`, and true for any other text, because
/// browsers send `on` or the checkbox's own value.
///
/// Use it with `#[serde(default)]`, because browsers send no field for an empty checkbox. [`form`] has an
/// example.
///
/// # Errors
///
/// If the value is not a text.
///
/// # Examples
///
/// ```
/// use serde::Deserialize;
/// use waterwheel::http::web::input;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// #[derive(Deserialize)]
/// struct Order {
///     #[serde(default, deserialize_with = "input::checkbox")]
///     express: bool,
/// }
///
/// let order = async |request: Request<'_>| {
///     let order: Order = input::query(&request)?;
///     request.respond(StatusCode::OK, order.express.to_string(), ()).await
/// };
/// block_on(async {
///     let mut client = TestClient::new(order);
///     assert_eq!(client.get("/?express=on").await.text(), "true");
///     assert_eq!(client.get("/").await.text(), "false"); // an empty checkbox sends no field
/// });
/// ```
pub fn checkbox<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(!matches!(&*text, "false" | "off" | "0"))
}
