//! A reverse proxy: it passes requests on to servers behind it, and their answers back.
//!
//! ```no_run
//! use waterwheel::http::Server;
//! use waterwheel::http::web::proxy::ReverseProxy;
//! use waterwheel::http::web::routes::Router;
//! use waterwheel::runtime::block_on;
//!
//! # fn main() -> waterwheel::http::Result<()> {
//! block_on(async {
//!     let router = Router::new()
//!         .get("/health", async || "turning")
//!         .nest("/api", ReverseProxy::to("http://127.0.0.1:9000").and("http://127.0.0.1:9001"));
//!     Ok(Server::bind("127.0.0.1:8080")?.serve(router).await?)
//! })
//! # }
//! ```
//!
//! # What works
//!
//! | | |
//! |---|---|
//! | bodies | stream in both directions at the same time, with back-pressure and trailers. Nothing is collected |
//! | framing | is made anew in both directions. Of two framings in one head, none is believed: the client receives 400, or 502 |
//! | an answer before the end of the body | reaches the client at once |
//! | `Expect: 100-continue` | is passed on. The client's body is read when the server agrees, or after a second |
//! | interim answers | are passed on, except 100, which this server sends itself |
//! | WebSockets | pass, and so do other protocols that [`ReverseProxy::upgrade_to`] allows. The tunnel has no deadline |
//! | connections to the servers | are those of a [`Client`]: used again, and closed after 20 idle seconds, or earlier if the server announces that |
//!
//! # The fields
//!
//! | field | on the way to the server | on the way back |
//! |---|---|---|
//! | Connection, the fields that it names, Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, Transfer-Encoding, Upgrade | removed | removed |
//! | TE | only `trailers` | removed |
//! | Host | stays; see [`replace_host`](ReverseProxy::replace_host) | |
//! | Via | `1.1 waterwheel` is appended; see [`via`](ReverseProxy::via) | also |
//! | Forwarded, X-Forwarded-*, X-Real-IP, also with `_` for `-` | removed, or kept if the peer is [trusted](ReverseProxy::trust). After that, those of [`client_fields`](ReverseProxy::client_fields) are set | stay |
//! | Max-Forwards, with OPTIONS | counted down; 204 at 0 | |
//! | Location, Content-Location, Refresh, Set-Cookie | | see [below](#places-in-answers) |
//!
//! # Paths
//!
//! Below a prefix ([`nest`](crate::web::routes::Router::nest)), the server sees the path without the prefix: in the
//! example above, `/api/sacks` becomes `/sacks`. To keep it, write it into the URL, too
//! (`ReverseProxy::to("http://127.0.0.1:9000/api")`).
//!
//! # Places in answers
//!
//! A server that does not know its public address names its own one in redirects. The table has the answers of a server
//! at `http://10.0.0.1:9000/v2` that clients reach at `/api`:
//!
//! | field of the server | by default | with [`map_paths`](ReverseProxy::map_paths) | with [`keep_locations`](ReverseProxy::keep_locations) |
//! |---|---|---|---|
//! | `Location: http://10.0.0.1:9000/v2/login` | `/api/login` | `/api/login` | stays |
//! | `Location: http://PUBLIC:9000/v2/login`, if Host is `PUBLIC`, as nginx writes it | `/api/login` | `/api/login` | stays |
//! | `Location: http://10.0.0.1:9000/other`, which no client reaches | stays | stays | stays |
//! | `Location: /v2/login` | stays | `/api/login` | stays |
//! | `Location: https://PUBLIC/v2/login`, if Host is `PUBLIC` | stays | `https://PUBLIC/api/login` | stays |
//! | `Location: login`, or a URL of another host | stays | stays | stays |
//! | `Set-Cookie: a=b; Path=/v2/cart`, or `Path=/` | stays | `Path=/api/cart`, or `Path=/api` | stays |
//!
//! Content-Location and the URL in Refresh are mapped as Location. A URL is the server's own if it has the server's host
//! and port. The scheme is not compared, because a server that is told of its client's https may write that. Only a URL of
//! https from a server of http, both without a port, stays: it may lead to another server. A cookie whose name begins
//! with `__Host-` keeps its Path, because browsers require `/` of it. The domain of a cookie changes by
//! [`replace_cookie_domain`](ReverseProxy::replace_cookie_domain) only.
//!
//! These are the `proxy_redirect`, `proxy_cookie_path` and `proxy_cookie_domain` of nginx. Links in bodies stay as they
//! are, so a server with pages should know its prefix.
//!
//! # Failures
//!
//! | event | the client receives |
//! |---|---|
//! | the path leads above its first `/` by `..`, in any encoding | 400 |
//! | no server accepts a connection | 502 |
//! | the answer is malformed, or the connection ends before the end of its head | 502 |
//! | the server makes no progress for [60 seconds](ReverseProxy::time_limit), or accepts no connection for 10 | 504 |
//! | a failure after the head has left | a connection that is cut, so that the answer does not look whole |
//! | the server closes an idle connection while a request is on its way | the answer to a second attempt, if the method is idempotent and there is no body; otherwise 502 |
//!
//! The next server is tried if one does not accept a connection, because no byte of the request has left then. A server
//! that fails so is asked last for the next ten seconds.
//!
//! If the client leaves, the connection to the server is closed.
//!
//! The body of a 502 or 504 is a line of text. Pages or JSON of yours are the task of `error_responses`, of the router or
//! of the server. An error page of the server behind passes as it is.
//!
//! # Invariants
//!
//! - Always: one request of a client is at most one request of the proxy at a time.
//! - Never: a request that is sent again after a byte of its body, or after a byte of an answer.
//! - Never: a clean end of an answer that was cut short.

