//! JSON.

use serde::Serialize;

use super::{IntoResponse, Response};
use crate::error::Result;

/// A value, answered with as JSON.
///
/// ```
/// use serde::Serialize;
/// use waterwheel_http::web::response::Json;
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        Response::json(&self.0)
    }
}

impl Response {
    /// 200 with a value as JSON, which is UTF-8 without saying so (RFC 8259, 8.1 and 11).
    ///
    /// # Errors
    ///
    /// When it cannot be JSON: a map whose keys are no text, or a `Serialize` that fails.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(Self::typed("application/json", body))
    }
}
