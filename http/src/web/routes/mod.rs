//! A router: it selects the handler for each request.
//!
//! ```
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::web::response::Html;
//! use waterwheel::http::web::routes::Router;
//! use waterwheel::http::{Method, Request, Responded, Result, StatusCode};
//! use waterwheel::runtime::block_on;
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
//!     let answer = client.request(&Method::DELETE, "/", &[], b"").await;
//!     assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
//!     assert_eq!(answer.headers["allow"], "GET, HEAD, OPTIONS");
//! });
//! ```
//!
//! # How it works
//!
//! ```text
//!  path ─► decoded ─► matchit ─► pattern ─► its routes, in the order in which they were added:
//!                        │                  does the method match? do the parameters parse? ─► handler
//!                        │ none                  │ never                │ never
//!                        ▼                       ▼                      ▼
//!           with or without its last slash?     405                    404 of the nearest router
//! ```
//!
//! - Literal text ranks before parameters, and parameters rank before `{*rest}`. Only the routes of the best
//!   pattern are tried. Among these, the first added is tried first.
//! - GET's handler answers HEAD, and the router answers OPTIONS, unless they have handlers of their own.
//! - The query is not part of the path. Parameters are decoded: `%2F` is a slash within a parameter, and
//!   never one between segments.
//!
//! **Never**: a request without an answer; a redirection to another host.

mod answers;
mod dispatch;
mod fallback;
mod params;
mod path;
mod pattern;
mod state;
mod table;

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

use http::Method;

use crate::error::Result;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::shared::error_answer::{ErrorAnswer, ErrorHook};
use crate::web::nested;
use crate::web::response::{IntoResponse, page};

pub use answers::{Answers, AsHandler, ByReference, ByValue, NamedParams, NoRequest, handler};
pub use params::Params;
pub use pattern::RouteError;
pub use state::{Stateful, WithState, with};

use answers::{Stored, TypedHandler};
use pattern::{Pattern, Prefix, Reason};
use table::Table;

/// A handler that sends each request to the handler for its method and path.
///
/// The [module](self) has an example. To use a router in an accept loop of your own, wrap it with
/// [`shared`](fn@crate::shared) and clone that. A clone of the router itself shares the handlers, and can have
/// more routes.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::routes::Router;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let sacks = Router::new()
///     .get("/", async || "all sacks")
///     .put("/{n}", async |_: &Request<'_>, n: u32| format!("sack {n} is full"))
///     .patch("/{n}", async |_: &Request<'_>, n: u32| format!("sack {n} has changed"))
///     .delete("/{n}", async |_: &Request<'_>, _: u32| StatusCode::NO_CONTENT);
/// let router = Router::new()
///     .get("/", async || "the mill")
///     .post("/", async || (StatusCode::CREATED, "another mill"))
///     .try_nest("/sacks", sacks)?;
///
/// block_on(async {
///     let mut client = TestClient::new(router);
///     assert_eq!(client.get("/sacks").await.text(), "all sacks");
///     assert_eq!(client.post("/", "").await.status, StatusCode::CREATED);
/// });
/// # Ok::<(), waterwheel::http::web::routes::RouteError>(())
/// ```
#[derive(Clone, Default)]
pub struct Router {
    table: Table,
    not_found: Vec<NotFound>,
    trailing_slash: TrailingSlash,
    errors: Option<ErrorHook>,
}

/// The treatment of paths without a route below a prefix.
#[derive(Clone)]
struct NotFound {
    prefix: Prefix,
    handler: Option<Rc<dyn Stored>>,
    errors: Option<ErrorHook>,
}

/// The treatment of a path with a final slash too many or too few.
///
/// # Examples
///
/// ```
/// use waterwheel::http::StatusCode;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::routes::{Router, TrailingSlash};
/// use waterwheel::runtime::block_on;
///
/// let router = Router::new().get("/mill", async || "mill");
/// let strict = router.clone().trailing_slash(TrailingSlash::Strict);
/// block_on(async {
///     let redirected = TestClient::new(router).get("/mill/").await;
///     assert_eq!(redirected.headers["location"], "/mill");
///     assert_eq!(TestClient::new(strict).get("/mill/").await.status, StatusCode::NOT_FOUND);
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrailingSlash {
    /// Redirects the client to the route's path with 308. So each page has one address, and relative links
    /// work. The default.
    #[default]
    Redirect,
    /// Calls the handler of the route.
    Same,
    /// Answers with 404.
    Strict,
}

