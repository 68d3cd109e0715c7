//! A server: a listener, a gate in front of it, and what its connections share.
//!
//! # How it works
//!
//! ```text
//!  should_accept_request ──yes──► accept ──► Connection ──► serve (a task of its own)
//!         │ no
//!         ▼
//!     capacity: is somebody waiting? ──► ask idle connections to leave ──► wait for a close,
//!                                        the end of a back-off, or a look again in 100 ms
//! ```
//!
//! # Invariants
//!
//! - Always: who accepts has asked the gate, or decided not to.
//! - Never: a connection closed for room while nobody waits for it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use waterwheel_runtime::net::{ListenOptions, TcpListener, TcpStream};
use waterwheel_runtime::time::{Instant, sleep, sleep_until};
use waterwheel_runtime::{descriptors, race, spawn};

use crate::accept_error::AcceptError;
use crate::connection::Connection;
use crate::disconnect::{Departure, OnDisconnect, OnHalfClose};
use crate::gate::{Descriptors, Gate};
use crate::handler::{Handler, shared};
use crate::io::Io;
use crate::limits::Limits;
use crate::rate::Rate;
use crate::shared::Shared;

/// How often to look again for descriptors that others have closed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How often to say that there are none left.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// How to build a [`Server`].
///
/// # Examples
///
/// ```
/// use waterwheel_http::{Limits, Server};
///
/// let server = Server::builder()
///     .limits(Limits { body_bytes_max: 64 * 1024, ..Limits::default() })
///     .server_name("mill")
///     .bind("127.0.0.1:0")?;
/// assert_ne!(server.local_address().port(), 0);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "bind makes the server"]
pub struct Builder {
    listen: ListenOptions,
    limits: Limits,
    departure: Departure,
    assumed_descriptors: usize,
    server_name: Option<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: ListenOptions::new(),
            limits: Limits::DEFAULT,
            departure: Departure::default(),
            assumed_descriptors: 5,
            server_name: None,
        }
    }
}

