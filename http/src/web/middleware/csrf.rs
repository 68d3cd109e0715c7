//! Protection against cross-site request forgery, by what browsers tell about a request.

use std::fmt;
use std::rc::Rc;

use http::{Method, StatusCode};

use super::cors::is_origin;
use crate::error::ClientError;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::web::origin::is_of_host;

/// Refuses requests that a page of another site has made a browser send, with 403.
///
/// It is [`Csrf::new().around(handler)`](Csrf).
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::csrf;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let transfer = async |request: Request<'_>| request.respond(StatusCode::OK, "done", ()).await;
/// let answer = block_on(async {
///     let of_other_site = [("sec-fetch-site", "cross-site"), ("cookie", "session=7")];
///     TestClient::new(csrf(transfer)).request(&Method::POST, "/", &of_other_site, b"").await
/// });
/// assert_eq!(answer.status, StatusCode::FORBIDDEN);
/// ```
pub fn csrf(handler: impl Handler) -> impl Handler {
    Csrf::new().around(handler)
}

/// The rules of [`csrf`], with exceptions.
///
/// A browser sends the cookies of a site also with a request that a page of another site causes. Since 2023, all
/// browsers name the relation of the two in Sec-Fetch-Site (Fetch Metadata). So no token in each form is needed:
///
/// | a request | |
/// |---|---|
/// | GET, HEAD, OPTIONS | passes: a handler must not change anything for these. But the handshake of a WebSocket, which is a GET, is judged by the rows below |
/// | of a [trusted](Self::trust) origin, or with an [exception](Self::except) | passes |
/// | Sec-Fetch-Site: `same-origin` or `none` (typed by the user) | passes |
/// | Sec-Fetch-Site: `same-site` or `cross-site` | 403 |
/// | without Sec-Fetch-Site, and Origin has the host and the port of the Host field | passes, but not from http to TLS of this server |
/// | without Sec-Fetch-Site, and another Origin | 403 |
/// | without both | passes: no browser sent it, so no cookie came against the user's will |
///
/// Browsers send Sec-Fetch-Site only to https and to localhost. For other sites, the comparison with Host decides.
/// A proxy that changes Host needs the public origin as a trusted one.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::middleware::Csrf;
/// use waterwheel::http::{Request, StatusCode};
///
/// let page = async |request: Request<'_>| request.respond(StatusCode::OK, "", ()).await;
/// let protected = Csrf::new()
///     .trust(["https://app.example.org"])
///     .except(|request| request.path().starts_with("/webhooks/")) // these have signatures
///     .around(page);
/// # drop(protected);
/// ```
#[derive(Clone, Default)]
#[must_use = "`around` makes a handler of it"]
pub struct Csrf {
    trusted: Vec<String>,
    exception: Option<Exception>,
}

type Exception = Rc<dyn Fn(&Request<'_>) -> bool>;

impl Csrf {
    /// Makes the rules without exceptions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the pages of these origins send requests. An origin that [`Cors`](super::Cors) allows is not trusted by
    /// that: name it here, too, if its pages send POST, PUT or DELETE.
    ///
    /// # Panics
    ///
    /// If a text is not an origin as browsers send it; see [`Cors::of`](super::Cors::of).
    pub fn trust<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        for origin in origins.into_iter().map(Into::into) {
            assert!(
                is_origin(&origin),
                "{origin:?} is no origin, such as https://app.example.org"
            );
            self.trusted.push(origin);
        }
        self
    }

    /// Lets the requests pass for which the function returns true.
    pub fn except(mut self, is_exception: impl Fn(&Request<'_>) -> bool + 'static) -> Self {
        self.exception = Some(Rc::new(is_exception));
        self
    }

    /// Puts the rules around a handler.
    pub fn around(self, handler: impl Handler) -> impl Handler {
        async move |request: Request<'_>| {
            if !self.passes(&request) {
                let text = "a page of another site sent this request";
                return Err(ClientError::new(StatusCode::FORBIDDEN, text).into());
            }
            handler.call(request).await
        }
    }

    fn passes(&self, request: &Request<'_>) -> bool {
        let is_safe = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        // A browser lets any page open a WebSocket to any site, with the cookies of that site.
        if is_safe && !request.offers("websocket") {
            return true;
        }
        // No browser repeats one of these fields. A repeated one is read as empty, which passes no comparison below.
        let value = |name: &'static str| {
            let mut all = request.headers().get_all(name);
            let first = all.next()?;
            Some(if all.next().is_some() { b"" } else { first })
        };
        let origin = value("origin");
        let is_trusted = |origin: &[u8]| {
            self.trusted
                .iter()
                .any(|trusted| trusted.as_bytes() == origin)
        };
        origin.is_some_and(is_trusted)
            || match (value("sec-fetch-site"), origin) {
                (Some(site), _) => matches!(site, b"same-origin" | b"none"),
                (None, Some(origin)) => is_of_host(origin, request),
                (None, None) => true,
            }
            || self
                .exception
                .as_ref()
                .is_some_and(|is_exception| is_exception(request))
    }
}

impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csrf")
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}