mod fields;
mod link;
mod pass;
mod places;
mod upstreams;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use http::{Method, StatusCode, Uri};

use crate::client::Client;
use crate::error::{ClientError, Error, Result};
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::proto::request_head::is_target;
use crate::web::client_address::Networks;
use crate::web::nested;

pub use fields::ClientFields;
use fields::{ClientFacts, Via};
use pass::PassedRequest;
use places::{Mapping, PlacePolicy, Places, leaves};
use upstreams::{Upstream, Upstreams};

/// A handler that passes requests on; see [the module](self).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::web::client_address::Networks;
/// use waterwheel::http::web::proxy::{ClientFields, ReverseProxy};
///
/// let proxy = ReverseProxy::to("http://10.0.0.1:9000/shop") // /sacks becomes /shop/sacks
///     .and("http://10.0.0.2:9000/shop")
///     .trust("10.1.0.0/16".parse::<Networks>()?) // the load balancers before us
///     .client_fields(ClientFields::XForwarded)
///     .replace_host()
///     .via("mill")
///     .upgrade_to("chat")
///     .time_limit(Duration::from_secs(20));
/// # drop(proxy);
/// # Ok::<_, waterwheel::http::web::client_address::InvalidNetwork>(())
/// ```
///
/// A handler that decides itself:
///
/// ```
/// use waterwheel::http::web::proxy::ReverseProxy;
/// use waterwheel::http::{Handler, Request, Responded, Result, StatusCode};
///
/// async fn guarded(request: Request<'_>, servers: &ReverseProxy) -> Result<Responded> {
///     if !request.headers().contains("authorization") {
///         return request.respond(StatusCode::UNAUTHORIZED, "", ()).await;
///     }
///     if request.path() == "/old" {
///         return servers.forward(request, "/new?from=old").await;
///     }
///     servers.call(request).await
/// }
///
/// let servers = ReverseProxy::to("http://127.0.0.1:9000");
/// let handler = async move |request: Request<'_>| guarded(request, &servers).await;
/// # drop(waterwheel::http::shared(handler));
/// ```
pub struct ReverseProxy {
    upstreams: Upstreams,
    client: Client,
    policy: Policy,
}

/// The idle connections of each server that are kept by default.
const IDLE_MAX: usize = 256;

