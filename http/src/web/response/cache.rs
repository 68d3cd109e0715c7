//! Caching and validators (RFC 9111; RFC 9110, 8.8 and 13).

use std::time::{Duration, SystemTime};

use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, EXPIRES, LAST_MODIFIED, PRAGMA,
};
use http::{HeaderValue, Method, StatusCode};

use super::{Response, ResponseBody};
use crate::error::InvalidAnswer;
use crate::exchange::request::Request;
use crate::web::conditional::{Evaluation, Validators, is_tag_byte};
use crate::web::date::http_date;

/// The fields about the body, which a 304 does not have (RFC 9110, 15.4.5).
const ABOUT_THE_BODY: [http::HeaderName; 5] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
];

impl Response {
    /// Sets the entity tag, written without its quotes. The tag must change whenever the body changes. A
    /// client that has the tag already is answered with 304.
    ///
    /// If the tag has a quote, a space or a control byte, sending the response is an error.
    ///
    /// ```
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::text("rye").with_etag("v7");
    /// assert_eq!(response.headers["etag"], "\"v7\"");
    /// ```
    #[must_use]
    #[doc(alias = "with_etag_keep")]
    pub fn with_etag(self, tag: &str) -> Self {
        self.with_tag("", tag)
    }

    /// Sets a weak entity tag. The tag must change whenever the meaning of the body changes, but may stay if
    /// only some bytes change (RFC 9110, 8.8.1).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::text("rye")
    ///     .with_weak_etag("v7")
    ///     .with_last_modified(SystemTime::UNIX_EPOCH)
    ///     .with_private_cache(Duration::from_secs(60));
    /// assert_eq!(response.headers["etag"], "W/\"v7\"");
    /// assert_eq!(response.headers["last-modified"], "Thu, 01 Jan 1970 00:00:00 GMT");
    /// assert_eq!(response.headers["cache-control"], "private, max-age=60");
    /// ```
    #[must_use]
    pub fn with_weak_etag(self, tag: &str) -> Self {
        self.with_tag("W/", tag)
    }

    fn with_tag(mut self, prefix: &str, tag: &str) -> Self {
        if !tag.bytes().all(is_tag_byte) {
            self.invalid.get_or_insert(InvalidAnswer::Value);
            return self;
        }
        self.with_header(ETAG, format!("{prefix}\"{tag}\""))
    }

    /// Sets the time of the last change. A client that has the response since then is answered with 304. A
    /// time before 1970 or after 9999 is left out, because no HTTP date has it.
    #[must_use]
    pub fn with_last_modified(self, time: SystemTime) -> Self {
        match http_date(time) {
            Some(date) => self.with_header(LAST_MODIFIED, date),
            None => self.without_header(LAST_MODIFIED.as_str()),
        }
    }

    /// Allows all caches to keep the response for this time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::web::response::Response;
    ///
    /// let response = Response::text("rye").with_public_cache(Duration::from_secs(60));
    /// assert_eq!(response.headers["cache-control"], "public, max-age=60");
    /// let response = response.with_no_cache();
    /// assert_eq!(response.headers["cache-control"], "no-store");
    /// ```
    #[must_use]
    pub fn with_public_cache(self, age_max: Duration) -> Self {
        self.with_cache("public", age_max)
    }

    /// Allows the client to keep the response for this time, and forbids it to shared caches.
    #[must_use]
    pub fn with_private_cache(self, age_max: Duration) -> Self {
        self.with_cache("private", age_max)
    }

    fn with_cache(self, who: &str, age_max: Duration) -> Self {
        let value = format!("{who}, max-age={}", age_max.as_secs());
        self.with_header(CACHE_CONTROL, value)
            .without_header(EXPIRES.as_str())
            .without_header(PRAGMA.as_str())
    }

    /// Forbids all caches to keep the response (RFC 9111, 5.2.2.5).
    #[must_use]
    pub fn with_no_cache(mut self) -> Self {
        let value = HeaderValue::from_static("no-store");
        self.headers.insert(CACHE_CONTROL, value);
        self.without_header(EXPIRES.as_str())
            .without_header(PRAGMA.as_str())
    }

    /// Evaluates the request's conditions. Becomes a 304 without a body if the client has this response, and
    /// a 412 if the client expects another state.
    ///
    /// [`send`](Self::send) calls this. It applies to GET and HEAD, if the response is a 200 with a tag or a
    /// date (RFC 9110, 13.2.1): see [`conditional`](crate::web::conditional).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::response::Response;
    /// use waterwheel::http::{Method, Request, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let page = async |request: Request<'_>| {
    ///     let response = Response::text("rye").with_etag("v7").for_condition(&request);
    ///     if response.status == StatusCode::NOT_MODIFIED {
    ///         println!("the client has it");
    ///     }
    ///     response.send(request).await
    /// };
    /// let fields = [("if-none-match", "\"v7\"")];
    /// let asked = async { TestClient::new(page).request(&Method::GET, "/", &fields, b"").await };
    /// assert_eq!(block_on(asked).status, StatusCode::NOT_MODIFIED);
    /// ```
    #[must_use]
    #[doc(alias = "simplify_if_etag_match")]
    pub fn for_condition(mut self, request: &Request<'_>) -> Self {
        let is_fetch = matches!(*request.method(), Method::GET | Method::HEAD);
        let validators = Validators::of(&self.headers);
        let Some(validators) = validators.filter(|_| is_fetch && self.status == StatusCode::OK)
        else {
            return self;
        };
        self.status = match validators.evaluate(request.method(), request.headers()) {
            Evaluation::Serve => return self,
            Evaluation::NotModified => StatusCode::NOT_MODIFIED,
            Evaluation::Failed => StatusCode::PRECONDITION_FAILED,
        };
        self.body = ResponseBody::Empty;
        for name in ABOUT_THE_BODY {
            self.headers.remove(name);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_tag_is_an_error_to_send() {
        let response = Response::text("").with_weak_etag("1-ü");
        assert_eq!(response.headers[ETAG].as_bytes(), "W/\"1-ü\"".as_bytes());
        assert_eq!(response.invalid, None);
        for bad in ["a\"b", "a b", "a\u{7f}", "a\r\n"] {
            let response = Response::text("").with_etag(bad);
            assert_eq!(response.invalid, Some(InvalidAnswer::Value), "{bad:?}");
            assert!(response.headers.get(ETAG).is_none());
        }
    }
}