/// Adding routes.
impl Router {
    /// Makes a router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler for GET and HEAD of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn get<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::GET, pattern, handler)
    }

    /// Adds a handler for POST of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn post<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::POST, pattern, handler)
    }

    /// Adds a handler for PUT of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn put<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::PUT, pattern, handler)
    }

    /// Adds a handler for PATCH of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn patch<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::PATCH, pattern, handler)
    }

    /// Adds a handler for DELETE of a path.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn delete<K: 'static>(self, pattern: &str, handler: impl Answers<K>) -> Self {
        self.route(Method::DELETE, pattern, handler)
    }

    /// Adds a handler for all methods of a path. Handlers of a single method that were added before it come
    /// first.
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::routes::Router;
    /// use waterwheel::runtime::block_on;
    ///
    /// let router = Router::new().get("/", async || "GET").any("/", async || "another method");
    /// block_on(async {
    ///     let mut client = TestClient::new(router);
    ///     assert_eq!(client.get("/").await.text(), "GET");
    ///     assert_eq!(client.post("/", "").await.text(), "another method");
    /// });
    /// ```
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

    /// Adds a handler for a method of a path, or for all methods if `method` is `None`.
    ///
    /// | pattern | matches |
    /// |---|---|
    /// | `/mills` | this path |
    /// | `/mills/{name}` | one segment, which is not empty |
    /// | `/mills/mill-{n}.png` | a part of one segment |
    /// | `/mills/{*path}` | one segment or more, without `%2F`, because it would look like a slash |
    /// | `/{{a}}` | literal braces |
    ///
    /// Literal text is written without escapes.
    ///
    /// ```
    /// use waterwheel::http::Method;
    /// use waterwheel::http::web::routes::Router;
    ///
    /// let router = Router::new()
    ///     .route(Method::OPTIONS, "/mills", async || "options")
    ///     .route(None, "/mills", async || "any other method")
    ///     .without(None, "/mills");
    /// assert_eq!(router.routes().count(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// If [`try_route`](Self::try_route) returns an error. A pattern is usually a literal, so this is a bug.
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

    /// Adds a handler for a method of a path, or for all methods if `method` is `None`. See
    /// [`route`](Self::route).
    ///
    /// ```
    /// use waterwheel::http::Method;
    /// use waterwheel::http::web::routes::Router;
    ///
    /// let error = Router::new().try_route(Method::GET, "/{*rest}/more", async || "").unwrap_err();
    /// assert_eq!(error.to_string(), "the route `/{*rest}/more`: `{*…}` must be the last segment");
    /// ```
    ///
    /// # Errors
    ///
    /// If the pattern is malformed or conflicts with another one, or if the handler takes another number of
    /// parameters than the pattern has. If an earlier route with the same pattern answers all requests of this one:
    ///
    /// ```should_panic
    /// use waterwheel::http::web::routes::Router;
    ///
    /// // the route `/`: GET is answered already by `/`, added at src/main.rs:3:30; this one, …
    /// let router = Router::new().get("/", async || "one").get("/", async || "two");
    /// # drop(router);
    /// ```
    ///
    /// Handlers whose parameters have other types may share a pattern: they are tried in their order.
    #[track_caller]
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
                let handler = (stored(handler), None);
                let place = Location::caller();
                self.table.add(method.into(), pattern, handler, place)?;
                Ok(self)
            }
        }
    }

    /// Removes the handlers for a method of a path, or those for all methods if `method` is `None`. The names
    /// of the parameters do not matter. Use it to replace a route.
    #[must_use]
    pub fn without(mut self, method: impl Into<Option<Method>>, pattern: &str) -> Self {
        if let Ok(pattern) = Pattern::parse(pattern) {
            self.table.remove(method.into().as_ref(), &pattern);
        }
        self
    }

    /// Adds a handler for all requests below a prefix: another router, a router with middleware around it, `Files`, or
    /// any other [`Handler`].
    ///
    /// | handler | effect |
    /// |---|---|
    /// | a router | its routes become routes of this one, with its [`not_found`](Self::not_found) handler and its [`error_responses`](Self::error_responses). Below `/`, the patterns stay as they are. The prefix may have parameters, which handlers read by name, as [`Params`]. The other router's rule for slashes is ignored |
    /// | any other | it gets the requests of all methods for the prefix itself and for all paths below it. It does not get the parameters of the prefix |
    ///
    /// Handlers see the whole path of the request. [`nested_path`] returns the part below the prefix, except for the
    /// routes of another router, which become routes of this one. Routers and `Files` use that part.
    ///
    /// ```
    /// use waterwheel::http::web::routes::Router;
    ///
    /// let sacks = Router::new().get("/", async || "all").get("/{n}", async || "one");
    /// let mill = Router::new().get("/", async || "the mill").nest("/sacks", sacks);
    /// let patterns: Vec<_> = mill.routes().map(|(_, pattern)| pattern).collect();
    /// assert_eq!(patterns, ["/", "/sacks", "/sacks/{n}"]);
    /// ```
    ///
    /// Middleware around a whole router:
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::middleware::{REQUEST_ID, request_ids};
    /// use waterwheel::http::web::routes::Router;
    /// use waterwheel::runtime::block_on;
    ///
    /// let api = Router::new().get("/sacks", async || "all");
    /// let site = Router::new().get("/", async || "home").nest("/api", request_ids(api));
    /// block_on(async {
    ///     let answer = TestClient::new(site).get("/api/sacks").await;
    ///     assert_eq!(answer.text(), "all");
    ///     assert!(answer.headers.contains_key(REQUEST_ID));
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    #[doc(alias = "nest_service")]
    #[doc(alias = "mount")]
    pub fn nest(self, prefix: &str, handler: impl Handler) -> Self {
        match self.try_nest(prefix, handler) {
            Ok(router) => router,
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a handler for all requests below a prefix; see [`nest`](Self::nest).
    ///
    /// # Errors
    ///
    /// The errors of [`try_route`](Self::try_route).
    #[track_caller]
    pub fn try_nest(mut self, prefix: &str, handler: impl Handler) -> Result<Self, RouteError> {
        let prefix = Pattern::parse(prefix)?.text;
        // A router is a handler, too. Its routes are known, so they need no second lookup.
        let mut handler = Some(handler);
        let router = (&mut handler as &mut dyn Any).downcast_mut::<Option<Self>>();
        if let Some(router) = router.and_then(Option::take) {
            self.add_router(&prefix, router)?;
        } else if let Some(handler) = handler {
            self.add_below(&prefix, handler, Location::caller())?;
        }
        Ok(self)
    }

    fn add_router(&mut self, prefix: &str, router: Self) -> Result<(), RouteError> {
        for route in router.table.routes() {
            let pattern = route.pattern.below(prefix)?;
            let errors = route.errors.as_ref().or(router.errors.as_ref()).cloned();
            let handler = (route.handler.clone(), errors);
            self.table
                .add(route.method.clone(), pattern, handler, route.place)?;
        }
        if let Some(errors) = &router.errors {
            let prefix = Pattern::join(prefix, "/");
            self.add_not_found(Prefix::parse(&prefix)?, None, Some(errors.clone()));
        }
        for inner in router.not_found {
            let prefix = Pattern::join(prefix, &inner.prefix.text);
            self.add_not_found(Prefix::parse(&prefix)?, inner.handler, inner.errors);
        }
        Ok(())
    }

    /// Adds a handler for a prefix, and for all paths below it.
    fn add_below(
        &mut self,
        prefix: &str,
        handler: impl Handler,
        place: &'static Location<'static>,
    ) -> Result<(), RouteError> {
        let handler = stored(handler);
        for pattern in Pattern::at_and_below(prefix)? {
            self.table
                .add(None, pattern, (handler.clone(), None), place)?;
        }
        Ok(())
    }

    /// Sets a function that makes the body of each error answer to a request of this router: 404, 405, and those to
    /// errors and panics of its handlers. It comes before the function of the server. Of two routers, the inner one's
    /// comes first.
    ///
    /// [`Builder::error_responses`](crate::Builder::error_responses) has the rules for the function, and an example.
    /// The server's function also gets the requests that no router sees.
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::response::Html;
    /// use waterwheel::http::web::routes::Router;
    /// use waterwheel::runtime::block_on;
    ///
    /// let router = Router::new()
    ///     .get("/", async || "hello")
    ///     .error_responses(|error| Html(format!("<h1>{}</h1>", error.status.as_u16())));
    /// let answer = block_on(async { TestClient::new(router).get("/mill").await });
    /// assert_eq!((answer.status.as_u16(), &*answer.text()), (404, "<h1>404</h1>"));
    /// ```
    #[must_use]
    pub fn error_responses<T: IntoResponse>(
        mut self,
        make: impl Fn(&ErrorAnswer<'_>) -> T + 'static,
    ) -> Self {
        self.errors = Some(ErrorHook::new(move |answer| page(make(answer))));
        self
    }

    /// Sets the handler for paths without a route. The handler also sets the status. The default is a 404
    /// with a line of text.
    ///
    /// ```
    /// use waterwheel::http::StatusCode;
    /// use waterwheel::http::web::response::Html;
    /// use waterwheel::http::web::routes::Router;
    ///
    /// let router = Router::new()
    ///     .not_found(async || (StatusCode::NOT_FOUND, Html("<h1>No such page</h1>")));
    /// # drop(router);
    /// ```
    #[must_use]
    #[doc(alias = "set_not_found_handler")]
    pub fn not_found<K: 'static>(mut self, handler: impl Answers<K>) -> Self {
        self.add_not_found(Prefix::root(), Some(stored(handler)), None);
        self
    }

    /// Sorts by the length of the prefix, longest first. Of two equal prefixes, the newer is first.
    fn add_not_found(
        &mut self,
        prefix: Prefix,
        handler: Option<Rc<dyn Stored>>,
        errors: Option<ErrorHook>,
    ) {
        let at = self
            .not_found
            .partition_point(|known| known.prefix.segments > prefix.segments);
        let not_found = NotFound {
            prefix,
            handler,
            errors,
        };
        self.not_found.insert(at, not_found);
    }

    /// Sets the treatment of a final slash, if no route matches the exact path.
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::routes::{Router, TrailingSlash};
    /// use waterwheel::runtime::block_on;
    ///
    /// let router = Router::new().get("/mill", async || "mill").trailing_slash(TrailingSlash::Same);
    /// assert_eq!(block_on(async { TestClient::new(router).get("/mill/").await.text() }), "mill");
    /// ```
    #[must_use]
    pub fn trailing_slash(mut self, rule: TrailingSlash) -> Self {
        self.trailing_slash = rule;
        self
    }

    /// Returns all routes in the order in which they were added: the method (`None` for all) and the pattern.
    pub fn routes(&self) -> impl Iterator<Item = (Option<&Method>, &str)> {
        let routes = self.table.routes();
        routes.map(|route| (route.method.as_ref(), route.pattern.text.as_str()))
    }
}

/// Lookups.
impl Router {
    /// Returns the pattern of the route for a request, for logs and counters, which would have too many
    /// paths. The parameters and the rule for slashes are ignored.
    ///
    /// ```
    /// use waterwheel::http::Method;
    /// use waterwheel::http::web::routes::Router;
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

/// Returns the part of the path below the prefixes of outer routers, without decoding. It is empty if the path ends
/// with the prefix.
///
/// A handler of [`Router::nest`](crate::web::routes::Router::nest) sees the whole path as
/// [`Request::path`], and its own part here. The router and `Files` use this, so they can be nested as they are.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::routes::{Router, nested_path};
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// async fn legacy(request: Request<'_>) -> Result<Responded> {
///     let text = format!("{} of {}", nested_path(&request), request.path());
///     request.respond(StatusCode::OK, text, ()).await
/// }
///
/// let router = Router::new().nest("/old", legacy);
/// let answer = block_on(async { TestClient::new(router).get("/old/mill").await });
/// assert_eq!(answer.text(), "/mill of /old/mill");
/// ```
pub fn nested_path<'c>(request: &Request<'c>) -> &'c str {
    nested::path(request)
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes()).finish()
    }
}
