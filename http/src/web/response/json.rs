//! JSON responses.

use serde::Serialize;

use super::{IntoResponse, Response};
use crate::error::Result;

/// A value that is sent as JSON.
///
/// ```
/// use serde::Serialize;
/// use waterwheel::http::web::response::Json;
///
/// #[derive(Serialize)]
/// struct Sack {
///     grains: u32,
/// }
///
/// async fn sack() -> Json<Sack> {
///     Json(Sack { grains: 7 })
/// }
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        Response::json(&self.0)
    }
}

impl Response {
    /// Makes a 200 with a value as JSON. The content type has no charset, because JSON is always UTF-8 (RFC
    /// 8259, 8.1 and 11).
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::json(&[7, 3])?;
    /// assert_eq!(response.body.as_bytes(), Some(&b"[7,3]"[..]));
    /// # Ok::<(), waterwheel::http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value has no JSON: a map whose keys are not text, or a `Serialize` that fails.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(Self::typed("application/json", body))
    }
}
