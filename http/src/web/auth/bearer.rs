//! Bearer tokens around a handler.

use http::StatusCode;

use crate::error::{ClientError, Result};
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::headers::white_space::trim_text;
use crate::web::challenge::quoted;
use crate::web::single::only;

/// The reason for which a bearer token is refused (RFC 6750, 3.1).
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::auth::TokenRefused;
///
/// fn may_write(scopes: &[&str]) -> Result<(), TokenRefused> {
///     let may = scopes.contains(&"write");
///     may.then_some(()).ok_or(TokenRefused::InsufficientScope("write".to_owned()))
/// }
/// assert!(may_write(&["read"]).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRefused {
    /// The token is expired, revoked, malformed or unknown. The answer is 401 with `invalid_token`.
    Invalid,
    /// The token lacks this scope: names with spaces between them. The answer is 403 with `insufficient_scope`.
    InsufficientScope(String),
}

/// Lets only requests with a valid bearer token reach a handler (RFC 6750).
///
/// `verify` returns a value for the handler, or the reason of the refusal. The token is read from the Authorization
/// field, and not from the query or a form. Other requests are answered with WWW-Authenticate:
///
/// | request | status | error code |
/// |---|---|---|
/// | has no bearer token | 401 | |
/// | has more than one Authorization field, or a malformed token | 400 | `invalid_request` |
/// | has an invalid token | 401 | `invalid_token` |
/// | has a token for less | 403 | `insufficient_scope` |
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::auth::{self, TokenRefused, is_same_secret};
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// struct Service(&'static str);
///
/// let page = async |request: Request<'_>| request.respond(StatusCode::OK, "sacks", ()).await;
/// let verify = async |token: &str| {
///     Ok(is_same_secret(token, "s3cr3t").then_some(Service("scale")).ok_or(TokenRefused::Invalid))
/// };
/// let guarded = auth::bearer("the granary", verify, page);
/// let fields = [("authorization", "Bearer s3cr3t")];
/// let asked = async { TestClient::new(guarded).request(&Method::GET, "/", &fields, b"").await };
/// assert_eq!(block_on(asked).text(), "sacks");
/// ```
pub fn bearer<U: 'static>(
    realm: &str,
    verify: impl AsyncFn(&str) -> Result<Result<U, TokenRefused>> + 'static,
    handler: impl Handler,
) -> impl Handler {
    let challenge = format!("Bearer realm={}", quoted(realm));
    async move |request: Request<'_>| {
        let refuse = |status, text, more: &str| {
            let field = format!("{challenge}{more}");
            Err(ClientError::new(status, text)
                .with_header("www-authenticate", field)
                .into())
        };
        let token = match token_of(&request) {
            Ok(Some(token)) => token,
            Ok(None) => return refuse(StatusCode::UNAUTHORIZED, "a bearer token is needed", ""),
            Err(text) => {
                return refuse(StatusCode::BAD_REQUEST, text, ", error=\"invalid_request\"");
            }
        };
        match verify(token).await? {
            Ok(user) => drop(request.extensions().insert(user)),
            Err(TokenRefused::Invalid) => {
                let more = ", error=\"invalid_token\"";
                return refuse(StatusCode::UNAUTHORIZED, "the token is not valid", more);
            }
            Err(TokenRefused::InsufficientScope(scope)) => {
                let more = format!(", error=\"insufficient_scope\", scope={}", quoted(&scope));
                return refuse(StatusCode::FORBIDDEN, "the token is for less", &more);
            }
        }
        handler.call(request).await
    }
}

/// Returns the bearer token, or `None` if there is no such field or one of another scheme.
fn token_of<'c>(request: &Request<'c>) -> Result<Option<&'c str>, &'static str> {
    let headers = request.headers();
    if headers.get_all("authorization").next().is_none() {
        return Ok(None);
    }
    let field = only(headers, "authorization").ok_or("more than one authorization")?;
    let field = str::from_utf8(field).map_err(|_| "malformed authorization")?;
    let (scheme, token) = field.split_once(' ').unwrap_or((field, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = trim_text(token);
    // RFC 6750, 2.1: b64token
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let body = token.trim_end_matches('=');
    let is_token = !body.is_empty() && body.bytes().all(is_plain);
    is_token
        .then_some(Some(token))
        .ok_or("malformed bearer token")
}
