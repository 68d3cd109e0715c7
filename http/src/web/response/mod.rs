//! Responses as values, which a handler returns and middleware changes before they are sent.
//!
//! [`Request::respond`](crate::Request::respond) answers at once and without this type. A [`Response`] is for
//! code that builds an answer in several steps.
//!
//! ```
//! use std::time::Duration;
//! use waterwheel::http::web::response::Response;
//! use waterwheel::http::{Request, Responded, Result};
//!
//! async fn logo(request: Request<'_>) -> Result<Responded> {
//!     Response::svg("<svg xmlns='http://www.w3.org/2000/svg'/>")
//!         .with_etag("1")
//!         .with_public_cache(Duration::from_secs(3600))
//!         .send(request) // 304 to those who have it already
//!         .await
//! }
//! ```
//!
//! **Always**: a Content-Length if the length is known. **Never**: an invalid header field. Building a
//! response from a client's text cannot fail. Sending it can fail, which is a 500.

mod body;
mod cache;
#[cfg(feature = "cookies")]
mod cookie;
mod disposition;
mod errors;
mod html;
mod into;
#[cfg(feature = "json")]
mod json;

use std::fs::File;
use std::io;

use http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, WWW_AUTHENTICATE,
};
use http::{StatusCode, response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::error::{InvalidAnswer, Result};
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::challenge;

pub use body::ResponseBody;
#[cfg_attr(docsrs, doc(cfg(feature = "cookies")))]
#[cfg(feature = "cookies")]
pub use cookie::{Cookie, CookieBuilder, Expiration, SameSite};
#[cfg(feature = "routes")]
pub(super) use errors::page;
pub use html::{Html, escape};
pub use into::IntoResponse;
#[cfg(feature = "json")]
pub use json::Json;

/// A status, header fields, and a body.
///
/// All three are public, so code can read and change them. [`builder`](Self::builder) returns a builder.
///
/// ```
/// use waterwheel::http::StatusCode;
/// use waterwheel::http::web::response::Response;
///
/// let mut response = Response::text("closed");
/// response.status = StatusCode::SERVICE_UNAVAILABLE;
/// assert!(response.is_error());
/// assert_eq!(response.body.as_bytes(), Some(&b"closed"[..]));
/// ```
#[derive(Debug, Default)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// All header fields except those that the server sets.
    pub headers: HeaderMap,
    /// The body.
    pub body: ResponseBody,
    /// The error of the first field that could not be set.
    invalid: Option<InvalidAnswer>,
}

