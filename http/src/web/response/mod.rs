//! An answer as a value: made here, changed there, sent in the end.
//!
//! [`Request::respond`](crate::Request::respond) answers at once, and costs nothing more. A
//! [`Response`] is for what is handed around before: by a handler that returns it, by a function
//! that wraps another.
//!
//! ```
//! use std::time::Duration;
//! use waterwheel_http::web::response::Response;
//! use waterwheel_http::{Request, Responded, Result};
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
//! **Always**: a Content-Length where the length is known. **Never**: a header that would break
//! the message it stands in; building a response from a client's words cannot fail, sending it
//! can, and then it is a 500.

mod body;
mod cache;
#[cfg(feature = "cookies")]
mod cookie;
mod disposition;
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
use crate::request::Request;
use crate::responded::Responded;

pub use body::ResponseBody;
#[cfg(feature = "cookies")]
pub use cookie::{Cookie, CookieBuilder, Expiration, SameSite};
pub use html::{Html, escape};
pub use into::IntoResponse;
#[cfg(feature = "json")]
pub use json::Json;

/// A status, header fields, and a body.
///
/// All three are public: what they are can be looked at and changed. Those who like builders have
/// [`builder`](Self::builder).
#[derive(Debug, Default)]
pub struct Response {
    /// 200, 404 …
    pub status: StatusCode,
    /// All fields but those that the server decides.
    pub headers: HeaderMap,
    /// What follows them.
    pub body: ResponseBody,
    /// What was wrong with a field that was to be set.
    invalid: Option<InvalidAnswer>,
}

/// What a URL may not have in it as it is (RFC 3986, 2): it is escaped in a Location.
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

/// Making one.
impl Response {
    /// A response of that status, with that body and no header fields.
    pub fn new(status: StatusCode, body: impl Into<ResponseBody>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    /// The `http` crate's builder, whose result becomes one of these with `from`.
    ///
    /// ```
    /// use waterwheel_http::web::response::Response;
    /// use waterwheel_http::{Result, StatusCode};
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

    /// A response of that status and nothing else.
    #[doc(alias = "empty_200")]
    #[doc(alias = "empty_204")]
    #[doc(alias = "empty_400")]
    #[doc(alias = "empty_404")]
    #[doc(alias = "empty_406")]
    #[doc(alias = "empty_500")]
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, ())
    }

    /// 200 with bytes of that media type.
    #[doc(alias = "from_data")]
    pub fn data(content_type: &str, data: impl Into<ResponseBody>) -> Self {
        Self::new(StatusCode::OK, data).with_header(CONTENT_TYPE, content_type)
    }

    /// 200 with a page.
    pub fn html(page: impl Into<ResponseBody>) -> Self {
        Self::typed("text/html; charset=utf-8", page)
    }

    /// 200 with text.
    pub fn text(text: impl Into<ResponseBody>) -> Self {
        Self::typed("text/plain; charset=utf-8", text)
    }

    /// 200 with a drawing.
    pub fn svg(drawing: impl Into<ResponseBody>) -> Self {
        Self::typed("image/svg+xml; charset=utf-8", drawing)
    }

    fn typed(content_type: &'static str, body: impl Into<ResponseBody>) -> Self {
        let mut response = Self::new(StatusCode::OK, body);
        let value = HeaderValue::from_static(content_type);
        response.headers.insert(CONTENT_TYPE, value);
        response
    }

    /// 200 with a whole file of that media type. Whoever serves folders wants more than this:
    /// ranges, conditions, care about paths.
    ///
    /// # Errors
    ///
    /// What `fstat(2)` says.
    #[doc(alias = "from_file")]
    pub fn file(content_type: &str, file: File) -> io::Result<Self> {
        Ok(Self::data(content_type, ResponseBody::file(file)?))
    }

    /// 301: it is elsewhere from now on; a POST becomes a GET in most clients.
    #[doc(alias = "redirect_301")]
    pub fn moved_permanently(location: &str) -> Self {
        Self::redirect(StatusCode::MOVED_PERMANENTLY, location)
    }

    /// 302: it is elsewhere for now; a POST becomes a GET in most clients.
    #[doc(alias = "redirect_302")]
    pub fn found(location: &str) -> Self {
        Self::redirect(StatusCode::FOUND, location)
    }

    /// 303: what came of it is there to be fetched. The answer to a form.
    #[doc(alias = "redirect_303")]
    pub fn see_other(location: &str) -> Self {
        Self::redirect(StatusCode::SEE_OTHER, location)
    }

    /// 307: it is elsewhere for now; the method stays.
    #[doc(alias = "redirect_307")]
    pub fn temporary_redirect(location: &str) -> Self {
        Self::redirect(StatusCode::TEMPORARY_REDIRECT, location)
    }

    /// 308: it is elsewhere from now on; the method stays.
    #[doc(alias = "redirect_308")]
    pub fn permanent_redirect(location: &str) -> Self {
        Self::redirect(StatusCode::PERMANENT_REDIRECT, location)
    }

    /// A redirection (RFC 9110, 15.4). What no URL can have in it is escaped; where it leads is
    /// not looked at, so nobody should be sent where a request says unless that is meant.
    fn redirect(status: StatusCode, location: &str) -> Self {
        let location = utf8_percent_encode(location, UNSAFE).to_string();
        Self::empty(status).with_header(LOCATION, location)
    }

    /// 401 that asks for a name and a password (RFC 7617, 2), `realm` being what they are for.
    #[doc(alias = "basic_http_auth_login_required")]
    pub fn unauthorized(realm: &str) -> Self {
        let realm: String = realm
            .chars()
            .filter(|c| *c == ' ' || c.is_ascii_graphic())
            .flat_map(|c| {
                matches!(c, '"' | '\\')
                    .then_some('\\')
                    .into_iter()
                    .chain([c])
            })
            .collect();
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        Self::empty(StatusCode::UNAUTHORIZED).with_header(WWW_AUTHENTICATE, challenge)
    }
}

/// Changing it.
impl Response {
    /// The same with another status.
    #[must_use]
    #[doc(alias = "with_status_code")]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with another body. Header fields that were about the old one stay.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<ResponseBody>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with this field, in place of all others of that name.
    ///
    /// A name or a value that no field can have is an error when the response is sent.
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

    /// The same with this field, beside others of that name.
    ///
    /// A name or a value that no field can have is an error when the response is sent.
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

    /// The same without any field of that name, in any case.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The same, to be saved under that name and not shown (RFC 6266).
    ///
    /// The name may be any text: it goes out in ASCII for old clients and in full for others, and
    /// without the folders in front of it.
    #[must_use]
    #[doc(alias = "with_content_disposition_attachment")]
    pub fn with_attachment(self, file_name: &str) -> Self {
        self.with_header(CONTENT_DISPOSITION, disposition::attachment(file_name))
    }

    /// Whether its status is one of 200 to 399.
    pub fn is_success(&self) -> bool {
        self.status.is_success() || self.status.is_redirection()
    }

    /// Whether its status is 400 or more.
    pub fn is_error(&self) -> bool {
        self.status.as_u16() >= 400
    }
}

/// Sending it.
impl Response {
    /// Answers the request with it: with 304 and no body, if the client's condition says that it
    /// has what this is (RFC 9110, 13).
    ///
    /// # Errors
    ///
    /// When a field could not be set or may not be sent; when the body cannot be read, or is not as
    /// long as it said; when the peer is gone.
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

/// The version and the extensions are dropped: one is the server's to say, the others nobody's.
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