/// The settings that do not depend on the server.
struct Policy {
    trusted: Option<Networks>,
    client_fields: ClientFields,
    replaces_host: bool,
    via: Option<Via>,
    protocols: Vec<String>,
    time_limit: Duration,
    places: PlacePolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            trusted: None,
            client_fields: ClientFields::default(),
            replaces_host: false,
            via: Via::of("waterwheel"),
            protocols: vec!["websocket".to_owned()],
            time_limit: Duration::from_secs(60),
            places: PlacePolicy::default(),
        }
    }
}

impl ReverseProxy {
    /// Makes a proxy for a server: `http://host[:port][/path]`, or `https` with a [`client`](Self::client) that has TLS. The path stands before that of each request.
    ///
    /// # Panics
    ///
    /// If the URL has another form.
    #[must_use]
    pub fn to(url: impl AsRef<str>) -> Self {
        Self {
            upstreams: Upstreams::new(server(url.as_ref())),
            // As many as requests at once. Otherwise each burst above the limit would connect again.
            client: Client::builder().idle_per_host_max(IDLE_MAX).build(),
            policy: Policy::default(),
        }
    }

    /// Adds a server. The servers take turns.
    ///
    /// # Panics
    ///
    /// As [`to`](Self::to).
    #[must_use]
    pub fn and(mut self, url: impl AsRef<str>) -> Self {
        self.upstreams.servers.push(Rc::new(server(url.as_ref())));
        self
    }

    /// Uses the connections and the settings of a client: how long to wait for a connection, how many of them are kept
    /// and for how long, the largest head of an answer, [TLS](crate::client::ClientBuilder::tls), and a Unix socket.
    /// Default: those of a client, with up to 256 idle connections of each server.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    /// use waterwheel::http::web::proxy::ReverseProxy;
    ///
    /// let client = Client::builder().unix("/run/shop.sock").build();
    /// let proxy = ReverseProxy::to("http://shop").client(client);
    /// # drop(proxy);
    /// ```
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Keeps the fields of these peers about their own clients (`Forwarded`, `X-Forwarded-*`, `X-Real-IP`), and appends to them. Those of all other peers are removed. A peer of a Unix socket is trusted,
    /// too. Default: none.
    #[must_use]
    pub fn trust(mut self, networks: Networks) -> Self {
        self.policy.trusted = Some(networks);
        self
    }

    /// Sets the fields that tell the servers about the client. Default: `Forwarded`.
    #[must_use]
    pub fn client_fields(mut self, fields: ClientFields) -> Self {
        self.policy.client_fields = fields;
        self
    }

    /// Sends the host of the server's URL as Host. Default: the Host of the client.
    ///
    /// A server that compares Origin with Host then refuses pages of the public name. With this crate, name the public
    /// origin there: for forms in `Csrf::trust`, for WebSockets in `WebSocketOptions::origins`.
    #[must_use]
    pub fn replace_host(mut self) -> Self {
        self.policy.replaces_host = true;
        self
    }

    /// Sets the name of this proxy in Via. Default: `waterwheel`.
    ///
    /// # Panics
    ///
    /// If it is not a token.
    #[must_use]
    pub fn via(mut self, pseudonym: impl Into<String>) -> Self {
        let pseudonym = pseudonym.into();
        let via = Via::of(&pseudonym);
        assert!(via.is_some(), "{pseudonym:?} is not a token");
        self.policy.via = via;
        self
    }

    /// Sends no Via. Some servers compress no answer for a proxy.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::proxy::ReverseProxy;
    ///
    /// let proxy = ReverseProxy::to("http://127.0.0.1:9000").without_via();
    /// # drop(proxy);
    /// ```
    #[must_use]
    pub fn without_via(mut self) -> Self {
        self.policy.via = None;
        self
    }

    /// Allows a protocol to which connections may change, besides `websocket`. An offer of another one, such as `h2c`,
    /// is removed: behind its tunnel, a client could send requests that the proxy does not see.
    #[must_use]
    pub fn upgrade_to(mut self, protocol: impl Into<String>) -> Self {
        self.policy.protocols.push(protocol.into());
        self
    }

    /// Sets how long a server may make no progress: it takes no byte and sends none. The time in which the client makes
    /// it wait does not count. Default: 60 seconds.
    #[must_use]
    pub fn time_limit(mut self, duration: Duration) -> Self {
        self.policy.time_limit = duration;
        self
    }

