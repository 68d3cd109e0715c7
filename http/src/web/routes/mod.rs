//! Which handler answers which request.
//!
//! ```
//! use waterwheel_http::testing::TestClient;
//! use waterwheel_http::web::response::Html;
//! use waterwheel_http::web::routes::Router;
//! use waterwheel_http::{Request, Responded, Result, StatusCode};
//! use waterwheel_runtime::block_on;
//!
//! async fn home() -> Html<&'static str> {
//!     Html("<h1>The mill</h1>")
//! }
//!
//! async fn sack(request: &Request<'_>, number: u32) -> String {
//!     format!("sack {number}, asked for by {:?}", request.peer_address())
//! }
//!
//! async fn fill(request: Request<'_>, number: u32) -> Result<Responded> {
//!     let grain = request.bytes().await?;
//!     let text = format!("{} grains for sack {number}", grain.len());
//!     request.respond(StatusCode::CREATED, text, ()).await
//! }
//!
//! let router = Router::new()
//!     .get("/", home)
//!     .get("/sacks/{number}", sack)
//!     .post("/sacks/{number}", fill)
//!     .get("/health", async || "turning");
//!
//! block_on(async {
//!     let mut client = TestClient::new(router); // or server.serve(router)
//!     assert_eq!(client.get("/sacks/7").await.text(), "sack 7, asked for by None");
//!     assert_eq!(client.get("/sacks/x").await.status, StatusCode::NOT_FOUND);
//!     let answer = client.request(&http::Method::DELETE, "/", &[], b"").await;
//!     assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
//!     assert_eq!(answer.headers["allow"], "GET, HEAD, OPTIONS");
//! });
//! ```
//!
//! # How it works
//!
//! ```text
//!  path ─► unescaped ─► matchit ─► pattern ─► its routes, in the order in which they were added:
//!                          │                  method fits? parameters parse? ─► handler
//!                          │ none                  │ never        │ never
//!                          ▼                       ▼              ▼
//!             with or without its last slash?     405            404, the nearest router's
//! ```
//!
//! - Literal text goes before parameters, and these before `{*rest}`; else, who was added first. The
//!   pattern that is chosen so has the last word: what its routes do not take goes to no other.
//! - HEAD is answered by GET's handler, and OPTIONS by the router, unless they have handlers of
//!   their own.
//! - A query is no part of the path. What a path has escaped, its parameters have not: `%2F` is a
//!   slash within a parameter, never one between segments.
//!
//! **Never**: a path that matches nothing and is not answered; a redirection to another host.

mod answers;
mod params;
mod path;
mod pattern;
mod table;

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use http::{Method, StatusCode};

use crate::error::Result;
use crate::handler::Handler;
use crate::request::Request;
use crate::responded::Responded;
use crate::web::response::Response;

pub use answers::{Answers, AsHandler, ByReference, ByValue, NamedParams, NoRequest, handler};
pub use params::Params;
pub use pattern::RouteError;

use answers::{Stored, TypedHandler};
use pattern::{Pattern, Reason};
use table::{PathMatch, Table};

/// Sends each request to the handler for its method and path; a handler itself.
///
/// See the [module](self) for what it does and an example. To serve many connections in a loop of
/// one's own, wrap it with [`shared`](crate::shared) and clone that; a clone of the router itself
/// can be given other routes, and has the same handlers.
#[derive(Clone, Default)]
pub struct Router {
    table: Table,
    not_found: Vec<NotFound>,
    trailing_slash: TrailingSlash,
}

/// What is answered below a prefix where there is no route.
#[derive(Clone)]
struct NotFound {
    prefix: String,
    handler: Rc<dyn Stored>,
}

/// What becomes of a path that has a slash at its end too many, or too few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrailingSlash {
    /// The client is sent to where the route is, with 308: so each page has one address, and links
    /// on it that are relative lead where they should.
    #[default]
    Redirect,
    /// It is the same.
    Same,
    /// It is another path.
    Strict,
}

