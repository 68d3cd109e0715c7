//! Requests that the server refuses by itself, and the hook that reports them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use http::{Method, Version};

use crate::error::Refusal;

/// A request that the server has refused before a handler saw it.
///
/// Passed to the hook of [`Server::on_refusal`](crate::Server::on_refusal).
///
/// `method`, `target` and `version` are either all `Some` or all `None`. They are `Some` after a whole and
/// valid request line. They are `None` if the request line is refused or too slow. They are also `None` for
/// a client that is turned away, because the server does not parse its request.
///
/// # Examples
///
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Refused, Request, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let server = Server::builder().without_listener();
/// let lines = Rc::new(RefCell::new(Vec::new()));
/// let log = lines.clone();
/// server.on_refusal(move |refused: &Refused<'_>| {
///     let target = refused.target.unwrap_or("-");
///     log.borrow_mut().push(format!("{target}: {} {}", refused.refusal.status(), refused.refusal));
/// });
///
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// block_on(async {
///     let mut client = TestClient::of(&server, hello);
///     client.send("GET /mill HTTP/1.1\r\n\r\n").await;
///     client.answer().await;
/// });
/// assert!(lines.borrow()[0].starts_with("/mill: 400 Bad Request "));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refused<'r> {
    /// The client's address, as [`Request::peer_address`](crate::Request::peer_address) returns it: the
    /// transport's, or else the socket's. `None` if the transport has no addresses.
    pub peer: Option<SocketAddr>,
    /// The reason. [`Refusal::status`] returns the status of the answer.
    pub refusal: Refusal,
    /// The method of the request line.
    pub method: Option<&'r Method>,
    /// The target as the client has sent it, without decoding.
    pub target: Option<&'r str>,
    /// The version: HTTP/1.0 or HTTP/1.1.
    pub version: Option<Version>,
}

type RefusalHook = Rc<dyn Fn(&Refused<'_>)>;

/// The hook, if one is set.
#[derive(Default)]
pub(crate) struct OnRefusal(RefCell<Option<RefusalHook>>);

impl OnRefusal {
    pub(crate) fn set(&self, hook: impl Fn(&Refused<'_>) + 'static) {
        let hook: RefusalHook = Rc::new(hook);
        let before = self.0.replace(Some(hook));
        drop(before); // its captures may run user code, so the borrow ends first
    }

    /// Returns the hook, if one is set.
    pub(crate) fn get(&self) -> Option<RefusalHook> {
        // A clone, so that no borrow is alive while the hook runs: it may set another one.
        self.0.borrow().clone()
    }
}