    /// Leaves Location, Content-Location and Refresh of the answers as they are. By default, a URL of the server becomes
    /// the path by which its client reaches it; see [the module](self#places-in-answers).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::proxy::ReverseProxy;
    ///
    /// // Clients reach this server directly, too.
    /// let proxy = ReverseProxy::to("http://shop.example").keep_locations();
    /// # drop(proxy);
    /// ```
    #[must_use]
    pub fn keep_locations(mut self) -> Self {
        self.policy.places.mapping = Mapping::Off;
        self
    }

    /// Maps paths in answers, too, for a server that does not know the prefix of its clients; see
    /// [the module](self#places-in-answers). Off by default, because a server that knows it would get it twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::proxy::ReverseProxy;
    /// use waterwheel::http::web::routes::Router;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// let shop = async |request: Request<'_>| {
    ///     let fields = [("location", "/login"), ("set-cookie", "basket=7; Path=/")];
    ///     request.respond(StatusCode::SEE_OTHER, "", fields).await
    /// };
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     let url = format!("http://{}", server.local_address());
    ///     spawn(async move { server.serve(shop).await }).detach();
    ///     let router = Router::new().nest("/shop", ReverseProxy::to(url).map_paths());
    ///     let answer = TestClient::new(router).get("/shop/basket").await;
    ///     assert_eq!(answer.headers["location"], "/shop/login");
    ///     assert_eq!(answer.headers["set-cookie"], "basket=7; Path=/shop");
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn map_paths(mut self) -> Self {
        self.policy.places.mapping = Mapping::Paths;
        self
    }

    /// Replaces a domain in the cookies of the servers. An empty `to` removes the attribute, and then the cookie belongs
    /// to the host of the request alone. Other domains stay: the browser refuses a cookie of a foreign one. Letters of
    /// either case and a dot before the domain do not matter. Each call adds a replacement.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::proxy::ReverseProxy;
    ///
    /// let proxy = ReverseProxy::to("http://shop.internal")
    ///     .replace_cookie_domain("shop.internal", "example.org")
    ///     .replace_cookie_domain("localhost", "");
    /// # drop(proxy);
    /// ```
    ///
    /// # Panics
    ///
    /// If one of them is not a domain, or `from` is empty.
    #[must_use]
    pub fn replace_cookie_domain(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        let pair = (from.into(), to.into());
        for domain in [&pair.0, &pair.1] {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            assert!(domain.bytes().all(is_letter), "{domain:?} is not a domain");
        }
        let from = pair.0.trim_start_matches('.').to_owned();
        assert!(!from.is_empty(), "a domain is empty");
        self.policy.places.cookie_domains.push((from, pair.1));
        self
    }

    /// Passes a request on with another target: a path, and a query if it has one. The path of the server's URL stands
    /// before it.
    ///
    /// # Errors
    ///
    /// 400 if the target is not a path, or leads above its first `/` by `..`, and the failures in the table of [the module](self). Return them from the
    /// handler.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the request is gone.
    pub async fn forward(&self, request: Request<'_>, target: &str) -> Result<Responded> {
        send(request, &self.upstreams, &self.client, &self.policy, target).await
    }
}

