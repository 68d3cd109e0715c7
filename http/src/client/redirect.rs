//! Redirects: the next request after an answer 3xx (RFC 9110, 15.4).

use http::{Method, StatusCode, Uri};

use super::error::{RequestError, RequestErrorKind};
use super::pool::Origin;
use crate::proto::request_head::escaped_target;

/// The redirects that a client follows.
///
/// | status | method of the next request | body of the next request |
/// |---|---|---|
/// | 301, 302 | GET after POST, else the same | none after POST, else the same |
/// | 303 | GET, or HEAD after HEAD | none |
/// | 307, 308 | the same | the same |
///
/// A request to another origin is sent without Authorization, Cookie, Proxy-Authorization and Host, also if a later
/// redirect leads back. Another scheme or port is another origin, so a redirect from http to https drops them, too.
/// Secrets in other fields, in the query of the Location and in the body go on. A redirect from https to http is an
/// error. So is one that must send a streamed body again, and one beyond the number. Bytes of a Location that no URI may
/// have, such as letters with accents, are percent-encoded.
///
/// The default is [`none`](Self::none).
///
/// # Examples
///
/// ```
/// use waterwheel::http::client::{Client, Redirects};
///
/// let client = Client::builder().redirects(Redirects::follow(10)).build();
/// # drop(client);
/// assert_eq!(Redirects::none(), Redirects::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirects {
    max: u32,
}

impl Redirects {
    /// Follows none: the answer 3xx is the answer.
    #[must_use]
    pub const fn none() -> Self {
        Self { max: 0 }
    }

    /// Follows up to `max` in a row.
    #[must_use]
    pub const fn follow(max: u32) -> Self {
        Self { max }
    }

    /// Returns the most redirects in a row. 0 follows none.
    pub(super) const fn max(self) -> u32 {
        self.max
    }
}

/// Returns the method of the request after `status`, and true if it has the same body. `None` is no redirect.
pub(super) fn next_method(status: StatusCode, method: &Method) -> Option<(Method, bool)> {
    match status.as_u16() {
        301 | 302 if *method == Method::POST => Some((Method::GET, false)),
        303 if *method == Method::HEAD => Some((Method::HEAD, false)),
        303 => Some((Method::GET, false)),
        301 | 302 | 307 | 308 => Some((method.clone(), true)),
        _ => None,
    }
}

/// Returns the place of a Location that was received from `base`, with its origin (RFC 3986, 5.2). Its fragment is left
/// out, and bytes that no URI may have are percent-encoded, as browsers do.
pub(super) fn resolve(base: &Uri, location: &[u8]) -> Result<(Uri, Origin), RequestError> {
    let wrong = || {
        RequestError::with(
            RequestErrorKind::Redirect,
            "its Location is malformed, or of another scheme than http",
        )
    };
    // A fragment is for the reader of the page, and never sent (RFC 9110, 7.1).
    let location = location.split(|byte| *byte == b'#').next();
    let location = &*escaped_target(location.unwrap_or_default());
    let scheme = base.scheme_str().unwrap_or("http");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let is_absolute = location.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    let absolute = match location {
        // Else a colon may stand in a path or in a query.
        _ if is_absolute => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ => {
            let (path, query) = match location.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (location, None),
            };
            let (path, query) = match path {
                // The same page: only an own query replaces that of the base (RFC 3986, 5.2.2).
                "" => (base.path().to_owned(), query.or(base.query())),
                _ if path.starts_with('/') => (without_dots(path), query),
                _ => {
                    let folder = base
                        .path()
                        .rsplit_once('/')
                        .map_or("", |(folder, _)| folder);
                    (without_dots(&format!("{folder}/{path}")), query)
                }
            };
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            format!("{scheme}://{authority}{path}{query}")
        }
    };
    let uri: Uri = absolute.parse().map_err(|_| wrong())?;
    let origin = Origin::of(&uri).map_err(|_| wrong())?;
    Ok((uri, origin))
}

/// Removes `.` and `..` from an absolute path (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push(""); // the result is a folder
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, location: &str, expected: &str) {
        let base = base.parse().unwrap_or_default();
        let resolved = resolve(&base, location.as_bytes());
        let resolved = resolved.map(|(uri, _)| uri.to_string());
        assert_eq!(resolved.unwrap_or_default(), expected, "{location}");
    }

    #[test]
    fn a_location_is_resolved_against_the_place_of_its_answer() {
        // RFC 3986, 5.4
        const BASE: &str = "http://a/b/c/d?q";
        check(BASE, "g", "http://a/b/c/g");
        check(BASE, "./g", "http://a/b/c/g");
        check(BASE, "g/", "http://a/b/c/g/");
        check(BASE, "/g", "http://a/g");
        check(BASE, "//g", "http://g/");
        check(BASE, "?y", "http://a/b/c/d?y");
        check(BASE, "g?y", "http://a/b/c/g?y");
        check(BASE, "#s", "http://a/b/c/d?q");
        check(BASE, "g#s", "http://a/b/c/g");
        check(BASE, "", "http://a/b/c/d?q");
        check(BASE, ".", "http://a/b/c/");
        check(BASE, "..", "http://a/b/");
        check(BASE, "../g", "http://a/b/g");
        check(BASE, "../../../g", "http://a/g");
        check(BASE, "/a/./b/../c", "http://a/a/c");
        check(BASE, "https://x:8/y", "https://x:8/y");
        check(BASE, "g:h/i", ""); // no host
        check(BASE, "http:g", ""); // no host, too
        check(BASE, "http://u@g/", "");
        // Bytes that no URI may have.
        check(
            BASE,
            "/caf\u{e9} {a}?\u{e9} \"<>",
            "http://a/caf%C3%A9%20%7Ba%7D?%C3%A9%20%22%3C%3E",
        );
        check(BASE, "/%zz[1]|\\#\u{e9}", "http://a/%zz[1]|%5C");
        check(BASE, "http://caf\u{e9}/", "");
        check("http://a", "g", "http://a/g");
        check(
            "http://a:81/x?y=1:2",
            "z?u=http://b/",
            "http://a:81/z?u=http://b/",
        );
    }

    #[test]
    fn a_method_survives_a_redirect_unless_its_status_or_custom_changes_it() {
        // RFC 9110, 15.4.2 to 15.4.9
        let next = |status: u16, method: Method| {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            next_method(status, &method)
        };
        for status in [301, 302] {
            assert_eq!(next(status, Method::POST), Some((Method::GET, false)));
            assert_eq!(next(status, Method::PUT), Some((Method::PUT, true)));
            assert_eq!(next(status, Method::HEAD), Some((Method::HEAD, true)));
        }
        assert_eq!(next(303, Method::POST), Some((Method::GET, false)));
        assert_eq!(next(303, Method::HEAD), Some((Method::HEAD, false)));
        for status in [307, 308] {
            assert_eq!(next(status, Method::POST), Some((Method::POST, true)));
        }
        for status in [200, 300, 304, 305, 306, 404] {
            assert_eq!(next(status, Method::GET), None);
        }
    }
}
