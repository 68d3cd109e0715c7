//! Basic authentication around a handler.

use http::StatusCode;

use crate::error::{ClientError, Result};
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::web::challenge;
use crate::web::input::{self, Credentials};

/// Lets only requests with a name and a password of Basic authentication reach a handler (RFC 7617).
///
/// `verify` returns a value for the handler, or `None` if the credentials are wrong. Other requests are answered
/// 401 with WWW-Authenticate, which has `realm` and `charset="UTF-8"`. Characters of `realm` that are not
/// printable ASCII are left out.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::{auth, input::Credentials};
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// struct User(String);
///
/// let greet = async |request: Request<'_>| {
///     let user = request.extensions().get::<User>().expect("auth is around this handler");
///     request.respond(StatusCode::OK, format!("hello, {}", user.0), ()).await
/// };
/// let verify = async |who: Credentials| Ok(who.is("miller", "flour").then(|| User(who.name)));
/// let guarded = auth::basic("the granary", verify, greet);
/// let fields = [("authorization", "Basic bWlsbGVyOmZsb3Vy")]; // miller:flour
/// let asked = async { TestClient::new(guarded).request(&Method::GET, "/", &fields, b"").await };
/// assert_eq!(block_on(asked).text(), "hello, miller");
/// ```
pub fn basic<U: 'static>(
    realm: &str,
    verify: impl AsyncFn(Credentials) -> Result<Option<U>> + 'static,
    handler: impl Handler,
) -> impl Handler {
    let challenge = challenge::basic(realm);
    async move |request: Request<'_>| {
        let user = match input::basic_auth(&request) {
            Some(credentials) => verify(credentials).await?,
            None => None,
        };
        let Some(user) = user else {
            let refusal =
                ClientError::new(StatusCode::UNAUTHORIZED, "a name and a password are needed");
            return Err(refusal
                .with_header("www-authenticate", challenge.clone())
                .into());
        };
        request.extensions().insert(user);
        handler.call(request).await
    }
}
