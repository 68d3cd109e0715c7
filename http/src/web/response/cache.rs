//! What may be kept, how long, and whether it is still the same (RFC 9111; RFC 9110, 8.8 and 13).

use std::time::{Duration, SystemTime};

use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, EXPIRES, LAST_MODIFIED, PRAGMA,
};
use http::{HeaderValue, Method, StatusCode};

use super::{Response, ResponseBody};
use crate::error::InvalidAnswer;
use crate::request::Request;
use crate::web::conditional::{Evaluation, Validators};
use crate::web::date::http_date;

/// What goes with the body that a 304 has not (RFC 9110, 15.4.5).
const ABOUT_THE_BODY: [http::HeaderName; 5] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
];

impl Response {
    /// The same, named by a tag that changes whenever the body does: a client that has it already
    /// is answered 304. Written without the quotes.
    ///
    /// A tag with a quote, a space or a control byte in it is an error when the response is sent.
    #[must_use]
    #[doc(alias = "with_etag_keep")]
    pub fn with_etag(self, tag: &str) -> Self {
        self.with_tag("", tag)
    }

    /// The same, named by a tag that changes whenever what the body says does, if not each byte of
    /// it (RFC 9110, 8.8.1).
    #[must_use]
    pub fn with_weak_etag(self, tag: &str) -> Self {
        self.with_tag("W/", tag)
    }

    fn with_tag(mut self, prefix: &str, tag: &str) -> Self {
        if !tag.chars().all(may_be_in_a_tag) {
            self.invalid.get_or_insert(InvalidAnswer::Value);
            return self;
        }
        self.with_header(ETAG, format!("{prefix}\"{tag}\""))
    }

    /// The same, changed last at that time: a client that has it since is answered 304. A time
    /// before 1970 or after 9999 cannot be said, and is not.
    #[must_use]
    pub fn with_last_modified(self, time: SystemTime) -> Self {
        match http_date(time) {
            Some(date) => self.with_header(LAST_MODIFIED, date),
            None => self.without_header(LAST_MODIFIED.as_str()),
        }
    }

    /// The same, to be kept by anybody for so long.
    #[must_use]
    pub fn with_public_cache(self, age_max: Duration) -> Self {
        self.with_cache("public", age_max)
    }

    /// The same, to be kept by the client itself for so long, and by nobody in between.
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

    /// The same, to be kept by nobody (RFC 9111, 5.2.2.5).
    #[must_use]
    pub fn with_no_cache(mut self) -> Self {
        let value = HeaderValue::from_static("no-store");
        self.headers.insert(CACHE_CONTROL, value);
        self.without_header(EXPIRES.as_str())
            .without_header(PRAGMA.as_str())
    }

    /// The same, or 304 without a body if the request's condition says that the client has it.
    ///
    /// Or 412, if the client wants something that this is not. [`send`](Self::send) does this by
    /// itself, for answers with a tag or a date to GET and HEAD that would be a 200
    /// (RFC 9110, 13.2.1): see [`conditional`](crate::web::conditional).
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

/// `etagc` (RFC 9110, 8.8.3).
fn may_be_in_a_tag(c: char) -> bool {
    c == '!' || ('#'..='~').contains(&c) || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_can_be_none_is_an_error_to_send() {
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