/// Adding routes.
impl Router {
    /// A router that finds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what answers GET, and HEAD, of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn get<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::GET, pattern, handler)
    }

    /// Adds what answers POST of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn post<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::POST, pattern, handler)
    }

    /// Adds what answers PUT of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn put<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::PUT, pattern, handler)
    }

    /// Adds what answers PATCH of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn patch<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::PATCH, pattern, handler)
    }

    /// Adds what answers DELETE of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn delete<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::DELETE, pattern, handler)
    }

    /// Adds what answers all methods of a path, but for those that were given a handler of their own
    /// before it.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    #[doc(alias = "from_path")]
    pub fn any<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(None, pattern, handler)
    }

    /// Adds what answers a method (`None` for all) of a path.
    ///
    /// | pattern | takes |
    /// |---|---|
    /// | `/mills` | that path |
    /// | `/mills/{name}` | one segment, which is not empty |
    /// | `/mills/mill-{n}.png` | a part of one |
    /// | `/mills/{*path}` | one segment or more; no `%2F` in them, which could not be told from a slash |
    /// | `/{{a}}` | braces that are meant |
    ///
    /// Text is written as it is meant, without escapes.
    ///
    /// # Panics
    ///
    /// Where [`try_route`](Self::try_route) has an error; a pattern is mostly a literal.
    #[must_use]
    #[track_caller]
    #[doc(alias = "add_route")]
    pub fn route<K: 'static>(
        self,
        method: impl Into<Option<Method>>,
        pattern: &str,
        handler: impl Answers<K>,
    ) -> Self {
        match self.try_route(method, pattern, handler) {
            Ok(router) => router,
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds what answers a method (`None` for all) of a path.
    ///
    /// # Errors
    ///
    /// When the pattern is malformed, or cannot be told from one that is there; when the handler
    /// takes other parameters than the pattern has.
    pub fn try_route<K: 'static, H: Answers<K>>(
        mut self,
        method: impl Into<Option<Method>>,
        pattern: &str,
        handler: H,
    ) -> Result<Self, RouteError> {
        let pattern = Pattern::parse(pattern)?;
        match H::PARAMETERS {
            Some(handler) if handler != pattern.names.len() => Err(RouteError {
                reason: Reason::Arguments {
                    handler,
                    pattern: pattern.names.len(),
                },
                pattern: pattern.text,
            }),
            _ => {
                self.table.add(method.into(), pattern, stored(handler))?;
                Ok(self)
            }
        }
    }

    /// Takes away all that answers a method (`None` for the handlers of all) of a path, under
    /// whatever names its parameters are: to put something else there.
    #[must_use]
    pub fn without(mut self, method: impl Into<Option<Method>>, pattern: &str) -> Self {
        if let Ok(pattern) = Pattern::parse(pattern) {
            self.table.remove(method.into().as_ref(), &pattern);
        }
        self
    }

    /// Adds all routes of another router below a prefix, and what it has for paths that are not
    /// found there; below `/`, as they are. The prefix may have parameters: handlers get them by name,
    /// in [`Params`].
    ///
    /// Handlers see the path as it came. The other router's rule about slashes does not come along.
    ///
    /// ```
    /// use waterwheel_http::web::routes::Router;
    ///
    /// let sacks = Router::new().get("/", async || "all").get("/{n}", async || "one");
    /// let mill = Router::new().get("/", async || "the mill").nest("/sacks", sacks);
    /// let patterns: Vec<_> = mill.routes().map(|(_, pattern)| pattern).collect();
    /// assert_eq!(patterns, ["/", "/sacks", "/sacks/{n}"]);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn nest(self, prefix: &str, router: Self) -> Self {
        match self.try_nest(prefix, router) {
            Ok(router) => router,
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds all routes of another router below a prefix; see [`nest`](Self::nest).
    ///
    /// # Errors
    ///
    /// As [`try_route`](Self::try_route).
    pub fn try_nest(mut self, prefix: &str, router: Self) -> Result<Self, RouteError> {
        let prefix = Pattern::parse(prefix)?.text;
        for route in router.table.routes() {
            let pattern = Pattern::parse(&Pattern::join(&prefix, &route.pattern.text))?;
            let (method, handler) = (route.method.clone(), route.handler.clone());
            self.table.add(method, pattern, handler)?;
        }
        for inner in router.not_found {
            self.add_not_found(Pattern::join(&prefix, &inner.prefix), inner.handler);
        }
        Ok(self)
    }

    /// Says what is answered where there is no route; the status is the handler's to say. Without
    /// it, that is a 404 and a line of text.
    ///
    /// ```
    /// use waterwheel_http::StatusCode;
    /// use waterwheel_http::web::response::Html;
    /// use waterwheel_http::web::routes::Router;
    ///
    /// let router = Router::new()
    ///     .not_found(async || (StatusCode::NOT_FOUND, Html("<h1>There is nothing here</h1>")));
    /// # drop(router);
    /// ```
    #[must_use]
    #[doc(alias = "set_not_found_handler")]
    pub fn not_found<K: 'static>(mut self, handler: impl Answers<K>) -> Self {
        self.add_not_found("/".to_owned(), stored(handler));
        self
    }

    /// The longest prefix stays in front, and the newest of the same.
    fn add_not_found(&mut self, prefix: String, handler: Rc<dyn Stored>) {
        let length = |prefix: &str| prefix.trim_end_matches('/').split('/').count();
        let at = self
            .not_found
            .partition_point(|known| length(&known.prefix) > length(&prefix));
        self.not_found.insert(at, NotFound { prefix, handler });
    }

    /// Says what becomes of a slash at the end of a path, if there is no route for exactly that.
    #[must_use]
    pub fn trailing_slash(mut self, rule: TrailingSlash) -> Self {
        self.trailing_slash = rule;
        self
    }

    /// All routes, in the order in which they were added: method (`None` for all) and pattern.
    pub fn routes(&self) -> impl Iterator<Item = (Option<&Method>, &str)> {
        let routes = self.table.routes();
        routes.map(|route| (route.method.as_ref(), route.pattern.text.as_str()))
    }
}