impl Builder {
    /// Whether a port can be bound again right after its last owner went. On by default.
    #[doc(alias = "reuseAddr")]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.listen = self.listen.reuse_address(reuse);
        self
    }

    /// Whether other processes may bind the same port. Off by default, so that a clash is seen.
    #[doc(alias = "reusePort")]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.listen = self.listen.reuse_port(reuse);
        self
    }

    /// How many connections may wait in the kernel's queue. 4,096 by default.
    pub fn backlog(mut self, connections: i32) -> Self {
        self.listen = self.listen.backlog(connections);
        self
    }

    /// All limits at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The longest body that is taken, in bytes. 8 MiB by default; what is exactly as long passes.
    #[doc(alias = "maxBody")]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.limits.body_bytes_max = bytes;
        self
    }

    /// How many descriptors a request is assumed to need, its connection included. 5 by default;
    /// 0 accepts without asking.
    #[doc(alias = "assumedDescriptorsPerRequest")]
    pub fn assumed_descriptors_per_request(mut self, descriptors: usize) -> Self {
        self.assumed_descriptors = descriptors;
        self
    }

    /// What the end of a client's direction means: that it still waits for its answer, by default.
    pub fn on_half_close(mut self, meaning: OnHalfClose) -> Self {
        self.departure.half_close = meaning;
        self
    }

    /// What becomes of the handler of a client that has left: by default, it runs to its end.
    pub fn on_disconnect(mut self, fate: OnDisconnect) -> Self {
        self.departure.disconnect = fate;
        self
    }

    /// A `server` field for all answers. None by default.
    ///
    /// # Panics
    ///
    /// If it is not visible ASCII and spaces.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            name.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "a server name is visible ASCII"
        );
        self.server_name = Some(name);
        self
    }

    /// Binds the address and listens. Port 0 means any free one.
    ///
    /// # Errors
    ///
    /// As [`ListenOptions::bind`]: the port is taken, or not allowed.
    #[doc(alias = "listen")]
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let listener = self.listen.bind(address)?;
        self.listen_on(listener)
    }

    /// Serves on a listener that is there already.
    ///
    /// # Errors
    ///
    /// When it has no address.
    pub fn listen_on(self, listener: TcpListener) -> io::Result<Server> {
        let local_address = listener.local_address()?;
        Ok(self.build(Some(listener), local_address))
    }

    /// Listens nowhere: connections come by [`Server::connection`] alone.
    pub fn without_listener(self) -> Server {
        self.build(None, SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    fn build(self, listener: Option<TcpListener>, local_address: SocketAddr) -> Server {
        let server_line = self
            .server_name
            .map(|name| format!("server: {name}\r\n").into_bytes());
        Server {
            local_address,
            listener: RefCell::new(listener),
            shared: Rc::new(Shared::new(
                self.limits,
                self.departure,
                server_line.unwrap_or_default(),
            )),
            gate: Gate::new(self.assumed_descriptors),
            warned: Cell::new(None),
        }
    }
}

/// An HTTP/1.1 server.
///
/// The loop is yours:
///
/// ```no_run
/// use waterwheel_http::{Request, Responded, Result, Server, StatusCode};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "Hello World", [("content-type", "text/plain")]).await
/// }
///
/// # async fn example() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:8080")?;
/// loop {
///     if server.should_accept_request() {
///         match server.accept_request(hello).await {
///             Err(error) if error.is_fatal() => return Err(error.into()),
///             _ => {}
///         }
///     } else {
///         server.capacity().await;
///     }
/// }
/// # }
/// ```
///
/// or ours: [`serve`](Self::serve).
#[doc(alias = "AsyncHttpServer")]
pub struct Server {
    listener: RefCell<Option<TcpListener>>,
    local_address: SocketAddr,
    shared: Rc<Shared>,
    gate: Gate,
    warned: Cell<Option<Instant>>,
}

impl Server {
    /// Binds an address with the defaults of [`Builder`].
    ///
    /// # Errors
    ///
    /// As [`Builder::bind`].
    #[doc(alias = "newAsyncHttpServer")]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(address)
    }

    /// For anything but the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens; tells the port when port 0 was asked for.
    #[doc(alias = "getPort")]
    #[doc(alias = "server_addr")]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Whether the process has descriptors for another connection: those open plus those assumed
    /// for a request are at most the soft limit.
    ///
    /// The truth, at most 10 ms old. `false` also for a while after `accept` itself has failed for
    /// want of something.
    #[doc(alias = "shouldAcceptRequest")]
    pub fn should_accept_request(&self) -> bool {
        self.gate.is_open()
    }

    /// What is open in this process, and how much may be.
    pub fn descriptors(&self) -> Descriptors {
        Descriptors::new()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.register.len()
    }

    /// Waits until [`should_accept_request`](Self::should_accept_request) holds.
    ///
    /// When clients wait and none can be accepted, idle connections are asked to leave, longest
    /// idle first, and those that are answered meanwhile are closed after their answers. Then it
    /// sleeps until a descriptor is freed: no spin, no fixed timer.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn capacity(&self) {
        while !self.should_accept_request() {
            self.make_room().await;
        }
        self.shared.pressed.set(false);
    }

    /// One round of it.
    async fn make_room(&self) {
        let freed = descriptors::freed();
        if let Some(until) = self.gate.shut_until() {
            self.press();
            return race(freed, sleep_until(until)).await;
        }
        let wanted = async {
            self.pending().await;
            self.press();
            sleep(LOOK_AGAIN).await;
        };
        race(freed, wanted).await;
    }

    /// Somebody waits: asks a batch of idle connections to leave.
    fn press(&self) {
        self.shared.pressed.set(true);
        let batch = (self.shared.register.len() / 8).max(5);
        let reclaimed = self.shared.register.reclaim(batch);
        let now = Instant::now();
        if self
            .warned
            .get()
            .is_none_or(|warned| now - warned >= WARN_AGAIN)
        {
            self.warned.set(Some(now));
            let descriptors = self.descriptors();
            tracing::warn!(
                limit = descriptors.limit(),
                open = descriptors.open(),
                connections = self.connections(),
                reclaimed,
                "out of file descriptors: idle connections are closed to let new ones in",
            );
        }
    }

    /// Waits until a connection is in the queue.
    async fn pending(&self) {
        poll_fn(|cx| match &*self.listener.borrow() {
            // What the queue has to say, accept will hear.
            Some(listener) => listener.poll_pending(cx).map(drop),
            None => Poll::Ready(()),
        })
        .await;
    }

    /// Takes the next connection. Nothing of it has been read yet: serve it, or pull from it.
    ///
    /// Any number of these may be pending at once; each connection goes to one of them.
    ///
    /// # Errors
    ///
    /// What went wrong with accepting; see [`AcceptError`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection is taken only when this completes.
    pub async fn accept(&self) -> Result<Connection, AcceptError> {
        let (stream, peer) = poll_fn(|cx| self.poll_accept(cx)).await?;
        Ok(self.connection(stream, Some(peer)))
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(TcpStream, SocketAddr), AcceptError>> {
        let listener = self.listener.borrow();
        let Some(listener) = &*listener else {
            return Poll::Ready(Err(AcceptError::closed()));
        };
        listener.poll_accept(cx).map(|accepted| {
            accepted.inspect(|_| self.gate.granted()).map_err(|error| {
                let error = AcceptError::new(error);
                if error.is_exhausted() {
                    self.gate.shut();
                } else if error.is_connection() {
                    self.gate.lost();
                }
                error
            })
        })
    }

    /// Takes the next connection, and spawns a task that serves all its requests with `handler`.
    ///
    /// # Errors
    ///
    /// Only what went wrong with accepting; what goes wrong later is the connection's business.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: accepting and spawning happen in one poll, so no connection is lost.
    #[doc(alias = "acceptRequest")]
    pub async fn accept_request(&self, handler: impl Handler) -> Result<(), AcceptError> {
        let connection = self.accept().await?;
        spawn(connection.serve(handler)).detach();
        Ok(())
    }

    /// A connection over a transport of your own, with this server's limits.
    pub fn connection<T: Io>(&self, io: T, peer: Option<SocketAddr>) -> Connection<T> {
        Connection::new(io, peer, self.shared.clone())
    }

    /// Accepts and serves until [`close`](Self::close) is called.
    ///
    /// The loop of this type's documentation, with errors reported through `tracing`.
    ///
    /// # Errors
    ///
    /// When the listener is gone otherwise.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: connections that were accepted are served on.
    pub async fn serve(&self, handler: impl Handler) -> io::Result<()> {
        let handler = shared(handler);
        let rate = Rate::default();
        loop {
            self.capacity().await;
            match self.accept_request(handler.clone()).await {
                Err(_) if self.is_closed() => return Ok(()),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    if let Some(left_out) = rate.allows() {
                        tracing::warn!(%error, left_out, "could not accept a connection");
                    }
                }
                Ok(()) => {}
            }
        }
    }

    /// Stops listening. Connections that are open are served on. Again is nothing.
    pub fn close(&self) {
        let listener = self.listener.take();
        drop(listener);
    }

    /// Whether [`close`](Self::close) has been called.
    pub fn is_closed(&self) -> bool {
        self.listener.borrow().is_none()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_address", &self.local_address)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
