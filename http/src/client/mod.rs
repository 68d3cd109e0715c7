//! An HTTP/1.1 client: pooled connections, streaming both ways, strict as the server.
//!
//! # How it works
//!
//! ```text
//!  Client ──► ClientRequest ──send──► ClientResponse ──► bytes, text, json, chunk, AsyncRead
//!    │                         │            │ owns the connection; sends the rest of the request's body
//!    └─ pool ◄── checkout ─────┘            │
//!         ▲                                 │ read to its end
//!         └─────────────────────────────────┘
//! ```
//!
//! An exchange needs no task of its own. The future of [`send`](ClientRequest::send) and the reads of the
//! [`ClientResponse`] do all work, and both directions move in each poll. So a server that answers before it has read
//! the request cannot block either side, and dropping one of them ends the exchange at once.
//!
//! | file | |
//! |---|---|
//! | `request` | the request as a value |
//! | `send` | the connection, the retry, the redirects |
//! | `upload` | the request on its way to the server |
//! | `exchange` | the answer on its way: its head, its body, the end of the exchange |
//! | `response` | the answer as a value |
//! | `pool`, `connect`, `tls` | connections |
//! | `redirect`, `clock`, `builder`, `error`, `stream` | values |
//!
//! It stands on `proto` and `transport`: `proto/answer_head` reads answers with the reader of the server's fields, and
//! `proto/request_head` writes requests. For https, it uses the stream of `tls`. It knows no server, connection or
//! exchange of the server.
//!
//! # Invariants
//!
//! - Always: a connection is used again only after its answer was read to the end, with no byte behind it.
//! - Always: an answer with two readings is refused: see [`Refusal`](crate::Refusal).
//! - Never: a request is sent twice, unless its method is idempotent, its body is known, and the reused connection
//!   ended before the first byte of an answer (RFC 9110, 9.2.2).
//! - Never: credentials go to another origin by a redirect.
//!
//! It has no proxies, no cookies and no decompression.
//!
//! # What to use
//!
//! The feature `client` adds this module. JSON needs the feature `json`, queries and forms need `input`, and https one
//! of the features of TLS.
//!
//! | to | write |
//! |---|---|
//! | set time limits, or the largest body | the methods of [`ClientBuilder`]: its table has the defaults |
//! | follow redirects | [`redirects`](ClientBuilder::redirects), because the default is to follow none |
//! | use https | [`tls`](ClientBuilder::tls), because the client brings no root certificates |
//! | take a 404 as an error | an `if` on [`status`](ClientResponse::status), because each answer is an `Ok` |
//! | send several requests at once | [`join_all`](waterwheel_runtime::join_all); all share the pool of one client |
//! | log in | [`basic_auth`](ClientRequest::basic_auth), [`bearer_auth`](ClientRequest::bearer_auth) |
//! | add parameters to the URI | [`query`](ClientRequest::query) |
//! | send JSON or a form | [`json`](ClientRequest::json), [`form`](ClientRequest::form) |
//! | save a body in a file | `futures_lite::io::copy(response, &mut file)` |
//! | take a whole body larger than 8 MiB | [`body_bytes_max`](ClientBuilder::body_bytes_max), or the body in pieces |
//! | test without a network | [`connector`](ClientBuilder::connector) |
//!
//! # Examples
//!
//! ```
//! use waterwheel::http::client::Client;
//! use waterwheel::http::{Request, Server, StatusCode};
//! use waterwheel::runtime::{block_on, race};
//!
//! let echo = async |request: Request<'_>| {
//!     let body = request.bytes().await?;
//!     request.respond(StatusCode::OK, body, [("content-type", "text/plain")]).await
//! };
//! block_on(async {
//!     let server = Server::bind("127.0.0.1:0")?;
//!     let uri = format!("http://{}/", server.local_address());
//!     let serve = async { server.serve(echo).await.map_err(Into::into) };
//!     let ask = async {
//!         let client = Client::new();
//!         let response = client.post(uri.as_str()).body("water").send().await?;
//!         assert_eq!(response.status(), StatusCode::OK);
//!         assert_eq!(response.headers().get("content-type"), Some("text/plain"));
//!         assert_eq!(response.text().await?, "water");
//!         Ok::<(), Box<dyn std::error::Error>>(())
//!     };
//!     race(ask, serve).await
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod clock;
mod connect;
mod error;
mod exchange;
#[cfg(feature = "proxy")]
pub(crate) mod lease;
mod pool;
mod redirect;
mod request;
mod response;
mod send;
mod stream;
#[cfg(feature = "tls-core")]
mod tls;
mod upload;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use http::{Method, Uri};

