//! `Set-Cookie` (RFC 6265, 4.1).

use http::HeaderValue;
use http::header::SET_COOKIE;

use super::Response;
use crate::error::InvalidAnswer;

pub use cookie::{Cookie, CookieBuilder, Expiration, SameSite};

impl Response {
    /// Adds a Set-Cookie field, beside other cookies of this response.
    ///
    /// The cookie is sent as it is. It is an error when the response is sent if its name is not a token, or
    /// if its value, path or domain has a byte that no cookie may have (RFC 6265, 4.1.1). So a client's
    /// text cannot add an attribute. [`Cookie::make_removal`] makes a cookie that deletes another one.
    ///
    /// ```
    /// use waterwheel::http::web::response::{Cookie, Response, SameSite};
    ///
    /// let cookie = Cookie::build(("visits", "7")).path("/").http_only(true).same_site(SameSite::Lax);
    /// let response = Response::text("welcome").with_cookie(cookie);
    /// let field = &response.headers["set-cookie"];
    /// assert_eq!(field, "visits=7; HttpOnly; SameSite=Lax; Path=/");
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "cookies")))]
    #[must_use]
    pub fn with_cookie<'c>(mut self, cookie: impl Into<Cookie<'c>>) -> Self {
        let cookie = cookie.into();
        let field = HeaderValue::try_from(cookie.to_string()).ok();
        match field.filter(|_| is_valid(&cookie)) {
            Some(field) => {
                self.headers.append(SET_COOKIE, field);
            }
            None => {
                self.invalid.get_or_insert(InvalidAnswer::Value);
            }
        }
        self
    }
}

/// The cookie crate checks none of this: it trusts its caller.
fn is_valid(cookie: &Cookie<'_>) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_attribute = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
    };
    let is_octet =
        |byte| matches!(byte, b'!' | b'#'..=b'+' | b'-'..=b':' | b'<'..=b'[' | b']'..=b'~');
    let value = cookie.value();
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    !cookie.name().is_empty()
        && cookie.name().bytes().all(is_token)
        && quoted.unwrap_or(value).bytes().all(is_octet)
        && cookie.path().is_none_or(is_attribute)
        && cookie.domain().is_none_or(is_attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cookie: impl Into<Cookie<'static>>, expected: Option<&str>) {
        let response = Response::text("").with_cookie(cookie);
        let fields = response.headers.get_all(SET_COOKIE).iter();
        let seen: Vec<_> = fields.map(|value| value.to_str().ok()).collect();
        assert_eq!(seen, expected.map(Some).into_iter().collect::<Vec<_>>());
        assert_eq!(response.invalid.is_none(), expected.is_some());
    }

    #[test]
    fn a_cookie_is_one_field() {
        check(("a", ""), Some("a="));
        check(("__Host-sid", "1+/=:~"), Some("__Host-sid=1+/=:~"));
        check(("a", "\"b\""), Some("a=\"b\""));
        let secure = Cookie::build(("a", "b")).secure(true).path("/x");
        check(secure, Some("a=b; Secure; Path=/x"));
        let two = Response::text("")
            .with_cookie(("a", "1"))
            .with_cookie(("b", "2"));
        assert_eq!(two.headers.get_all(SET_COOKIE).iter().count(), 2);
    }

    #[test]
    fn no_part_of_a_cookie_can_end_it() {
        // RFC 6265, 4.1.1
        for name in ["", "a b", "a=b", "a;b", "a\r\n", "\u{e9}"] {
            check((name, "1"), None);
        }
        for value in [
            "a;b", "a b", "a,b", "a\\", "a\"b", "\"a", "a\r\nb", "\u{e9}", "\0",
        ] {
            check(("a", value), None);
        }
        for attribute in ["/; Domain=x", "/\r\n", "/\u{7f}", "\u{e9}"] {
            check(Cookie::build(("a", "b")).path(attribute), None);
            check(Cookie::build(("a", "b")).domain(attribute), None);
        }
    }
}
