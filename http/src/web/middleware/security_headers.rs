//! Fields that make browsers more careful with the pages of a site.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::exchange::handler::Handler;
use crate::exchange::request::Request;

/// Adds fields to each answer, also to errors, that make browsers more careful.
///
/// | field | default | |
/// |---|---|---|
/// | X-Content-Type-Options | `nosniff` | the Content-Type is believed |
/// | Referrer-Policy | `strict-origin-when-cross-origin` | other sites learn the origin of a link, and not its path |
/// | X-Frame-Options | `SAMEORIGIN` | no other site shows a page in a frame |
/// | Cross-Origin-Opener-Policy | `same-origin` | a window that another site has opened cannot reach it |
/// | Cross-Origin-Resource-Policy | `same-origin` | no other site embeds the answers; leave it [out](Self::without) for images that others may show. Requests by [`Cors`](super::Cors) are not affected |
/// | Strict-Transport-Security | none | see [`hsts`](Self::hsts) |
/// | Content-Security-Policy, Permissions-Policy | none | they depend on the pages: [`set`](Self::set) them |
///
/// A field of the handler's own answer takes the place of one of these. So does an inner `SecurityHeaders`, and
/// [`Request::replace_header`] for the answer to an error.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::SecurityHeaders;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let page = async |request: Request<'_>| {
///     if request.path() == "/map" {
///         request.replace_header("x-frame-options", "DENY")?;
///     }
///     request.respond(StatusCode::OK, "", ()).await
/// };
/// let careful = SecurityHeaders::new()
///     .set("content-security-policy", "default-src 'self'; frame-ancestors 'self'")
///     .without("cross-origin-resource-policy")
///     .around(page);
/// block_on(async {
///     let mut client = TestClient::new(careful);
///     assert_eq!(client.get("/").await.headers["x-frame-options"], "SAMEORIGIN");
///     assert_eq!(client.get("/map").await.headers["x-frame-options"], "DENY");
/// });
/// ```
#[derive(Clone, Debug)]
#[must_use = "`around` makes a handler of it"]
pub struct SecurityHeaders(Vec<(HeaderName, HeaderValue)>);

/// The defaults of the table above.
const DEFAULTS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-frame-options", "SAMEORIGIN"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

impl SecurityHeaders {
    /// Makes the defaults.
    pub fn new() -> Self {
        DEFAULTS
            .into_iter()
            .fold(Self(Vec::new()), |fields, (name, value)| {
                fields.set(name, value)
            })
    }

    /// Sets a field, in place of the default.
    ///
    /// # Panics
    ///
    /// If the name or the value is invalid.
    pub fn set(self, name: &str, value: &str) -> Self {
        let mut fields = self.without(name);
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => fields.0.push((name, value)),
            _ => panic!("{name:?} with the value {value:?} is no field"),
        }
        fields
    }

    /// Leaves a field out.
    pub fn without(mut self, name: &str) -> Self {
        self.0
            .retain(|(found, _)| !name.eq_ignore_ascii_case(found.as_str()));
        self
    }

    /// Makes browsers use https only, for this long after each answer (Strict-Transport-Security, RFC 6797). Use it once
    /// https works everywhere, because it cannot be taken back. Browsers ignore it over http. [`set`](Self::set) can add
    /// `includeSubDomains`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::web::middleware::SecurityHeaders;
    ///
    /// let year = Duration::from_secs(365 * 24 * 60 * 60);
    /// let careful = SecurityHeaders::new().hsts(year);
    /// # drop(careful);
    /// ```
    pub fn hsts(self, age: Duration) -> Self {
        self.set(
            "strict-transport-security",
            &format!("max-age={}", age.as_secs()),
        )
    }

    /// Adds the fields to the answers of a handler.
    pub fn around(self, handler: impl Handler) -> impl Handler {
        async move |request: Request<'_>| {
            for (name, value) in &self.0 {
                request.replace_header(name, value)?;
            }
            handler.call(request).await
        }
    }
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        Self::new()
    }
}
