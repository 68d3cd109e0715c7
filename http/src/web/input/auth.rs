//! Basic authentication (RFC 7617).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::exchange::request::Request;
use crate::headers::white_space::trim_text;
use crate::web::single::only;

/// A name and a password.
///
/// ```
/// use waterwheel::http::web::input;
/// use waterwheel::http::web::response::Response;
/// use waterwheel::http::{Request, Result};
///
/// async fn safe(request: &Request<'_>) -> Response {
///     match input::basic_auth(request) {
///         Some(who) if who.is("miller", "flour") => Response::text("come in"),
///         _ => Response::unauthorized("the granary"),
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name. It contains no colon.
    pub name: String,
    /// The user's password.
    pub password: String,
}

impl Credentials {
    /// Compares both with the expected ones. The time depends only on their lengths, and not on the number of
    /// matching bytes.
    pub fn is(&self, name: &str, password: &str) -> bool {
        // Both are always compared, so the time does not tell which one is wrong.
        let name_is_right = is_same_secret(&self.name, name);
        is_same_secret(&self.password, password) && name_is_right
    }
}

/// Compares a secret of a client with the expected one. The time depends only on their lengths, and not on the number
/// of matching bytes.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::input::is_same_secret;
///
/// assert!(is_same_secret("flour", "flour"));
/// assert!(!is_same_secret("flour", "floor"));
/// ```
pub fn is_same_secret(given: &str, expected: &str) -> bool {
    let pairs = given.bytes().zip(expected.bytes());
    let differences = pairs.fold(0, |seen, (one, other)| seen | (one ^ other));
    std::hint::black_box(differences) == 0 && given.len() == expected.len()
}

/// Returns the name and the password of an `Authorization: Basic …` field.
///
/// Returns `None` if the field is absent, repeated or malformed, or if there is a control character in the name or the
/// password (RFC 7617, 2). The two are UTF-8.
/// [`Response::unauthorized`](crate::web::response::Response::unauthorized) asks the client for them.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::input;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let name = async |request: Request<'_>| {
///     let credentials = input::basic_auth(&request);
///     let name = credentials.map_or("a stranger".to_owned(), |who| who.name);
///     request.respond(StatusCode::OK, name, ()).await
/// };
/// let fields = [("authorization", "Basic bWlsbGVyOmZsb3Vy")]; // miller:flour
/// let asked = async { TestClient::new(name).request(&Method::GET, "/", &fields, b"").await };
/// assert_eq!(block_on(asked).text(), "miller");
/// ```
#[doc(alias = "basic_http_auth")]
pub fn basic_auth(request: &Request<'_>) -> Option<Credentials> {
    let field = str::from_utf8(only(request.headers(), "authorization")?).ok()?;
    let (scheme, encoded) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(trim_text(encoded)).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    // RFC 7617, 2. A name goes into logs, where a line end would begin another line.
    if decoded.chars().any(char::is_control) {
        return None;
    }
    let (name, password) = decoded.split_once(':')?;
    Some(Credentials {
        name: name.to_owned(),
        password: password.to_owned(),
    })
}

/// Leaves the password out, because it must not appear in a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::testing::TestClient;

    #[track_caller]
    fn check(value: &str, status: u16) {
        let ask = async |request: Request<'_>| {
            let known = basic_auth(&request).is_some_and(|who| who.is("A", "b:c"));
            let status = if known {
                StatusCode::OK
            } else {
                StatusCode::UNAUTHORIZED
            };
            request.respond(status, "", ()).await
        };
        let fields = [("authorization", value)];
        let answer = block_on(async {
            TestClient::new(ask)
                .request(&Method::GET, "/", &fields, b"")
                .await
        });
        assert_eq!(answer.status.as_u16(), status, "{value:?}");
    }

    #[test]
    fn only_spaces_separate_the_scheme_from_the_credentials() {
        check("Basic QTpiOmM=", 200); // RFC 9110, 11.4
        check("Basic   QTpiOmM=", 200);
        check("Basic \u{2003}QTpiOmM=", 401);
        check("Basic QTpiOmM=\u{a0}", 401);
        check("Basic\u{a0}QTpiOmM=", 401);
        check("Basic QTpiOmM= x", 401);
    }
}