/// Bytes that a URL must not contain (RFC 3986, 2). They are escaped in Location.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Constructors.
impl Response {
    /// Makes a response of this status and body, without header fields.
    ///
    /// ```
    /// use waterwheel::http::StatusCode;
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::new(StatusCode::CREATED, "done").with_header("x-mill", "1");
    /// assert!(response.is_success());
    /// assert_eq!(response.without_header("X-Mill").headers.len(), 0);
    /// ```
    pub fn new(status: StatusCode, body: impl Into<ResponseBody>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    /// Returns the `http` crate's builder. `from` converts its result.
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    /// use waterwheel::http::{Result, StatusCode};
    ///
    /// # fn main() -> Result<()> {
    /// let built = Response::builder().status(201).header("x-mill", "1").body("done")?;
    /// assert_eq!(Response::from(built).status, StatusCode::CREATED);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "ResponseBuilder")]
    pub fn builder() -> response::Builder {
        response::Builder::new()
    }

    /// Makes a response of this status, without header fields and body.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::StatusCode;
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::empty(StatusCode::NO_CONTENT);
    /// assert_eq!(response.body.length(), Some(0));
    /// assert_eq!(response.with_status(StatusCode::GONE).with_body("gone").body.length(), Some(4));
    /// ```
    #[doc(alias = "empty_200")]
    #[doc(alias = "empty_204")]
    #[doc(alias = "empty_400")]
    #[doc(alias = "empty_404")]
    #[doc(alias = "empty_406")]
    #[doc(alias = "empty_500")]
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, ())
    }

    /// Makes a 200 with bytes of this media type.
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::data("image/png", &b"\x89PNG"[..]);
    /// assert_eq!(response.headers["content-type"], "image/png");
    /// ```
    #[doc(alias = "from_data")]
    pub fn data(content_type: &str, data: impl Into<ResponseBody>) -> Self {
        Self::new(StatusCode::OK, data).with_header(CONTENT_TYPE, content_type)
    }

    /// Makes a 200 with a page.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let page = Response::html("<!doctype html><p>rye");
    /// assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    /// let wheel = Response::svg("<svg xmlns='http://www.w3.org/2000/svg'/>");
    /// assert_eq!(wheel.headers["content-type"], "image/svg+xml; charset=utf-8");
    /// ```
    pub fn html(page: impl Into<ResponseBody>) -> Self {
        Self::typed("text/html; charset=utf-8", page)
    }

    /// Makes a 200 with text.
    pub fn text(text: impl Into<ResponseBody>) -> Self {
        Self::typed("text/plain; charset=utf-8", text)
    }

    /// Makes a 200 with an SVG image.
    pub fn svg(drawing: impl Into<ResponseBody>) -> Self {
        Self::typed("image/svg+xml; charset=utf-8", drawing)
    }

    fn typed(content_type: &'static str, body: impl Into<ResponseBody>) -> Self {
        let mut response = Self::new(StatusCode::OK, body);
        let value = HeaderValue::from_static(content_type);
        response.headers.insert(CONTENT_TYPE, value);
        response
    }

    /// Makes a 200 with a whole file of this media type. `web::files` serves folders, with ranges, conditions
    /// and safe paths.
    ///
    /// # Errors
    ///
    /// The errors of `fstat(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::file("text/plain", File::open("Cargo.toml")?)?;
    /// assert_eq!(response.body.length(), Some(std::fs::metadata("Cargo.toml")?.len()));
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "from_file")]
    pub fn file(content_type: &str, file: File) -> io::Result<Self> {
        Ok(Self::data(content_type, ResponseBody::file(file)?))
    }

    /// Makes a 301: the resource has moved permanently. Most clients change POST to GET.
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::moved_permanently("/new place");
    /// assert_eq!(response.headers["location"], "/new%20place");
    /// ```
    #[doc(alias = "redirect_301")]
    pub fn moved_permanently(location: &str) -> Self {
        Self::redirect(StatusCode::MOVED_PERMANENTLY, location)
    }

    /// Makes a 302: the resource is elsewhere for now. Most clients change POST to GET.
    #[doc(alias = "redirect_302")]
    pub fn found(location: &str) -> Self {
        Self::redirect(StatusCode::FOUND, location)
    }

    /// Makes a 303: the client must GET the result from there. This is the usual answer to a form.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let answers = [
    ///     (Response::found("/elsewhere"), 302),
    ///     (Response::see_other("/result"), 303),
    ///     (Response::temporary_redirect("/elsewhere"), 307),
    ///     (Response::permanent_redirect("/new"), 308),
    /// ];
    /// assert!(answers.iter().all(|(answer, status)| answer.status.as_u16() == *status));
    /// ```
    #[doc(alias = "redirect_303")]
    pub fn see_other(location: &str) -> Self {
        Self::redirect(StatusCode::SEE_OTHER, location)
    }

    /// Makes a 307: the resource is elsewhere for now. The method stays.
    #[doc(alias = "redirect_307")]
    pub fn temporary_redirect(location: &str) -> Self {
        Self::redirect(StatusCode::TEMPORARY_REDIRECT, location)
    }

    /// Makes a 308: the resource has moved permanently. The method stays.
    #[doc(alias = "redirect_308")]
    pub fn permanent_redirect(location: &str) -> Self {
        Self::redirect(StatusCode::PERMANENT_REDIRECT, location)
    }

    /// A redirection (RFC 9110, 15.4). Bytes that a URL must not contain are escaped. The target is not
    /// checked, so a location from a request can lead to any site.
    fn redirect(status: StatusCode, location: &str) -> Self {
        let location = utf8_percent_encode(location, UNSAFE).to_string();
        Self::empty(status).with_header(LOCATION, location)
    }

    /// Makes a 401 that asks for a name and a password (RFC 7617, 2). Browsers show `realm` to the user.
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::unauthorized("the granary");
    /// let challenge = "Basic realm=\"the granary\", charset=\"UTF-8\"";
    /// assert_eq!(response.headers["www-authenticate"], challenge);
    /// ```
    #[doc(alias = "basic_http_auth_login_required")]
    pub fn unauthorized(realm: &str) -> Self {
        let challenge = challenge::basic(realm);
        Self::empty(StatusCode::UNAUTHORIZED).with_header(WWW_AUTHENTICATE, challenge)
    }
}

