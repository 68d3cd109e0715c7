//! Handlers: any async function that takes a request, and returns the proof of its answer.

use std::future::Future;
use std::rc::Rc;

use http::StatusCode;

use crate::error::Result;
use crate::exchange::request::Request;

/// Answers requests.
///
/// Every `AsyncFn(Request<'_>) -> Result<Responded>` implements it: `async fn`s, closures
/// and async closures. They capture their state as it is, and need not be `Send`. To serve many
/// connections with one handler that has state, wrap it with [`shared`].
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use waterwheel::http::{Handler, Request, StatusCode};
///
/// let count = Rc::new(Cell::new(0_u32));
/// let handler = async move |request: Request<'_>| {
///     count.set(count.get() + 1);
///     request.respond(StatusCode::OK, count.get().to_string(), ()).await
/// };
/// fn takes(_: impl Handler) {}
/// takes(handler);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not a handler",
    note = "a handler is `async fn(Request<'_>) -> Result<Responded>`, or `async |request: Request<'_>| …`",
    note = "a route's function that returns a value becomes a handler by `web::routes::handler`",
    note = "see `waterwheel::guide::compile_errors`"
)]
pub trait Handler: 'static {
    /// Answers one request.
    fn call(&self, request: Request<'_>) -> impl Future<Output = Result<Responded>>;
}

impl<F> Handler for F
where
    F: AsyncFn(Request<'_>) -> Result<Responded> + 'static,
{
    fn call(&self, request: Request<'_>) -> impl Future<Output = Result<Responded>> {
        self(request)
    }
}

/// Proof that a request has been answered.
///
/// Only the ways to answer make one. The connection also checks that it belongs to the present request. For a
/// `Responded` of another request, the client receives 500.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Handler, Request, Responded, Result};
///
/// /// Middleware that prints a line for each answer.
/// async fn printed(request: Request<'_>, inner: &impl Handler) -> Result<Responded> {
///     let path = request.path().to_owned();
///     let responded = inner.call(request).await?;
///     println!("{path}: {:?}, {} bytes", responded.status(), responded.body_bytes());
///     Ok(responded)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a handler returns it"]
pub struct Responded {
    status: Option<StatusCode>,
    body_bytes: u64,
}

impl Responded {
    pub(crate) const ABORTED: Self = Self {
        status: None,
        body_bytes: 0,
    };

    pub(crate) const fn new(status: StatusCode, body_bytes: u64) -> Self {
        Self {
            status: Some(status),
            body_bytes,
        }
    }

    /// Returns the status of the answer, or `None` if the request was [aborted](crate::Request::abort).
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the length of the sent body in bytes, without framing. It is 0 for an answer to HEAD.
    pub const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }
}

/// One handler for all connections; see [`shared`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Request, Server, Shared, StatusCode, shared};
/// use waterwheel::runtime::block_on;
///
/// let handler = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// let handler: Shared<_> = shared(handler);
/// let server = Server::builder().without_listener();
/// block_on(async {
///     for _ in 0..2 {
///         let mut client = TestClient::of(&server, handler.clone()); // each connection has a clone
///         assert_eq!(client.get("/").await.text(), "hello");
///     }
/// });
/// ```
#[derive(Debug)]
pub struct Shared<H>(Rc<H>);

/// Makes a handler that can be cloned. All clones share one state.
///
/// # Examples
///
/// ```no_run
/// use std::cell::Cell;
/// use waterwheel::http::{self, Request, Server, StatusCode};
///
/// # async fn example(server: Server) -> std::io::Result<()> {
/// let count = Cell::new(0_u32);
/// let counted = http::shared(async move |request: Request<'_>| {
///     count.set(count.get() + 1);
///     request.respond(StatusCode::OK, count.get().to_string(), ()).await
/// });
/// loop {
///     server.capacity().await;
///     match server.accept_request(counted.clone()).await {
///         Err(error) if error.is_fatal() => return Err(error.into()),
///         _ => {}
///     }
/// }
/// # }
/// ```
pub fn shared<H: Handler>(handler: H) -> Shared<H> {
    Shared(Rc::new(handler))
}

impl<H> Clone for Shared<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H: Handler> Handler for Shared<H> {
    fn call(&self, request: Request<'_>) -> impl Future<Output = Result<Responded>> {
        self.0.call(request)
    }
}