/// Passes a request on to a URL, with the defaults of [`ReverseProxy`]. For handlers that choose the server themselves.
///
/// Location and the cookies of the answer stay as they are.
///
/// Never take the host of the URL from a request without a list of allowed hosts: clients would reach the servers that
/// only this machine can reach.
///
/// # Errors
///
/// An error without a status (500) if the URL is not one of `http` or `https` with a host, 400 if its path leads above
/// its first `/` by `..` or must be percent-encoded, and the failures in the table of [the module](self). Return them
/// from the handler.
///
/// # Cancel safety
///
/// Not cancel safe: the request is gone.
///
/// # Examples
///
/// ```
/// use waterwheel::http::client::Client;
/// use waterwheel::http::web::proxy::forward;
/// use waterwheel::http::{Request, Responded, Result};
///
/// async fn by_tenant(request: Request<'_>, client: &Client) -> Result<Responded> {
///     let port = if request.path().starts_with("/new/") { 9001 } else { 9000 };
///     let url = format!("http://127.0.0.1:{port}{}", request.path());
///     forward(request, client, &url).await
/// }
///
/// let client = Client::new();
/// let handler = async move |request: Request<'_>| by_tenant(request, &client).await;
/// # drop(waterwheel::http::shared(handler));
/// ```
pub async fn forward(request: Request<'_>, client: &Client, url: &str) -> Result<Responded> {
    let uri: Uri = url.parse()?;
    // `http://host?query` has an empty path, which a request line cannot have (RFC 9112, 3.2.1).
    let target = match uri.query() {
        Some(query) => &*format!("{}?{query}", uri.path()),
        None => uri.path(),
    };
    let mut upstream = Upstream::of(&uri).map_err(Error::message)?;
    upstream.base.clear();
    let mut policy = Policy::default();
    // Only the handler knows which path of its own belongs to one of the server.
    policy.places.mapping = Mapping::Off;
    let upstreams = Upstreams::new(upstream);
    send(request, &upstreams, client, &policy, target).await
}

/// Makes the request of the proxy, and passes it on.
async fn send(
    request: Request<'_>,
    upstreams: &Upstreams,
    client: &Client,
    policy: &Policy,
    target: &str,
) -> Result<Responded> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        // TRACE would show the client the fields that the proxies have added.
        let refused = ClientError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        return Err(refused.with_header("allow", allowed).into());
    }
    let is_passed = target.starts_with('/') && is_target(target) && !leaves(target.as_bytes());
    if !is_passed {
        let refused = ClientError::new(StatusCode::BAD_REQUEST, "this target is not passed on");
        return Err(refused.into());
    }
    let mut fields = request.headers().to_header_map();
    if !fields::may_go_on(request.method(), &mut fields) {
        return request.respond(StatusCode::NO_CONTENT, "", ()).await;
    }
    let awaits_continue = fields::awaits_continue(&fields) && request.body().left() != Some(0);
    let offered = |protocol: &&String| request.offers(protocol);
    let upgrade = policy.protocols.iter().find(offered).map(String::as_str);
    fields::convert_request(&mut fields, upgrade);
    let facts = ClientFacts::of(&request, policy.trusted.as_ref());
    fields::tell_client(&mut fields, policy.client_fields, &facts);
    if let Some(via) = &policy.via {
        via.add(&mut fields, request.version());
    }
    let host = request
        .host()
        .filter(|host| !policy.replaces_host && !host.is_empty());
    let outgoing = PassedRequest {
        client,
        upstreams,
        target,
        fields,
        host,
        upgrade,
        via: policy.via.as_ref(),
        places: Places {
            policy: &policy.places,
            prefix: nested::prefix(&request),
            host,
        },
        time_limit: policy.time_limit,
        awaits_continue,
    };
    pass::pass(request, outgoing).await
}

impl Handler for ReverseProxy {
    async fn call(&self, request: Request<'_>) -> Result<Responded> {
        // The prefixes of outer routers are not the server's.
        let path = match nested::path(&request) {
            "" => "/",
            path => path,
        };
        match request.query() {
            None => self.forward(request, path).await,
            Some(query) => {
                let target = format!("{path}?{query}");
                self.forward(request, &target).await
            }
        }
    }
}

impl fmt::Debug for ReverseProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.upstreams.servers.iter();
        let servers: Vec<_> = servers.map(|server| &server.name).collect();
        f.debug_struct("ReverseProxy")
            .field("servers", &servers)
            .finish_non_exhaustive()
    }
}

/// Returns the server of a URL that the application has written.
fn server(url: &str) -> Upstream {
    let parsed = url
        .parse::<Uri>()
        .map_err(|error| format!("{url}: {error}"));
    let server = parsed.and_then(|uri| match uri.query() {
        None => Upstream::of(&uri),
        Some(_) => Err(format!("{url} has a query")),
    });
    match server {
        Ok(server) => server,
        Err(fault) => panic!("{fault}"),
    }
}