/// Looking them up.
impl Router {
    /// The pattern of the route that a request would be given to: for logs and counts, where paths
    /// would be too many. Whether its parameters parse is not looked at, nor is the rule about slashes.
    ///
    /// ```
    /// use waterwheel_http::Method;
    /// use waterwheel_http::web::routes::Router;
    ///
    /// let router = Router::new().get("/sacks/{number}", async || "sack");
    /// assert_eq!(router.pattern(&Method::GET, "/sacks/7"), Some("/sacks/{number}"));
    /// assert_eq!(router.pattern(&Method::PUT, "/sacks/7"), None);
    /// ```
    pub fn pattern(&self, method: &Method, path: &str) -> Option<&str> {
        let path = path::unescape(path)?;
        let route = self.table.find(&path)?.routes_for(method).next()?;
        Some(&route.pattern.text)
    }
}

fn stored<K: 'static>(handler: impl Answers<K>) -> Rc<dyn Stored> {
    Rc::new(TypedHandler(handler, PhantomData))
}

/// Finding them.
impl Handler for Router {
    async fn call(&self, request: Request<'_>) -> Result<Responded> {
        let path = match request.path() {
            "*" => return options(request, &self.table.all_methods()).await,
            "" if *request.method() == Method::CONNECT => {
                return not_allowed(request, &self.table.all_methods()).await;
            }
            "" => "/", // RFC 9110, 4.2.3
            path => path,
        };
        let Some(path) = path::unescape(path) else {
            return bad_path(request).await;
        };
        match self.table.find(&path) {
            Some(found) => self.dispatch(request, &path, &found).await,
            None => self.dispatch_without_slash(request, &path).await,
        }
    }
}

impl Router {
    /// Answers with the first route that takes the method and the parameters.
    async fn dispatch(
        &self,
        mut request: Request<'_>,
        path: &str,
        found: &PathMatch<'_, '_>,
    ) -> Result<Responded> {
        let method = request.method();
        let mut is_allowed = false;
        for route in found.routes_for(method) {
            is_allowed = true;
            request = match route.handler.answer(request, found.params(route)) {
                Ok(answering) => return answering.await,
                Err(declined) => declined,
            };
        }
        if is_allowed {
            return self.answer_not_found(request, path).await;
        }
        match *method {
            Method::OPTIONS => options(request, &found.allow()).await,
            _ => not_allowed(request, &found.allow()).await,
        }
    }

    /// The same, with a slash at the end if there was none, and the other way round.
    async fn dispatch_without_slash(&self, request: Request<'_>, path: &str) -> Result<Responded> {
        let other = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        let found = self.table.find(&other);
        match (found, self.trailing_slash) {
            (Some(found), TrailingSlash::Same) => self.dispatch(request, path, &found).await,
            (Some(_), TrailingSlash::Redirect) if !request.path().starts_with("//") => {
                redirect(request).await
            }
            _ => self.answer_not_found(request, path).await,
        }
    }

    async fn answer_not_found(&self, request: Request<'_>, path: &str) -> Result<Responded> {
        let mut nearest = self.not_found.iter();
        let Some(nearest) = nearest.find(|known| pattern::is_below(path, &known.prefix)) else {
            return not_found(request).await;
        };
        let none = Params::new(&[], std::iter::empty());
        match nearest.handler.answer(request, none) {
            Ok(answering) => answering.await,
            Err(declined) => not_found(declined).await,
        }
    }
}

async fn not_found(request: Request<'_>) -> Result<Responded> {
    let response = Response::text("not found\n");
    let response = response.with_status(StatusCode::NOT_FOUND);
    response.send(request).await
}

async fn bad_path(request: Request<'_>) -> Result<Responded> {
    let response = Response::text("malformed escape in the path\n");
    let response = response.with_status(StatusCode::BAD_REQUEST);
    response.send(request).await
}

/// RFC 9110, 15.5.6.
async fn not_allowed(request: Request<'_>, allow: &str) -> Result<Responded> {
    let response = Response::text("method not allowed\n").with_header("allow", allow);
    let response = response.with_status(StatusCode::METHOD_NOT_ALLOWED);
    response.send(request).await
}

/// RFC 9110, 9.3.7.
async fn options(request: Request<'_>, allow: &str) -> Result<Responded> {
    let response = Response::empty(StatusCode::NO_CONTENT).with_header("allow", allow);
    response.send(request).await
}

/// To the same path with or without its last slash, and the same query.
async fn redirect(request: Request<'_>) -> Result<Responded> {
    let path = request.path();
    let mut location = match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    if let Some(query) = request.query() {
        location.extend(["?", query]);
    }
    Response::permanent_redirect(&location).send(request).await
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes()).finish()
    }
}