pub use builder::ClientBuilder;
use builder::ClientOptions;
pub use error::{RequestError, RequestErrorKind};
use pool::LinkPool;
pub use redirect::Redirects;
pub use request::ClientRequest;
pub use response::ClientResponse;
pub use stream::ClientStream;

use crate::proto::answer_head::AnswerHead;

/// The most exchanges whose buffers are kept for later ones.
const SPARES_MAX: usize = 8;

/// An HTTP/1.1 client with a pool of connections. A clone shares the pool.
///
/// It stays on its thread, as all of the runtime does. [`ClientBuilder`] has the table of its settings.
///
/// # Examples
///
/// ```
/// use waterwheel::http::Method;
/// use waterwheel::http::client::{Client, RequestError};
///
/// async fn talk() -> Result<(), RequestError> {
///     let client = Client::new();
///     let page = client.get("http://example.org/").await?.text().await?;
///     client.put("http://example.org/page").body(page).send().await?;
///     client.patch("http://example.org/page").body("+ rye").await?;
///     client.post("http://example.org/form").header("x-step", "2").body("a=b").await?;
///     client.delete("http://example.org/page").await?;
///     client.head("http://example.org/").await?;
///     client.options("http://example.org/").target("*").await?;
///     client.request(Method::from_bytes(b"PURGE").unwrap(), "http://example.org/page").await?;
///     Ok(())
/// }
/// # drop(talk);
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Rc<ClientShared>,
}

/// The state that the clones of a client share.
struct ClientShared {
    options: ClientOptions,
    pool: RefCell<LinkPool>,
    /// Buffers of ended exchanges, so that a warm request allocates none.
    spares: RefCell<Vec<Scratch>>,
}

/// The buffers of an exchange.
#[derive(Default)]
struct Scratch {
    head: AnswerHead,
    input: Vec<u8>,
    out: Vec<u8>,
}

impl Client {
    /// Makes a client with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Begins a client with other settings.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, Redirects};
    ///
    /// let client = Client::builder().redirects(Redirects::follow(5)).build();
    /// # drop(client);
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    fn with(options: ClientOptions) -> Self {
        Self {
            shared: Rc::new(ClientShared {
                options,
                pool: RefCell::default(),
                spares: RefCell::default(),
            }),
        }
    }

    /// Begins a request. The URI is absolute: `http://host:port/path?query`, or `https`. A fault in it is an error of
    /// [`send`](ClientRequest::send). A fragment is left out.
    pub fn request<'b, U>(&self, method: Method, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        let uri = uri.try_into().map_err(Into::into);
        ClientRequest::new(self.shared.clone(), method, uri)
    }

    /// Begins a GET.
    pub fn get<'b, U>(&self, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        self.request(Method::GET, uri)
    }

    /// Begins a HEAD.
    pub fn head<'b, U>(&self, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        self.request(Method::HEAD, uri)
    }

    /// Begins a POST.
    pub fn post<'b, U>(&self, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        self.request(Method::POST, uri)
    }

    /// Begins a PUT.
    pub fn put<'b, U>(&self, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        self.request(Method::PUT, uri)
    }

    /// Begins a PATCH (RFC 5789).
    pub fn patch<'b, U>(&self, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        self.request(Method::PATCH, uri)
    }

    /// Begins an OPTIONS. The target `*` is set by [`target`](ClientRequest::target).
    pub fn options<'b, U>(&self, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        self.request(Method::OPTIONS, uri)
    }

    /// Begins a DELETE.
    pub fn delete<'b, U>(&self, uri: U) -> ClientRequest<'b>
    where
        U: TryInto<Uri>,
        U::Error: Into<http::Error>,
    {
        self.request(Method::DELETE, uri)
    }

    /// Returns the number of connections that are open and not used.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    ///
    /// let client = Client::new();
    /// client.close_idle();
    /// assert_eq!(client.idle_connections(), 0);
    /// ```
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.shared.pool.borrow().len()
    }

    /// Closes the connections that are not used.
    pub fn close_idle(&self) {
        let idle = self.shared.pool.borrow_mut().clear();
        // Dropped without a borrow, because a transport of the application may call the client.
        drop(idle);
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.shared.options)
            .field("idle_connections", &self.idle_connections())
            .finish()
    }
}