/// Changes.
impl Response {
    /// Sets the status.
    #[must_use]
    #[doc(alias = "with_status_code")]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Sets the body. Keeps all header fields, also those about the old body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<ResponseBody>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets this field, and removes all others of that name.
    ///
    /// If the name or the value is invalid, sending the response is an error.
    #[must_use]
    #[doc(alias = "with_unique_header")]
    pub fn with_header(
        mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Self {
        if let Some((name, value)) = self.valid(name, value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds this field, and keeps others of that name.
    ///
    /// If the name or the value is invalid, sending the response is an error.
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::text("").with_added_header("link", "</a>").with_added_header("link", "</b>");
    /// assert_eq!(response.headers.get_all("link").iter().count(), 2);
    /// ```
    #[must_use]
    #[doc(alias = "with_additional_header")]
    pub fn with_added_header(
        mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Self {
        if let Some((name, value)) = self.valid(name, value) {
            self.headers.append(name, value);
        }
        self
    }

    fn valid(
        &mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Option<(HeaderName, HeaderValue)> {
        let name = name.try_into().map_err(|_| InvalidAnswer::Name);
        let value = value.try_into().map_err(|_| InvalidAnswer::Value);
        match name.and_then(|name| Ok((name, value?))) {
            Ok(field) => Some(field),
            Err(invalid) => {
                self.invalid.get_or_insert(invalid);
                None
            }
        }
    }

    /// Removes all fields of that name, in any case.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Asks the client to save the response under this name instead of showing it (RFC 6266).
    ///
    /// The name may be any text. Folders in front of it are removed. The field has it in ASCII for old
    /// clients, and also in full for others.
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::text("").with_attachment("tmp/report.txt");
    /// assert_eq!(response.headers["content-disposition"], "attachment; filename=\"report.txt\"");
    /// ```
    #[must_use]
    #[doc(alias = "with_content_disposition_attachment")]
    pub fn with_attachment(self, file_name: &str) -> Self {
        self.with_header(CONTENT_DISPOSITION, disposition::attachment(file_name))
    }

    /// Returns true for a status from 200 to 399.
    pub fn is_success(&self) -> bool {
        self.status.is_success() || self.status.is_redirection()
    }

    /// Returns true for a status of 400 or more.
    pub fn is_error(&self) -> bool {
        self.status.as_u16() >= 400
    }
}

/// Sending.
impl Response {
    /// Sends the response as the answer to the request. Sends a 304 without a body if the request's condition
    /// says that the client has this response (RFC 9110, 13).
    ///
    /// # Errors
    ///
    /// If a field could not be set or must not be sent, if the body cannot be read or has another length than
    /// it said, or if the client has left.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    /// use waterwheel::http::{Request, Responded, Result};
    ///
    /// async fn drawing(request: Request<'_>) -> Result<Responded> {
    ///     Response::svg("<svg xmlns='http://www.w3.org/2000/svg'/>").send(request).await
    /// }
    /// # drop(waterwheel::http::shared(drawing));
    /// ```
    pub async fn send(self, request: Request<'_>) -> Result<Responded> {
        let Self {
            status,
            mut headers,
            body,
            ..
        } = self.for_condition(&request).checked()?;
        if let Some(bytes) = body.as_bytes() {
            return request.respond(status, bytes, headers).await;
        }
        // Without a length, the server sends chunks.
        if let Some(length) = body.length() {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        body.send(request.start(status, headers).await?).await
    }
}

impl Response {
    /// Returns the error of the first field that could not be set, if there is one.
    pub(super) fn checked(self) -> Result<Self> {
        match self.invalid {
            Some(invalid) => Err(invalid.into()),
            None => Ok(self),
        }
    }
}

/// Drops the version and the extensions, because the server sets the version and sends no extensions.
impl<B: Into<ResponseBody>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Self {
        let (
            response::Parts {
                status, headers, ..
            },
            body,
        ) = response.into_parts();
        Self {
            status,
            headers,
            body: body.into(),
            invalid: None,
        }
    }
}
